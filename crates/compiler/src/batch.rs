//! Pass `batch`: several images in one program.
//!
//! Before: the layers of one image in their order. After: those of all images, which share weights and
//! parameters: descriptors of the same layer read the same words. Images take turns, and what one of them
//! waits for is hidden behind the other's products. Either way costs something else:
//!
//! ```text
//! by layers    norm norm  prep prep  conv conv      operands of all images live at once;
//!                                                   weights serve all images at once
//! by segments  norm prep conv  norm prep conv       one image's operands live at a time;
//!                                                   weights stay until the last image
//! ```
//!
//! A segment ends where the array is done and something is prepared. Images of the first two segments and of the
//! last two follow one another as wholes: the sampler's update of an image has the time of another's convolutions.

use std::collections::BTreeSet;
use std::ops::Range;

use diffuser_model::graph::TensorId;

use crate::layer::{Layer, Layers, Work};
use crate::order::is_shortcut;
use crate::target::Target;

/// How the images take turns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turns {
    /// Number of images.
    pub images: usize,
    /// Segments that an image goes through as a whole, each by the tensors that it makes.
    whole: BTreeSet<TensorId>,
    /// Whether the first two and the last two segments are one.
    ends: bool,
}

/// Part of the weight memory that K and V of all images may take at once.
const CACHED_PARTS: usize = 8;

impl Turns {
    /// The fastest turns.
    #[must_use]
    pub fn new(layers: &Layers, images: usize, target: &Target) -> Self {
        let mut turns = Self {
            images,
            whole: BTreeSet::new(),
            ends: true,
        };
        let list = &layers.list;
        for segment in segments(list) {
            let cached = list[segment.clone()].iter().flat_map(Layer::writes);
            let cached = cached.filter_map(|v| layers.cached.get(&v.tensor()));
            if images * cached.sum::<usize>() > target.weight / CACHED_PARTS {
                turns.go_through(&list[segment]);
            }
        }
        turns
    }

    fn go_through(&mut self, segment: &[Layer]) -> bool {
        let made = segment.iter().flat_map(Layer::writes).map(|v| v.tensor());
        let before = self.whole.len();
        self.whole.extend(made);
        self.whole.len() > before
    }

    fn is_whole(&self, segment: &[Layer]) -> bool {
        let mut made = segment.iter().flat_map(Layer::writes);
        made.any(|v| self.whole.contains(&v.tensor()))
    }

    /// Less memory at one layer of one image's order; false where the turns already take the least.
    pub fn reduce(&mut self, layers: &Layers, place: usize) -> bool {
        if self.images == 1 {
            return false;
        }
        let segments = segments(&layers.list);
        let own = segments.iter().position(|s| s.contains(&place));
        let Some(own) = own else {
            return false;
        };
        if self.go_through(&layers.list[segments[own].clone()]) {
            return true;
        }
        let at_end = own < 2 || own + 2 >= segments.len();
        at_end && std::mem::take(&mut self.ends)
    }
}

/// Run the pass on the layers of one image.
#[must_use]
pub fn batch(one: &Layers, turns: &Turns) -> Layers {
    let stride = one.next_tensor();
    let mut all = one.clone();
    all.list.clear();
    all.images = turns.images;
    for image in 1..turns.images {
        let by = image * stride;
        all.streams
            .extend(one.streams.iter().map(|(t, form)| (t + by, *form)));
        let operands = one.operands.iter();
        all.operands
            .extend(operands.map(|(t, form)| (t + by, form.clone())));
        all.cached
            .extend(one.cached.iter().map(|(t, words)| (t + by, *words)));
    }
    let mut push = |place: usize, image: usize| {
        let mut layer = one.list[place].clone();
        layer.work.rename(|t| t + image * stride);
        (layer.image, layer.place) = (image, place);
        all.list.push(layer);
    };
    let mut segments: Vec<(Range<usize>, bool)> = segments(&one.list)
        .into_iter()
        .map(|s| (s.clone(), turns.is_whole(&one.list[s])))
        .collect();
    if turns.ends && segments.len() >= 4 {
        let joined = |a: &Range<usize>, b: &Range<usize>| (a.start..b.end, true);
        let n = segments.len();
        segments[n - 2] = joined(&segments[n - 2].0, &segments[n - 1].0);
        segments.pop();
        segments[0] = joined(&segments[0].0, &segments[1].0);
        segments.remove(1);
    }
    for (segment, whole) in with_shortcuts(&one.list, segments) {
        if whole {
            for image in 0..turns.images {
                segment.clone().for_each(|place| push(place, image));
            }
        } else {
            for place in segment {
                (0..turns.images).for_each(|image| push(place, image));
            }
        }
    }
    all
}

/// Segments that images go through as wholes, one with the next where it makes a shortcut: an image's inputs of a
/// block are dead before the next image begins with it.
fn with_shortcuts(
    list: &[Layer],
    segments: Vec<(Range<usize>, bool)>,
) -> Vec<(Range<usize>, bool)> {
    let mut joined: Vec<(Range<usize>, bool)> = Vec::new();
    for (segment, whole) in segments {
        match joined.last_mut() {
            Some((last, true)) if whole && is_shortcut(list, last.end - 1) => {
                last.end = segment.end
            }
            _ => joined.push((segment, whole)),
        }
    }
    joined
}

/// Layers up to where the array is done and something is prepared again.
fn segments(list: &[Layer]) -> Vec<Range<usize>> {
    let prepares = |l: &Layer| matches!(l.work, Work::Norm(_) | Work::Prep(_));
    let mut segments: Vec<Range<usize>> = Vec::new();
    let mut first = 0;
    for i in 1..=list.len() {
        if i == list.len() || prepares(&list[i]) && !prepares(&list[i - 1]) {
            segments.push(first..i);
            first = i;
        }
    }
    segments
}
