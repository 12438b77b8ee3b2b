//! Pass `records`: what changes with the time step, as bytes.
//!
//! Before: [`StepParams`] and the sampler's coefficients. After: for each step a record of the same size, in which
//! the parameter blocks of all descriptors (docs/isa.md, "Parameter blocks") stand in the order of their use,
//! gathered into chunks that one `load` brings. A chunk begins at a multiple of 64 bytes.

use std::ops::Range;

use diffuser_isa::FieldError;
use diffuser_isa::generated::{
    AttentionHead, ConvChannel, ConvHead, NormChannel, NormHead, PrepHead, SampleHead,
};
use diffuser_model::step::{ConvStep, NodeStep, NormStep, QuantiseStep, StepParams};
use diffuser_spec::Multiplier;
use diffuser_spec::sampler::{PREDICTION_MAX, Step};

use crate::error::CompileError;
use crate::layer::Lanes;

/// Bytes of an entry of the parameter memory.
const ENTRY: usize = 8;

/// A transfer begins at a multiple of this many bytes.
pub const ALIGNMENT: usize = 64;

/// What a parameter block holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Head and channels of a norm.
    Norm {
        /// The graph's node.
        node: usize,
        /// Channels.
        channels: usize,
    },
    /// Head of a `prep`.
    Prep {
        /// The graph's node: a norm or a quantisation.
        node: usize,
    },
    /// Head and channels of some tiles of a convolution.
    Conv {
        /// The graph's node.
        node: usize,
        /// Its row of biases and multipliers in each lane of the tiles.
        lanes: Lanes,
    },
    /// Head of an attention.
    Attention {
        /// The graph's node.
        node: usize,
    },
    /// Coefficients of the sampler.
    Sample,
}

impl Content {
    /// Entries of the parameter memory.
    #[must_use]
    pub fn entries(&self) -> usize {
        match self {
            Self::Norm { channels, .. } => NormHead::ENTRIES + channels * NormChannel::ENTRIES,
            Self::Prep { .. } => PrepHead::ENTRIES,
            Self::Conv { lanes, .. } => ConvHead::ENTRIES + lanes.len() * ConvChannel::ENTRIES,
            Self::Attention { .. } => AttentionHead::ENTRIES,
            Self::Sample => SampleHead::ENTRIES,
        }
    }
}

/// A parameter block, and the commands of a pass that read it.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// What it holds.
    pub content: Content,
    /// Image that it is for, where each has parameters of its own; else 0.
    pub image: usize,
    /// Commands that read it, in order.
    pub uses: Vec<usize>,
}

/// The layout of a step's record.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordLayout {
    /// All blocks in the order of use.
    pub blocks: Vec<Block>,
    /// For each chunk, its blocks, its first byte in the record and its entries.
    pub chunks: Vec<RecordChunk>,
    /// Bytes from one record to the next, a multiple of 64.
    pub stride: usize,
}

/// Blocks that are loaded together.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordChunk {
    /// Indices of its blocks.
    pub blocks: Range<usize>,
    /// First byte in the record, a multiple of 64.
    pub offset: usize,
    /// Entries of the parameter memory.
    pub entries: usize,
}

impl RecordLayout {
    /// Blocks gathered into chunks of at most `most` entries, but at least a block.
    #[must_use]
    pub fn new(blocks: Vec<Block>, most: usize) -> Self {
        let mut chunks: Vec<RecordChunk> = Vec::new();
        let mut offset = 0;
        for (i, block) in blocks.iter().enumerate() {
            let entries = block.content.entries();
            match chunks.last_mut() {
                Some(chunk) if chunk.entries + entries <= most => {
                    chunk.blocks.end = i + 1;
                    chunk.entries += entries;
                }
                last => {
                    if let Some(last) = last {
                        offset = last.offset + (last.entries * ENTRY).next_multiple_of(ALIGNMENT);
                    }
                    chunks.push(RecordChunk {
                        blocks: i..i + 1,
                        offset,
                        entries,
                    });
                }
            }
        }
        let stride = chunks.last().map_or(ALIGNMENT, |last| {
            last.offset + (last.entries * ENTRY).next_multiple_of(ALIGNMENT)
        });
        Self {
            blocks,
            chunks,
            stride,
        }
    }

    /// The records of all steps, one behind the other, of the steps of each image, or of all of them.
    ///
    /// # Errors
    /// [`CompileError::Mismatch`] where there are not as many steps as sampler steps, or a node's step
    /// is of another kind than the node; [`CompileError::Field`] for values that no block can hold.
    pub fn encode(
        &self,
        images: &[&[StepParams]],
        sampling: &[Step],
    ) -> Result<Vec<u8>, CompileError> {
        let other = images.iter().find(|s| s.len() != sampling.len());
        if sampling.is_empty() || images.is_empty() || other.is_some() {
            return Err(CompileError::mismatch(format!(
                "{} steps of the network, {} of the sampler: expected as many, and at least one",
                other.map_or(0, |s| s.len()),
                sampling.len()
            )));
        }
        let mut bytes = vec![0; self.stride * sampling.len()];
        let records = bytes.chunks_exact_mut(self.stride);
        for (i, (record, sampling)) in records.zip(sampling).enumerate() {
            for chunk in &self.chunks {
                let mut at = chunk.offset;
                for block in &self.blocks[chunk.blocks.clone()] {
                    let image = block.image.min(images.len() - 1);
                    for entry in encode_block(&block.content, &images[image][i], sampling)? {
                        record[at..at + ENTRY].copy_from_slice(&entry.to_le_bytes());
                        at += ENTRY;
                    }
                }
            }
        }
        Ok(bytes)
    }
}

