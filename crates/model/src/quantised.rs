//! A quantised model: weights of 8 or 4 bits, and for each tensor a small table over time steps.
//!
//! Tables are keyed by intervals of the training time step, never by the index of a sampling loop,
//! so that any number of steps, scheduler and class works on one file.

use diffuser_spec::Scale;
use serde::{Deserialize, Serialize};

use crate::config::UnetConfig;
use crate::graph::Graph;
use crate::rewrite::Rewrites;

/// Where a quantised model comes from and how it was made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// SHA-256 of the float weights' file, in hexadecimal.
    pub source_sha256: String,
    /// Version of the quantiser, `CARGO_PKG_VERSION`.
    pub quantiser: String,
    /// Name of the method.
    pub method: String,
    /// Name of the sampler that the calibration followed.
    pub sampler: String,
    /// Its number of steps.
    pub steps: u32,
    /// Number of images.
    pub images: u32,
    /// Seed of their noise.
    pub seed: u64,
    /// How the weights were rounded. Files from before there was a choice do not say: to nearest.
    #[serde(default = "nearest")]
    pub rounding: String,
}

fn nearest() -> String {
    "nearest".into()
}

/// A quantised model, ready to be prepared for a schedule ([`QuantisedModel::prepare`]).
#[derive(Clone, Debug, PartialEq)]
pub struct QuantisedModel {
    /// Configuration of the U-Net.
    pub config: UnetConfig,
    /// What the graph was rewritten with.
    pub rewrites: Rewrites,
    /// The graph that configuration and rewrites stand for.
    pub graph: Graph,
    /// `scheduler_config.json` as it was.
    pub scheduler: Option<serde_json::Value>,
    /// Names of the classes, empty when they have none.
    pub class_names: Vec<String>,
    /// Where it comes from.
    pub provenance: Provenance,
    /// Which row of the tables serves which time step.
    pub intervals: Intervals,
    /// Calibrated time steps, ascending.
    pub calibrated: Vec<u32>,
    /// One table a tensor of the graph.
    pub tensors: Vec<TensorTable>,
    /// Parameters of each node of the graph.
    pub nodes: Vec<NodeParams>,
    /// The embedding network.
    pub embedding: EmbeddingParams,
}

/// Which row of every table serves a training time step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// First time step of each interval, ascending; the first is 0.
    pub starts: Vec<u32>,
}

impl Intervals {
    /// One interval around each calibrated time step, borders half-way between neighbours.
    ///
    /// `timesteps` in any order; duplicates count once.
    #[must_use]
    pub fn around(timesteps: &[u32]) -> Self {
        let mut t = timesteps.to_vec();
        t.sort_unstable();
        t.dedup();
        let mut starts = vec![0];
        starts.extend(t.windows(2).map(|w| (w[0] + w[1]).div_ceil(2)));
        Self { starts }
    }

    /// Number of intervals.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Row for a training time step.
    #[must_use]
    pub fn row(&self, timestep: u32) -> usize {
        self.starts
            .partition_point(|&s| s <= timestep)
            .saturating_sub(1)
    }
}

/// How one tensor is represented, a row an interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensorTable {
    /// The sampler's state as two planes: one plane unit is `2^(shift - 24)`.
    State {
        /// Shift, `0..=24`.
        shift: Vec<u8>,
    },
    /// A stream: values are `x * 2^-exponent`.
    Stream {
        /// Exponent, `-16..=20`.
        exponent: Vec<i8>,
    },
    /// An operand made by a factor: output of a normalisation, of attention, or of a stream.
    Gain {
        /// Factor, Q15, `1..=32767`.
        gain: Vec<i16>,
        /// Operand that stands for zero, `-127..=127`; 0 for attention.
        zero_point: Vec<i8>,
    },
    /// An operand of two planes; its step follows from the stream or state that it is made of.
    Planes,
    /// An operand that a convolution makes (Q, K, V); zero point 0.
    Step {
        /// Real value of one unit.
        step: Vec<Scale>,
    },
}

impl TensorTable {
    /// Bytes of all rows.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::State { shift } => shift.len(),
            Self::Stream { exponent } => exponent.len(),
            Self::Gain { gain, .. } => 3 * gain.len(),
            Self::Planes => 0,
            Self::Step { step } => 4 * step.len(),
        }
    }
}

/// Width of a layer's weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightBits {
    /// `-127..=127`.
    #[default]
    Eight,
    /// `-8..=7`.
    Four,
}

impl WeightBits {
    /// Least weight.
    #[must_use]
    pub const fn min(self) -> i32 {
        match self {
            Self::Eight => -diffuser_spec::OPERAND_MAX,
            Self::Four => diffuser_spec::weight4::WEIGHT4_MIN,
        }
    }

    /// Largest weight.
    #[must_use]
    pub const fn max(self) -> i32 {
        match self {
            Self::Eight => diffuser_spec::OPERAND_MAX,
            Self::Four => diffuser_spec::weight4::WEIGHT4_MAX,
        }
    }

    /// Number of bits.
    #[must_use]
    pub const fn count(self) -> u32 {
        match self {
            Self::Eight => 8,
            Self::Four => 4,
        }
    }

    /// Bytes of so many rows of `channels` weights; a row of 4-bit weights is padded to whole bytes.
    #[must_use]
    pub const fn bytes(self, rows: usize, channels: usize) -> usize {
        match self {
            Self::Eight => rows * channels,
            Self::Four => rows * channels.div_ceil(2),
        }
    }
}

impl QuantisedModel {
    /// Bytes of what depends on the time step: the tables of all tensors and the borders of the intervals.
    #[must_use]
    pub fn table_bytes(&self) -> usize {
        let tables: usize = self.tensors.iter().map(TensorTable::bytes).sum();
        tables + 4 * self.intervals.len()
    }
}

/// Weights of one convolution or linear layer of the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConvWeights {
    /// `rows x kernel x kernel x in`, in the range of `bits`. A row is an output channel; with
    /// [`Conv::phases`](crate::graph::Conv::phases) an output channel of a phase, `4 x out` in the order of
    /// [`Phase::ALL`](crate::rewrite::Phase::ALL).
    pub weight: Vec<i8>,
    /// Width of the weights.
    pub bits: WeightBits,
    /// Step size of the weights, one a row.
    pub scale: Vec<Scale>,
    /// Bias, Q20, one a row (zeros where the layer has none).
    pub bias: Vec<i32>,
}

/// Parameters of one node that do not change with the time step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeParams {
    /// Group normalisation: scale and offset a channel, Q16.
    Norm {
        /// Scale.
        gamma: Vec<i32>,
        /// Offset.
        beta: Vec<i32>,
    },
    /// Convolution or linear layer.
    Conv(ConvWeights),
    /// Nothing.
    None,
}

/// A linear layer of the embedding network: 16-bit weights, evaluated once per step and class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WideLinear {
    /// `out x in`.
    pub weight: Vec<i16>,
    /// Step size of the weights, one an output.
    pub scale: Vec<Scale>,
    /// Bias, Q20.
    pub bias: Vec<i32>,
}

/// The time and class embedding and what each residual block makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbeddingParams {
    /// `time_embedding.linear_1` and `linear_2`.
    pub time: [WideLinear; 2],
    /// Class embedding, Q20, `classes x embedding`; empty without classes.
    pub classes: Vec<i32>,
    /// One a projection of the graph.
    pub projections: Vec<WideLinear>,
}
