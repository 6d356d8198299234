//! JSON and UBJSON models of XGBoost: whatever the bytes, an error or a model that answers.
#![no_main]

use forewatt_model::foreign::ForeignModel;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if bytes.starts_with(b"{")
        && let Ok(model) = ForeignModel::read(bytes)
    {
        let row = vec![f64::NAN; model.used().len()];
        model.answer(&row, &mut vec![0.0; model.outputs()]);
    }
});