fn encode_block(
    content: &Content,
    step: &StepParams,
    sampling: &Step,
) -> Result<Vec<u64>, CompileError> {
    let node_step = |node: &usize| {
        step.nodes
            .get(*node)
            .ok_or_else(|| CompileError::mismatch(format!("a step lacks node {node}")))
    };
    let (node, entries) = match content {
        Content::Norm { node, channels } => match node_step(node)? {
            NodeStep::Norm(norm) if norm.gamma.len() == *channels => (node, norm_block(norm)),
            _ => return Err(of_another_kind(*node)),
        },
        Content::Prep { node } => match node_step(node)? {
            NodeStep::Norm(norm) => (node, gain_block(norm.gain, norm.zero_point)),
            NodeStep::Quantise(QuantiseStep::Single { gain, zero_point }) => {
                (node, gain_block(*gain, *zero_point))
            }
            NodeStep::Quantise(QuantiseStep::StatePlanes { shift }) => {
                let head = PrepHead {
                    shift: *shift,
                    ..PrepHead::default()
                };
                (node, head.encode().map(|e| e.to_vec()))
            }
            _ => return Err(of_another_kind(*node)),
        },
        Content::Conv { node, lanes } => match node_step(node)? {
            NodeStep::Conv(conv) => (node, conv_block(conv, lanes)),
            _ => return Err(of_another_kind(*node)),
        },
        Content::Attention { node } => match node_step(node)? {
            NodeStep::Attention(attention) => {
                let Multiplier { mantissa, shift } = attention.to_log2;
                let head = AttentionHead {
                    mantissa: mantissa.into(),
                    shift: shift.into(),
                    gain: attention.gain.into(),
                };
                (node, head.encode().map(|e| e.to_vec()))
            }
            _ => return Err(of_another_kind(*node)),
        },
        Content::Sample => {
            let block = sample_block(sampling, step.output_exponent);
            return block.map_err(|source| CompileError::Field {
                layer: "sampler".into(),
                source: Box::new(source),
            });
        }
    };
    entries.map_err(|source| CompileError::Field {
        layer: format!("node {node}"),
        source: Box::new(source),
    })
}

fn of_another_kind(node: usize) -> CompileError {
    CompileError::mismatch(format!("the step of node {node} is of another kind"))
}

fn norm_block(norm: &NormStep) -> Result<Vec<u64>, FieldError> {
    let gap = |i: usize| norm.gaps.get(i).copied().unwrap_or(0);
    let head = NormHead {
        eps: norm.eps,
        exponent: norm.exponent,
        gap_a: gap(0),
        gap_b: gap(1),
    };
    let mut entries = head.encode()?.to_vec();
    for (&gamma, &beta) in norm.gamma.iter().zip(&norm.beta) {
        entries.extend(NormChannel { gamma, beta }.encode()?);
    }
    Ok(entries)
}

fn gain_block(gain: i16, zero_point: i8) -> Result<Vec<u64>, FieldError> {
    let head = PrepHead {
        gain: gain.into(),
        zero_point: zero_point.into(),
        ..PrepHead::default()
    };
    Ok(head.encode()?.to_vec())
}

fn conv_block(conv: &ConvStep, lanes: &Lanes) -> Result<Vec<u64>, FieldError> {
    let head = ConvHead {
        zero_point: conv.zero_point.into(),
        residual_shift: conv.residual_shift,
    };
    let mut entries = head.encode()?.to_vec();
    for lane in lanes {
        let channel = lane.map_or_else(ConvChannel::default, |c| ConvChannel {
            bias: conv.bias[c],
            mantissa: conv.multiplier[c].mantissa.into(),
            shift: conv.multiplier[c].shift.into(),
        });
        entries.extend(channel.encode()?);
    }
    Ok(entries)
}

fn sample_block(step: &Step, exponent: i32) -> Result<Vec<u64>, FieldError> {
    let [next_state, next_x0, next_eps, next_previous, next_noise] = step.next;
    let head = SampleHead {
        x0_state: step.x0[0],
        x0_stream: step.x0[1],
        clip: step.clip.unwrap_or(PREDICTION_MAX),
        eps_state: step.eps[0],
        eps_stream: step.eps[1],
        next_state,
        next_x0,
        next_eps,
        next_previous,
        next_noise,
        exponent,
    };
    Ok(head.encode()?.to_vec())
}
