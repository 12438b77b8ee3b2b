//! Pass `homes`: where streams that live or wait in DDR lie there.
//!
//! Before: transfers name streams. After: each of these has the first of its words in DDR.

use std::collections::BTreeMap;

use diffuser_model::graph::TensorId;

use crate::allocate::{Request, fit};
use crate::layer::{Layers, Work};
use crate::records::ALIGNMENT;
use crate::target::Target;

/// Run the pass. Streams that do not live together share a place. A home begins at a multiple of 64 bytes, and so does
/// each block of channels in it.
pub fn homes(layers: &mut Layers, target: &Target) {
    let mut lives: BTreeMap<TensorId, [usize; 2]> = BTreeMap::new();
    for (i, layer) in layers.list.iter().enumerate() {
        if let Work::Load(t) | Work::Store(t) = &layer.work {
            let life = lives.entry(t.home).or_insert([i, i]);
            life[1] = i;
        }
    }
    let unit = (ALIGNMENT / (2 * target.shape.outputs)).max(1);
    let requests: Vec<Request> = lives
        .iter()
        .map(|(t, &[first, last])| {
            let form = layers.streams[t];
            let blocks = form.channels.div_ceil(target.shape.outputs);
            Request {
                size: blocks * form.pixels().next_multiple_of(unit),
                first,
                last,
            }
        })
        .collect();
    let (addresses, words) = fit(&requests);
    layers.homes = lives.keys().copied().zip(addresses).collect();
    layers.home_words = words;
}
