//! Exact rewrites of a network: other layers, the same function of its weights.
//!
//! Nearest 2x upsampling repeats each pixel four times, so that of the nine taps of a 3x3 convolution behind
//! it several read the same pixel. For an output pixel of row `2 y + py` and column `2 x + px` the three rows of
//! taps read rows `y - 1, y, y` of the small image (`py = 0`) or `y, y, y + 1` (`py = 1`); columns alike. The
//! weights of taps that read one pixel are added, once and in float: each of the four **phases** `(py, px)` is a
//! 2x2 convolution of the small image (Shi et al. 2016, arXiv:1609.07009), with 16 products for four output
//! pixels instead of 36.
//!
//! Padding is the same too: what the 3x3 reads beyond the upsampled image is what the phases read beyond
//! the small one.
//!
//! A ResNet block of the way up reads the concatenation of its input and a skip connection. A convolution is
//! linear: it is the **sum of two**, one of the input's channels and one of the skip's, each with its columns of the weight.
//! A norm's groups are normalised one by one: where each lies in one of the two streams, the norm is two as well.
//! A **split** block has its first norm and convolution in these two parts if its groups let it, and makes the
//! skip's first, for which nothing but the skip is needed; also the skip's of the shortcut, which is always in two parts.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::graph::{Conv, Graph, Op};

/// Kernel of the convolution in front of which an image is upsampled.
const WHOLE: usize = 3;

/// Kernel of a phase.
const KERNEL: usize = 2;

/// Which rewrites a graph is built with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rewrites {
    /// Convolutions behind nearest 2x upsampling run in [phases](Phase) where their result has at least so
    /// many pixels; `None`: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phases_from: Option<usize>,
    /// ResNet blocks over a skip connection are split where they have at least so many pixels; `None`: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_from: Option<usize>,
}

impl Rewrites {
    /// The network as its configuration says.
    pub const NONE: Self = Self {
        phases_from: None,
        split_from: None,
    };

    /// Phases from 16 x 16 pixels on. Their weights take 16/9 of the bytes, and where there are fewer pixels
    /// to use them for, loading them takes longer than the products that they save.
    pub const PHASES: Self = Self {
        phases_from: Some(16 * 16),
        ..Self::NONE
    };

    /// Blocks split from 16 x 16 pixels on: there the skip's part has many products for its weights, which fill the time in
    /// which an array waits for the weights of layers with few pixels.
    pub const SPLIT: Self = Self {
        split_from: Some(16 * 16),
        ..Self::NONE
    };

    /// [`Rewrites::PHASES`] and [`Rewrites::SPLIT`], each if it is wanted.
    #[must_use]
    pub fn chosen(phases: bool, split: bool) -> Self {
        Self {
            phases_from: Self::PHASES.phases_from.filter(|_| phases),
            split_from: Self::SPLIT.split_from.filter(|_| split),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    /// Whether a convolution behind nearest 2x upsampling, with a result of so many pixels, runs in phases.
    #[must_use]
    pub fn phases(&self, pixels: usize) -> bool {
        self.phases_from.is_some_and(|least| pixels >= least)
    }

    /// Whether a ResNet block over a skip connection, with so many pixels, is split.
    #[must_use]
    pub fn splits(&self, pixels: usize) -> bool {
        self.split_from.is_some_and(|least| pixels >= least)
    }

    /// Those that changed something of a graph which was built with them.
    #[must_use]
    pub fn used(self, graph: &Graph) -> Self {
        let any = |kind: fn(&Op) -> bool| graph.nodes.iter().any(|n| kind(&n.op));
        Self {
            phases_from: self
                .phases_from
                .filter(|_| any(|op| matches!(op, Op::Conv(c) if c.phases))),
            split_from: self.split_from.filter(|_| any(is_skip_first)),
        }
    }
}

/// Whether it is the skip's part of something in two parts, made first.
fn is_skip_first(op: &Op) -> bool {
    matches!(op, Op::Conv(c) if c.input_channels.start > 0 && c.residual.is_none())
}

/// Whether each group of a norm over two streams of so many channels lies in one of them.
#[must_use]
pub fn groups_are_apart(channels: [usize; 2], groups: usize) -> bool {
    let [a, b] = channels;
    a.is_multiple_of((a + b) / groups)
}

/// Every second row and column of an upsampled image: one of four 2x2 convolutions of the small image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// Its rows are `2 y + row`: 0 or 1.
    pub row: usize,
    /// Its columns are `2 x + column`: 0 or 1.
    pub column: usize,
}

impl Phase {
    /// In the order in which weights, biases and multipliers have them.
    pub const ALL: [Self; 4] = [
        Self { row: 0, column: 0 },
        Self { row: 0, column: 1 },
        Self { row: 1, column: 0 },
        Self { row: 1, column: 1 },
    ];

