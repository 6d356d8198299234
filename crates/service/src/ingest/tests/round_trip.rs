//! Random series written in several styles read back exactly; random bytes never panic.

use forewatt_domain::Zone;
use proptest::prelude::*;

use super::*;

/// How a file is written.
#[derive(Debug, Clone, Copy)]
enum Style {
    IsoOffset,
    IsoNaive,
    UsNaive,
    EuNaive,
    EpochMillis,
}

fn write_row(style: Style, zone: &Zone, time: Time, value: f64) -> String {
    let civil = zone.civil(time);
    let (date, s) = (civil.date, civil.second_of_day);
    let (h, m) = (s / 3600, s / 60 % 60);
    let offset = civil.offset_seconds / 60;
    let sign = if offset < 0 { '-' } else { '+' };
    let (oh, om) = (offset.abs() / 60, offset.abs() % 60);
    match style {
        Style::IsoOffset => format!("{date}T{h:02}:{m:02}:00{sign}{oh:02}:{om:02},{value}"),
        Style::IsoNaive => format!("{date} {h:02}:{m:02},{value}"),
        Style::UsNaive => {
            let (half, twelve) = (if h < 12 { "AM" } else { "PM" }, (h + 11) % 12 + 1);
            format!("{}/{}/{} {twelve}:{m:02}:00 {half},{value}", date.month(), date.day(), date.year())
        }
        Style::EuNaive => {
            let number = format!("{value}").replace('.', ",");
            format!("{:02}.{:02}.{} {h:02}:{m:02};{number}", date.day(), date.month(), date.year())
        }
        Style::EpochMillis => format!("{},{value}", time.micros() / 1000),
    }
}

fn write(style: Style, zone: &Zone, values: &[(Time, f64)], order: &[usize]) -> String {
    let header = if matches!(style, Style::EuNaive) { "t;v\n" } else { "t,v\n" };
    let rows = order.iter().map(|i| write_row(style, zone, values[*i].0, values[*i].1) + "\n");
    header.to_owned() + &rows.collect::<String>()
}

/// Values over a clock change: a fortnight in which the zone's clocks go on or back.
fn case() -> impl Strategy<Value = (Zone, Vec<(Time, f64)>, u8)> {
    const CHANGES: [(&str, &str); 6] = [
        ("America/New_York", "2025-03-05"),
        ("America/New_York", "2025-10-29"),
        ("Europe/Madrid", "2025-03-26"),
        ("Europe/Madrid", "2025-10-22"),
        ("Australia/Lord_Howe", "2026-04-01"),
        ("Australia/Lord_Howe", "2026-10-01"),
    ];
    let change = proptest::sample::select(CHANGES.as_slice());
    (change, 0_u64..1000, prop_oneof![Just(30_i64), Just(15)]).prop_map(|((zone, start), seed, minutes)| {
        let start: Time = format!("{start}T00:00:00Z").parse().unwrap();
        let count = 14 * 24 * 60 / minutes;
        let values = (0..count).map(|i| {
            let mixed = (seed + 1).wrapping_mul(i as u64 + 7).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            // Two decimals at least once, so that the notation is told from the file itself.
            (start.plus_micros(i * minutes * 60_000_000), (mixed as f64) / 100.0 + 0.25 * f64::from(i == 0))
        });
        (zone.parse().unwrap(), values.collect(), (seed % 251) as u8)
    })
}

fn shuffled(len: usize, seed: u8) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    order.sort_by_key(|i| {
        (*i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 ^ (u64::from(seed) << 32)).rotate_left(17)
    });
    order
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_style_reads_back(case in case()) {
        let (zone, values, seed) = case;
        let plain: Vec<usize> = (0..values.len()).collect();
        let reversed: Vec<usize> = plain.iter().rev().copied().collect();
        for style in [Style::IsoOffset, Style::IsoNaive, Style::UsNaive, Style::EuNaive, Style::EpochMillis] {
            let naive = matches!(style, Style::IsoNaive | Style::UsNaive | Style::EuNaive);
            // Shuffled naive rows lose which of two equal readings came first: only times with offsets are shuffled.
            let other = if naive { reversed.clone() } else { shuffled(values.len(), seed) };
            for order in [&plain, &other] {
                let text = write(style, &zone, &values, order);
                let mut options = options(naive.then_some(zone.name()));
                options.decimal = Some(if matches!(style, Style::EuNaive) { Decimal::Comma } else { Decimal::Point });
                let (read, report) = read(gzip(text.as_bytes()), &options).map_err(|e| TestCaseError::fail(format!("{style:?}: {e}")))?;
                let read: Vec<(Time, f64)> = read.iter().map(|o| (o.valid_time, o.value)).collect();
                prop_assert_eq!(report.rejected_count(), 0, "{:?} {:?}", style, report.rejected);
                prop_assert!(read == values, "{:?} in {} differs", style, zone);
                prop_assert_eq!(report.series[0].gaps.count, 0);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes, &options(Some("Europe/Madrid")));
        let _ = read([b"t,v\n".as_slice(), &bytes].concat(), &options(Some("Europe/Madrid")));
        let _ = read([&[0x1f, 0x8b, 8, 0], bytes.as_slice()].concat(), &options(None));
    }

    #[test]
    fn no_rows_panic(rows in proptest::collection::vec(("[0-9/\\-.: TZ\"+apm]{0,24}", "[0-9.,eE+ '\"infa-]{0,12}"), 0..20)) {
        let body: String = rows.iter().map(|(t, v)| format!("{t},{v}\n")).collect();
        for zone in [None, Some("America/New_York"), Some("Pacific/Apia")] {
            for labels in [Labels::Start, Labels::End] {
                let mut options = options(zone);
                options.labels = Some(labels);
                options.resolution = Some(Resolution::HOUR);
                options.decimal = Some(Decimal::Comma);
                let _ = read(format!("t,v\n{body}"), &options);
            }
        }
    }
}
