//! Convolutions whose images take turns.
//!
//! The same convolution of several images, one behind the other in the list, is done part by part: each part's weights serve
//! all of them before the next part begins. To its memories such a run of layers is one: what one of its
//! layers reads last is still read when the parts of the others write.

use std::ops::Range;

use crate::layer::{Layer, Work};

/// The layers that take turns with layer `first` and those behind it; that one alone where none do.
pub fn run(list: &[Layer], first: usize) -> Range<usize> {
    let conv = |l: &Layer| matches!(l.work, Work::Conv(_));
    let own = &list[first];
    let same = |l: &Layer| conv(own) && conv(l) && l.node == own.node && l.image != own.image;
    let behind = list[first + 1..].iter().take_while(|l| same(l)).count();
    first..first + 1 + behind
}

/// All runs of a list, in order.
pub fn runs(list: &[Layer]) -> impl Iterator<Item = Range<usize>> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let run = (first < list.len()).then(|| run(list, first))?;
        first = run.end;
        Some(run)
    })
}
