//! Tests of the parser through its public face: small files, what is refused, round trips, and the import.

mod import;
mod refused;
mod round_trip;

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use forewatt_domain::{Observation, Resolution, Time};

use super::*;

/// Options for the columns `t` and `v` and a zone.
pub(super) fn options(zone: Option<&str>) -> ImportOptions {
    let column = ColumnMap { column: "v".to_owned(), series: "s".parse().unwrap() };
    let mut options = ImportOptions::new("t", vec![column]);
    options.time_zone = zone.map(|z| z.parse().unwrap());
    options
}

pub(super) fn source(text: impl AsRef<[u8]>) -> BytesSource {
    BytesSource(Bytes::copy_from_slice(text.as_ref()))
}

pub(super) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Parses bytes; observations of the first series by time.
pub(super) fn read(
    text: impl AsRef<[u8]>,
    options: &ImportOptions,
) -> Result<(Vec<Observation>, Report), ImportError> {
    let source = source(text);
    let inspection = inspect(&source, options)?;
    let mut all = Vec::new();
    let report = parse(&source, options, &inspection, &mut |batches| {
        for batch in batches {
            assert_eq!(batch.observations.len(), batch.lines.len());
            assert!(batch.observations.len() <= BATCH_MAX);
            if batch.series == options.columns[0].series {
                all.extend(batch.observations);
            }
        }
        Ok(())
    })?;
    all.sort_by_key(|o| o.valid_time);
    Ok((all, report))
}

/// `(valid time, value)` for comparison.
pub(super) fn pairs(observations: &[Observation]) -> Vec<(String, f64)> {
    observations.iter().map(|o| (o.valid_time.to_string(), o.value)).collect()
}

fn pair(time: &str, value: f64) -> (String, f64) {
    (time.to_owned(), value)
}

#[test]
fn a_plain_file() {
    let text = "t,v,w\n2026-01-01T00:00:00Z,1,x\n2026-01-01T01:00:00Z,2.5,x\n\n2026-01-01T03:00:00Z,-3,x\n";
    let (read, report) = read(text, &options(None)).unwrap();
    assert_eq!(
        pairs(&read),
        [
            pair("2026-01-01T00:00:00Z", 1.0),
            pair("2026-01-01T01:00:00Z", 2.5),
            pair("2026-01-01T03:00:00Z", -3.0)
        ]
    );
    assert_eq!(read[0].available_at.to_string(), "2026-01-01T01:00:00Z", "known when the hour has ended");
    assert_eq!((report.rows_read, report.rejected_count(), report.resolution), (3, 0, Resolution::HOUR));
    let gaps = &report.series[0].gaps;
    assert_eq!((gaps.count, gaps.steps), (1, 1));
    assert_eq!(gaps.first[0].0.to_string(), "2026-01-01T02:00:00Z");
    assert!(report.lines().iter().any(|l| l.contains("2026-01-01T02:00:00Z..2026-01-01T03:00:00Z")));
    assert!(serde_json::to_string(&report).unwrap().contains("\"rows_read\":3"));
}

#[test]
fn gzip_bom_crlf_and_quotes_change_nothing() {
    let text = "\u{feff}\"t\";\"v\"\r\n\"31.12.2025 23:00\";\"1.234,5\"\r\n\"01.01.2026 00:00\";\"2,5\"\r\n";
    let expected = [pair("2025-12-31T22:00:00Z", 1234.5), pair("2025-12-31T23:00:00Z", 2.5)];
    for bytes in [text.as_bytes().to_vec(), gzip(text.as_bytes())] {
        let (read, report) = read(bytes, &options(Some("Europe/Madrid"))).unwrap();
        assert_eq!(pairs(&read), expected);
        assert_eq!((report.detected.delimiter, report.detected.decimal), (';', Decimal::Comma));
        assert_eq!(report.detected.time.order, TimeOrder::DayFirst);
    }
}

