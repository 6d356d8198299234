//! Whatever bytes stand under a valid checksum, reading them gives a model that answers, or an error.
#![no_main]

use forewatt_model::artifact::{self, Artifact};
use forewatt_model::matrix::{DayClass, FeatureMatrix, RowKey};
use forewatt_model::predict::Predict as _;
use libfuzzer_sys::fuzz_target;
use sha2::{Digest as _, Sha256};

fuzz_target!(|data: &[u8]| {
    let _ = artifact::decode::<Vec<u32>>(data);
    // Bytes that a checksum does not protect: all but the last 32, which are set right.
    let Some(content) = data.len().checked_sub(32).map(|end| &data[..end]) else { return };
    let mut bytes = content.to_vec();
    bytes.extend_from_slice(&Sha256::digest(content));
    let Ok(Artifact { model, .. }) = artifact::decode::<Vec<u32>>(&bytes) else { return };
    let names = model.feature_names().to_vec();
    if names.len() > 1_000 {
        return;
    }
    let key = |i: i64| RowKey {
        origin: forewatt_domain::Time::from_seconds(0),
        valid_time: forewatt_domain::Time::from_seconds(i * 3600),
        lead: i as u32,
        slot_of_day: (i % 24) as u16,
        day_class: DayClass::Workday,
        day_of_year: 1,
        local_day: 0,
    };
    let values = (0..names.len() * 20).map(|i| if i % 7 == 0 { f32::NAN } else { i as f32 }).collect();
    let rows = FeatureMatrix { names, keys: (0..20).map(key).collect(), values, windows: None };
    let _ = model.predict(&rows);
});
