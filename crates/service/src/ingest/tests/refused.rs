//! Files that are refused, each with the option or step that mends it.

use super::*;

fn refusal(text: impl AsRef<[u8]>, options: &ImportOptions) -> String {
    read(text, options).unwrap_err().to_string()
}

#[test]
fn what_is_open_is_refused_with_its_option() {
    let naive = options(Some("UTC"));
    for (text, options, part) in [
        ("t,v\n01/02/2026 00:00,1\n01/02/2026 01:00,2\n02/02/2026 01:00,2\n", &naive, "%d/%m/%Y %H:%M"),
        ("t,v\n2026-01-01 00:00,1\n2026-01-01 01:00,2\n", &options(None), "--time-zone"),
        ("t,v\n01/31/26 00:00,1\n", &naive, "two digits"),
        ("t;v\n2026-01-01 00:00;1,234\n2026-01-01 01:00;2,345\n", &naive, "--decimal"),
        ("t;v\n2026-01-01 00:00;1.5\n2026-01-01 01:00;2,5\n", &naive, "decimal points"),
        ("t,v\n13/01/2026 00:00,1\n01/13/2026 01:00,2\n", &naive, "line 2 has `13/01/2026 00:00`, line 3"),
        ("t,v\n2026-01-01 00:00,1\n13/01/2026 01:00,2\n", &naive, "mixes"),
        ("t,v\n2026-01-01 00:00,1\n", &naive, "--resolution"),
        ("t,v\n2026-01-01 00:00,1\n2026-01-01 00:07,1\n", &naive, "7 minutes"),
        ("t,v\nyesterday,1\n", &naive, "--time-format"),
        ("t,w\n2026-01-01 00:00,1\n", &naive, "no column `v`"),
        ("t,Value\n2026-01-01 00:00,1\n", &naive, "has: t, Value"),
        ("t,v,v\n2026-01-01 00:00,1,2\n", &naive, "more than once"),
        ("t#v\n2026-01-01 00:00#1\n", &naive, "--delimiter"),
        ("", &naive, "no header"),
        ("t,v\n", &naive, "no rows"),
        ("t,v\n,\n", &naive, "no rows"),
        ("t,v\r2026-01-01 00:00,1\r", &naive, "CR alone"),
    ] {
        let refusal = refusal(text, options);
        assert!(refusal.contains(part), "{text:?}: {refusal}");
    }
    let mut utc = options(None);
    utc.time_column = "time_utc".to_owned();
    assert!(refusal("time_utc,v\n2026-01-01 00:00,1\n", &utc).contains("suggests --time-zone UTC"));
    let mut format = options(Some("UTC"));
    format.time_format = Some("%d/%m/%Y %H:%M".to_owned());
    let (observations, _) = read("t,v\n01/02/2026 00:00,1\n01/02/2026 01:00,2\n", &format).unwrap();
    assert_eq!(observations[0].valid_time.to_string(), "2026-02-01T00:00:00Z");
    format.time_format = Some("%Y".to_owned());
    assert!(refusal("t,v\n01/02/2026 00:00,1\n", &format).contains("follows the format"));
}

#[test]
fn what_is_no_text_is_named() {
    let utf16: Vec<u8> = "t,v\n1,2\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_bom: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf16.clone()).collect();
    for (bytes, part) in [
        (utf16, "UTF-16"),
        (with_bom, "iconv"),
        (b"PK\x03\x04aaaa".to_vec(), "unzip"),
        (b"PAR1aaaa".to_vec(), "Parquet"),
        (gzip(&gzip(b"t,v\n")), "gzip within gzip"),
    ] {
        let refusal = refusal(bytes, &options(None));
        assert!(refusal.contains(part), "{refusal}");
    }
    let latin = b"t,v,\xb0C\n2026-01-01T00:00Z,1,2\n2026-01-01T01:00Z,1,2\n";
    let (_, report) = read(latin, &options(None)).unwrap();
    assert!(report.warnings.iter().any(|w| w.contains("Latin-1")));
}

#[test]
fn broken_gzip_is_refused_before_anything_is_read() {
    let mut text = b"t,v\n".to_vec();
    for day in 1..=28 {
        for h in 0..24 {
            text.extend(format!("2026-01-{day:02}T{h:02}:00:00Z,{}\n", day * 7919 + h * 104_729).bytes());
        }
    }
    let whole = gzip(&text);
    assert_eq!(read(&whole, &options(None)).unwrap().0.len(), 28 * 24);
    for cut in [3, 12, whole.len() / 2, whole.len() - 4] {
        let refusal = refusal(&whole[..cut], &options(None));
        assert!(refusal.contains("gzip file is damaged"), "{cut}: {refusal}");
    }
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0xff;
    assert!(read(&damaged, &options(None)).is_err());
}

#[test]
fn bombs_and_giants_are_refused() {
    let mut text = b"t,v\n2026-01-01T00:00Z,1\n".to_vec();
    text.extend(std::iter::repeat_n(b'\n', 20 << 20));
    assert!(refusal(gzip(&text), &options(None)).contains("each byte of gzip became"));
    let mut small = options(None);
    small.limits.max_bytes = 20;
    assert!(refusal("t,v\n2026-01-01T00:00Z,1\n2026-01-01T01:00Z,1\n", &small).contains("limit is 20 bytes"));
    let mut tight = options(None);
    tight.limits.max_slot_bytes = 100;
    let rows: String = (0..200).map(|i| format!("{}-01-01T00:00Z,1\n", 1901 + i)).collect();
    tight.resolution = Some(Resolution::HOUR);
    assert!(refusal(format!("t,v\n{rows}"), &tight).contains("times to remember"));
}

#[test]
fn options_that_cannot_be() {
    let text = "t,v\n2026-01-01T00:00Z,1\n";
    let mut none = options(None);
    none.columns.clear();
    assert!(refusal(text, &none).contains("--value"));
    let mut twice = options(None);
    twice.columns.push(twice.columns[0].clone());
    assert!(refusal(text, &twice).contains("two columns"));
    let mut delimiter = options(None);
    delimiter.delimiter = Some(b'"');
    assert!(refusal(text, &delimiter).contains("delimiter"));
}