#[test]
fn missing_words_and_bad_values_by_line() {
    let text = "t,v\n2026-01-01T00:00Z,\n2026-01-01T01:00Z,NA\n2026-01-01T02:00Z,MISSING\n2026-01-01T03:00Z,?\n\
                2026-01-01T04:00Z,abc\n2026-01-01T05:00Z,inf\n2026-01-01T06:00Z,1e16\nx,5\n2026-01-01T08:00Z\n,5\n\
                1850-01-01T08:00Z,1\n2026-01-01T09:30Z,1\n2026-01-01T10:00Z,7\n\"2026-01-01T11:00Z,7\n2026-01-01T12:00Z,8\n";
    let (read, report) = read(text, &options(None)).unwrap();
    assert_eq!(pairs(&read), [pair("2026-01-01T10:00:00Z", 7.0), pair("2026-01-01T12:00:00Z", 8.0)]);
    assert_eq!((report.series[0].missing.count, &report.series[0].missing.lines[..]), (4, &[2, 3, 4, 5][..]));
    let lines = |reason| report.rejected.get(&reason).map(|t: &Tally| t.lines.clone()).unwrap_or_default();
    assert_eq!(lines(Reason::NotANumber), [6]);
    assert_eq!(lines(Reason::NotFinite), [7]);
    assert_eq!(lines(Reason::Absurd), [8]);
    assert_eq!(lines(Reason::BadTime), [9]);
    assert_eq!(lines(Reason::WrongFieldCount), [10]);
    assert_eq!(lines(Reason::MissingTime), [11]);
    assert_eq!(lines(Reason::TimeOutOfRange), [12]);
    assert_eq!(lines(Reason::OffGrid), [13]);
    assert_eq!(lines(Reason::UnterminatedQuote), [15]);
    assert_eq!(report.rejected_count(), 9);
    assert_eq!(report.rows_read, 15);
}

#[test]
fn long_lines_cost_only_themselves() {
    let mut text = b"t,v\n2026-01-01T00:00Z,1\n".to_vec();
    text.extend(std::iter::repeat_n(b'9', 3 << 20));
    text.extend(b"\n2026-01-01T01:00Z,2\n");
    let (observations, report) = read(&text, &options(None)).unwrap();
    assert_eq!((observations.len(), report.rejected[&Reason::LineTooLong].lines.clone()), (2, vec![3]));
}

#[test]
fn quoted_fields_may_span_lines() {
    let text = "t,note,v\n2026-01-01T00:00Z,\"two\nlines\",1\n2026-01-01T01:00Z,\"a \"\"b\"\"\",2\n2026-01-01T02:00Z,c,3\n";
    let (observations, report) = read(text, &options(None)).unwrap();
    assert_eq!((observations.len(), report.rejected_count()), (3, 0));
}

#[test]
fn duplicates_same_and_different() {
    let text = "t,v\n2026-01-01T02:00Z,3\n2026-01-01T00:00Z,1\n2026-01-01T01:00Z,2\n2026-01-01T00:00Z,1\n2026-01-01T01:00Z,9\n2026-01-01T03:00Z,\n2026-01-01T03:00Z,4\n";
    let (read, report) = read(text, &options(None)).unwrap();
    assert_eq!(read.iter().map(|o| o.value).collect::<Vec<_>>(), [1.0, 2.0, 3.0, 4.0]);
    assert_eq!((report.duplicates_dropped.count, &report.duplicates_dropped.lines[..]), (1, &[5][..]));
    let conflict = &report.rejected[&Reason::ConflictingDuplicate];
    assert_eq!((conflict.count, &conflict.lines[..]), (1, &[6][..]));
    assert!(conflict.example.as_ref().unwrap().contains("2 on line 4"), "{conflict:?}");
}

#[test]
fn the_repeated_and_the_skipped_hour() {
    let autumn = "t,v\n2025-11-02 00:00,0\n2025-11-02 01:00,1\n2025-11-02 01:00,2\n2025-11-02 02:00,3\n";
    let (observations, report) = read(autumn, &options(Some("America/New_York"))).unwrap();
    assert_eq!(
        pairs(&observations),
        [
            pair("2025-11-02T04:00:00Z", 0.0),
            pair("2025-11-02T05:00:00Z", 1.0),
            pair("2025-11-02T06:00:00Z", 2.0),
            pair("2025-11-02T07:00:00Z", 3.0)
        ]
    );
    assert_eq!(report.repeated, [RepeatedHour { label: "2025-11-02 01:00".to_owned(), lines: (3, 4) }]);

    // Newest first: what comes first in the file is the later hour.
    let falling = "t,v\n2025-11-02 02:00,3\n2025-11-02 01:00,2\n2025-11-02 01:00,1\n2025-11-02 00:00,0\n";
    assert_eq!(pairs(&read(falling, &options(Some("America/New_York"))).unwrap().0), pairs(&observations));

    let once = "t,v\n2025-11-02 00:00,0\n2025-11-02 01:00,1\n2025-11-02 02:00,3\n2025-11-02 03:00,4\n";
    let mut settled = options(Some("America/New_York"));
    let (observations, report) = read(once, &settled).unwrap();
    assert_eq!((observations.len(), report.rejected[&Reason::AmbiguousHour].lines.clone()), (3, vec![3]));
    for (choice, hour) in
        [(Ambiguous::Earlier, "2025-11-02T05:00:00Z"), (Ambiguous::Later, "2025-11-02T06:00:00Z")]
    {
        settled.ambiguous = Some(choice);
        assert!(pairs(&read(once, &settled).unwrap().0).contains(&pair(hour, 1.0)));
    }

    let spring = "t,v\n2025-03-09 01:00,1\n2025-03-09 02:00,9\n2025-03-09 03:00,2\n2025-03-09 04:00,3\n";
    let (observations, report) = read(spring, &options(Some("America/New_York"))).unwrap();
    assert_eq!((observations.len(), report.rejected[&Reason::SkippedHour].lines.clone()), (3, vec![3]));
    assert_eq!(report.series[0].gaps.count, 0, "nothing is missing where clocks skip");
}

