//! Text models of LightGBM: whatever the bytes, an error or a model that answers.
#![no_main]

use forewatt_model::foreign::ForeignModel;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(model) = ForeignModel::read(&[b"tree\n", bytes].concat()) {
        answer(&model);
    }
    if let Ok(model) = ForeignModel::read(bytes) {
        answer(&model);
    }
});

fn answer(model: &ForeignModel) {
    let row = vec![f64::NAN; model.used().len()];
    model.answer(&row, &mut vec![0.0; model.outputs()]);
}
