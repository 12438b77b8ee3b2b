//! Any bytes: a quantised model or an error; what is read can be prepared, or is refused.

#![no_main]

use diffuser_model::quantised::QuantisedModel;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(model) = QuantisedModel::from_bytes(bytes, "fuzz") {
        let _ = model.prepare(&[0, 500, u32::MAX], None);
        let _ = model.prepare(&[0], Some(0));
    }
});