    /// Padding above and at the left: output (y, x) of the phase reads rows from `y - padding` on.
    #[must_use]
    pub const fn padding(self) -> [usize; 2] {
        [1 - self.row, 1 - self.column]
    }

    /// Where pixel `n` of the phase, in raster order and of rows of `width` pixels, lies in the upsampled image.
    #[must_use]
    pub const fn pixel(self, n: usize, width: usize) -> usize {
        let (y, x) = (n / width, n % width);
        (2 * y + self.row) * 2 * width + 2 * x + self.column
    }

    /// Which of [`Phase::ALL`] makes pixel `n` of the upsampled image, in raster order and of rows of `width` pixels.
    #[must_use]
    pub const fn of(n: usize, width: usize) -> usize {
        n / width % 2 * 2 + n % width % 2
    }

    /// Rows (or columns) of the 3x3 that tap 0 or 1 of the phase stands for, by the parity of its row (column).
    const fn merged(parity: usize, tap: usize) -> Range<usize> {
        match (parity, tap) {
            (0, 0) => 0..1,
            (0, _) => 1..3,
            (_, 0) => 0..2,
            (_, _) => 2..3,
        }
    }
}

/// Weights of all phases, `4 x out x in x 2 x 2`, of a convolution's, `out x in x 3 x 3`.
///
/// # Panics
/// When the weight is no whole number of 3x3 kernels.
#[must_use]
pub fn phase_weights(weight: &[f32]) -> Vec<f32> {
    assert_eq!(weight.len() % (WHOLE * WHOLE), 0, "whole kernels");
    let mut all = Vec::with_capacity(Phase::ALL.len() * weight.len() / 9 * 4);
    for phase in Phase::ALL {
        for kernel in weight.chunks_exact(WHOLE * WHOLE) {
            for tap in 0..KERNEL * KERNEL {
                let rows = Phase::merged(phase.row, tap / KERNEL);
                let columns = Phase::merged(phase.column, tap % KERNEL);
                let taps = rows.flat_map(|r| columns.clone().map(move |c| r * WHOLE + c));
                let sum: f64 = taps.map(|t| f64::from(kernel[t])).sum();
                all.push(sum as f32);
            }
        }
    }
    all
}

impl Conv {
    /// The phases that it consists of; `None` for one that is no [`Conv::phases`].
    pub fn parts(&self) -> impl Iterator<Item = Option<Phase>> + use<> {
        let phases = self.phases;
        let whole = (!phases).then_some(None);
        let all = Phase::ALL.into_iter().filter(move |_| phases).map(Some);
        whole.into_iter().chain(all)
    }

    /// Rows of its weights: its output channels, of each phase after the one before.
    #[must_use]
    pub const fn weight_rows(&self) -> usize {
        if self.phases {
            Phase::ALL.len() * self.output_channels
        } else {
            self.output_channels
        }
    }

    /// Kernel of the weight that the pipeline has.
    #[must_use]
    pub const fn float_kernel(&self) -> usize {
        if self.phases { WHOLE } else { self.kernel }
    }

