//! A forecast as the bytes that nodes share: checked against the key they lie under, and compressed when long.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use forewatt_domain::Forecast;
use sha2::{Digest, Sha256};

use super::BaseKey;

/// What the bytes begin with: ours, and the version of the form. A node that writes another form must not be read.
const MAGIC: [u8; 3] = [b'F', b'W', 1];
const PLAIN: u8 = 0;
const COMPRESSED: u8 = 1;
const SUM_BYTES: usize = 16;
const HEAD_BYTES: usize = MAGIC.len() + 1 + SUM_BYTES;

/// The name a key has among nodes: 64 hex digits.
pub(crate) fn name(key: &BaseKey, settings: u64) -> String {
    // As text, so that the same key has the same name on every machine.
    let text = serde_json::to_vec(&(env!("CARGO_PKG_VERSION"), settings, key)).unwrap_or_default();
    forewatt_domain::recipe::hex(&Sha256::digest(text))
}

/// The bytes of a forecast under a name; `None` when they would be more than `max_bytes`.
pub(crate) fn pack(
    name: &str,
    forecast: &Forecast,
    compress_min: usize,
    max_bytes: usize,
) -> Option<Vec<u8>> {
    let plain = postcard::to_allocvec(forecast).ok()?;
    let (form, body) = if plain.len() >= compress_min {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&plain).ok()?;
        (COMPRESSED, encoder.finish().ok()?)
    } else {
        (PLAIN, plain)
    };
    let mut packed = Vec::with_capacity(HEAD_BYTES + body.len());
    packed.extend_from_slice(&MAGIC);
    packed.push(form);
    packed.extend_from_slice(&checksum(name, form, &body));
    packed.extend_from_slice(&body);
    (packed.len() <= max_bytes).then_some(packed)
}

/// The forecast in bytes found under a name, or why they are refused: damaged, of another key, of another form, or not
/// the answer to the key.
pub(crate) fn unpack(
    name: &str,
    key: &BaseKey,
    packed: &[u8],
    max_bytes: usize,
) -> Result<Forecast, &'static str> {
    let (head, body) = packed.split_at_checked(HEAD_BYTES).ok_or("they are too short")?;
    let form = head[MAGIC.len()];
    if head[..MAGIC.len()] != MAGIC {
        return Err("they have another form");
    }
    if head[MAGIC.len() + 1..] != checksum(name, form, body) {
        return Err("their checksum is another");
    }
    let mut inflated = Vec::new();
    let plain = if form == COMPRESSED {
        // The limit holds unpacked too: a few bytes can unpack to gigabytes.
        let most = (max_bytes as u64).saturating_mul(16);
        let read = ZlibDecoder::new(body).take(most).read_to_end(&mut inflated);
        read.map_err(|_| "they do not unpack")?;
        &inflated[..]
    } else {
        body
    };
    let forecast: Forecast = postcard::from_bytes(plain).map_err(|_| "they hold no forecast")?;
    let right = forecast.series == key.series
        && forecast.model_version == key.version
        && forecast.forecast_start == key.forecast_start;
    if !right {
        return Err("they hold another forecast");
    }
    forecast.check().map_err(|_| "the forecast in them is none")?;
    Ok(forecast)
}

fn checksum(name: &str, form: u8, body: &[u8]) -> [u8; SUM_BYTES] {
    let mut sum = Sha256::new();
    sum.update(name.as_bytes());
    sum.update([form]);
    sum.update(body);
    let mut first = [0; SUM_BYTES];
    first.copy_from_slice(&sum.finalize()[..SUM_BYTES]);
    first
}

#[cfg(test)]
mod tests {
    use forewatt_domain::{ForecastPoint, QuantileLevels, Time, VersionId};

    use super::*;

    const MAX: usize = 100_000;

    fn key() -> BaseKey {
        BaseKey {
            series: "city.load".parse().unwrap(),
            version: VersionId::from_text("city.load-v1").unwrap(),
            revisions: vec![3, 4],
            forecast_start: Time::from_seconds(0),
            as_of: None,
            moved: false,
            rung: crate::ladder::Rung::Champion,
        }
    }

    fn forecast() -> Forecast {
        let point = |i: i64| ForecastPoint {
            valid_time: Time::from_seconds(3_600 * i),
            mean: 0.1 + i as f64,
            quantiles: vec![0.1, 0.2 + i as f64, f64::MAX],
        };
        Forecast {
            series: key().series,
            unit: "MW".to_owned(),
            model_version: key().version,
            forecast_start: key().forecast_start,
            issued_at: Time::from_seconds(60),
            data_watermark: Time::from_seconds(-1),
            quality: 1.0 / 3.0,
            degraded: Some("a reason".to_owned()),
            levels: QuantileLevels::parse("0.1,0.5,0.9").unwrap(),
            points: (0..48).map(point).collect(),
        }
    }

    #[test]
    fn what_is_packed_comes_out_exactly() {
        let (name, forecast) = (name(&key(), 1), forecast());
        for compress_min in [0, usize::MAX] {
            let packed = pack(&name, &forecast, compress_min, MAX).unwrap();
            assert_eq!(unpack(&name, &key(), &packed, MAX).unwrap(), forecast);
        }
        let (long, short) = (pack(&name, &forecast, MAX, MAX), pack(&name, &forecast, 0, MAX));
        assert!(short.unwrap().len() * 2 < long.unwrap().len());
        assert_eq!(pack(&name, &forecast, 0, 100), None, "too large to share");
    }

    #[test]
    fn damaged_and_foreign_bytes_are_refused() {
        let (name, other) = (name(&key(), 1), name(&BaseKey { revisions: vec![3, 5], ..key() }, 1));
        assert_ne!(name, other);
        assert_ne!(name, super::name(&key(), 2), "other settings, other answers");
        for compress_min in [0, usize::MAX] {
            let packed = pack(&name, &forecast(), compress_min, MAX).unwrap();
            for i in 0..packed.len() {
                let mut damaged = packed.clone();
                damaged[i] ^= 0x10;
                assert!(unpack(&name, &key(), &damaged, MAX).is_err(), "byte {i}");
                assert!(unpack(&name, &key(), &packed[..i], MAX).is_err(), "{i} bytes");
            }
            assert!(unpack(&other, &key(), &packed, MAX).is_err(), "copied from another key");
        }
        let mut crossing = forecast();
        crossing.points[7].quantiles[0] = 1e9;
        let packed = pack(&name, &crossing, 0, MAX).unwrap();
        assert!(unpack(&name, &key(), &packed, MAX).is_err(), "its quantiles cross");
        let packed = pack(&name, &Forecast { forecast_start: Time::from_seconds(1), ..forecast() }, 0, MAX);
        assert!(unpack(&name, &key(), &packed.unwrap(), MAX).is_err(), "it starts elsewhere");
    }
}