/// Hour-ending labels as PJM writes them: 02:00 comes twice in autumn, 03:00 never in spring.
const HOUR_ENDING: &str = "t,v\n30-03-2025 01:00,1\n09-03-2025 01:00,1\n09-03-2025 02:00,2\n09-03-2025 04:00,3\n09-03-2025 05:00,3\n\
    02-11-2025 01:00,4\n02-11-2025 02:00,5\n02-11-2025 02:00,6\n02-11-2025 03:00,7\n";

#[test]
fn labels_of_period_ends() {
    let mut options = options(Some("America/New_York"));
    let error = read(HOUR_ENDING, &options).unwrap_err().to_string();
    assert!(error.contains("--labels end") && error.contains("2025-11-02 02:00"), "{error}");
    options.labels = Some(Labels::End);
    let (observations, report) = read(HOUR_ENDING, &options).unwrap();
    assert_eq!((report.rejected_count(), report.repeated_hours), (0, 1));
    let autumn: Vec<String> = observations.iter().skip(5).map(|o| o.valid_time.to_string()).collect();
    assert_eq!(
        autumn,
        ["2025-11-02T04:00:00Z", "2025-11-02T05:00:00Z", "2025-11-02T06:00:00Z", "2025-11-02T07:00:00Z"]
    );
    assert_eq!(observations[0].valid_time.to_string(), "2025-03-09T05:00:00Z");
    let gaps = report.label_gaps.unwrap();
    assert_eq!((gaps.count, gaps.skipped_by_clocks), (3, 1));
    options.labels = Some(Labels::Start);
    let (_, report) = read(HOUR_ENDING, &options).unwrap();
    assert_eq!(report.rejected[&Reason::ConflictingDuplicate].count, 1);
    assert!(report.warnings.iter().any(|w| w.contains("--labels end")), "{:?}", report.warnings);
}

#[test]
fn availability_by_column_delay_or_always() {
    let text = "t,a,v\n2026-01-02T00:00Z,2026-01-01 06:00,1\n2026-01-02T01:00Z,2026-01-01 06:00,2\n2026-01-02T00:00Z,2026-01-01 12:00,3\n2026-01-02T01:00Z,x,4\n";
    let mut options = options(Some("Asia/Kolkata"));
    options.available = Availability::Column("a".to_owned());
    let (observations, report) = read(text, &options).unwrap();
    assert_eq!((observations.len(), report.rejected[&Reason::BadAvailability].lines.clone()), (3, vec![5]));
    assert_eq!(observations[0].available_at.to_string(), "2026-01-01T00:30:00Z");
    options.available = Availability::After(jiff::SignedDuration::from_hours(6));
    let (observations, _) = read("t,v\n2026-01-02T00:00Z,1\n2026-01-02T01:00Z,2\n", &options).unwrap();
    assert_eq!(observations[0].available_at.to_string(), "2026-01-02T07:00:00Z");
    options.available = Availability::Known;
    let (observations, _) = read("t,v\n2026-01-02T00:00Z,1\n2026-01-02T01:00Z,2\n", &options).unwrap();
    assert_eq!(observations[0].available_at, Time::MIN);
}

#[test]
fn many_columns_filters_days_and_half_hour_zones() {
    let text = "ba,t,v,w\nA,2026-01-01 00:00,1,10\nB,2026-01-01 00:00,2,20\nA,2026-01-01 01:00,3,\nB,2026-01-01 01:00,4,40\n";
    let mut two = options(Some("Asia/Kolkata"));
    two.columns.push(ColumnMap { column: "w".to_owned(), series: "w".parse().unwrap() });
    two.only = vec![RowFilter { column: "ba".to_owned(), value: "A".to_owned() }];
    let (observations, report) = read(text, &two).unwrap();
    assert_eq!(pairs(&observations)[0], pair("2025-12-31T18:30:00Z", 1.0));
    assert_eq!(
        (report.rows_filtered, report.series[1].values, report.series[1].missing.lines.clone()),
        (2, 1, vec![4])
    );

    let days = "t,v\n29/03/2026,1\n30/03/2026,2\n31/03/2026,3\n";
    let (observations, report) = read(days, &options(Some("Europe/Madrid"))).unwrap();
    assert_eq!(pairs(&observations)[0], pair("2026-03-29T00:00:00Z", 1.0));
    assert_eq!(report.resolution.steps_per_day(), 1);
}