    /// The weight of all rows, `rows x in x kernel x kernel`, of the pipeline's.
    #[must_use]
    pub fn weight_of<'a>(&self, float: &'a [f32]) -> std::borrow::Cow<'a, [f32]> {
        if self.phases {
            phase_weights(float).into()
        } else {
            float.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every tap of the 3x3 counts once in each phase, at the pixel that it reads of the upsampled image.
    #[test]
    fn taps_read_the_pixels_of_the_upsampled_image() {
        for parity in 0..2 {
            for tap in 0..KERNEL {
                for whole in Phase::merged(parity, tap) {
                    // row 2 y + parity of the upsampled image, with y = 5
                    let upsampled = 2 * 5 + parity + whole - 1;
                    let small = 5 + tap - (1 - parity);
                    assert_eq!(upsampled / 2, small, "{parity} {tap} {whole}");
                }
            }
            let all = (0..KERNEL).flat_map(|t| Phase::merged(parity, t));
            assert!(all.eq(0..WHOLE));
        }
    }

    #[test]
    fn weights_are_sums_phase_after_phase() {
        // two kernels: powers of two, so that each sum says what is in it
        let weight: Vec<f32> = (0..18).map(|i| (1 << i) as f32).collect();
        let got = phase_weights(&weight);
        let bits = |taps: &[u32], k: u32| {
            taps.iter()
                .map(|t| (1u32 << (9 * k + t)) as f32)
                .sum::<f32>()
        };
        let want = [
            [&[0][..], &[1, 2], &[3, 6], &[4, 5, 7, 8]],
            [&[0, 1], &[2], &[3, 4, 6, 7], &[5, 8]],
            [&[0, 3], &[1, 2, 4, 5], &[6], &[7, 8]],
            [&[0, 1, 3, 4], &[2, 5], &[6, 7], &[8]],
        ];
        let want = want
            .iter()
            .flat_map(|phase| (0..2).flat_map(|k| phase.iter().map(move |t| bits(t, k))));
        assert_eq!(got, want.collect::<Vec<f32>>());
    }

    #[test]
    fn phases_fill_the_upsampled_image() {
        let mut seen: Vec<usize> = (Phase::ALL.into_iter())
            .flat_map(|p| (0..15).map(move |n| p.pixel(n, 5)))
            .collect();
        assert_eq!(seen[..6], [0, 2, 4, 6, 8, 20]);
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..60));
    }

    #[test]
    fn the_rule_counts_pixels() {
        assert!(!Rewrites::NONE.phases(1 << 20) && !Rewrites::NONE.splits(1 << 20));
        assert!(Rewrites::PHASES.phases(256) && !Rewrites::PHASES.phases(255));
        assert!(Rewrites::SPLIT.splits(256) && !Rewrites::SPLIT.splits(255));
        assert!(!Rewrites::PHASES.splits(1 << 20) && !Rewrites::SPLIT.phases(1 << 20));
        for (rewrites, json) in [
            (Rewrites::PHASES, r#"{"phases_from":256}"#),
            (Rewrites::SPLIT, r#"{"split_from":256}"#),
        ] {
            assert_eq!(serde_json::to_string(&rewrites).unwrap(), json);
            assert_eq!(serde_json::from_str::<Rewrites>(json).unwrap(), rewrites);
        }
        assert!(serde_json::from_str::<Rewrites>(r#"{"phases_from":256,"other":1}"#).is_err());
    }

    #[test]
    fn groups_lie_in_one_stream_or_reach_over() {
        // of the 35.7 M U-Net: groups of 16, 8 and 12 channels
        assert!(groups_are_apart([256, 256], 32) && groups_are_apart([128, 128], 32));
        assert!(!groups_are_apart([256, 128], 32));
        assert!(groups_are_apart([24, 12], 3) && !groups_are_apart([24, 12], 2));
    }
}
