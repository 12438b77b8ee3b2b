//! Part of the pass `schedule`: the fields of each descriptor.

use diffuser_isa::generated::{Attention, Conv, Load, Norm, Prep, Sample, Store};
use diffuser_isa::{Op, Space};
use diffuser_model::graph::{Resample, TensorId};

use crate::allocate::Places;
use crate::layer::{
    AttentionWork, ConvWork, Dest, Layer, Layers, NormWork, PrepKind, PrepWork, Value, Work,
};
use crate::records::ALIGNMENT;
use crate::target::Target;

/// Where a descriptor's weights and parameters lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub weights: usize,
    pub param: usize,
    /// First byte of the streams that wait in DDR.
    pub spilled: usize,
}

/// The operation of one descriptor: part `part` of a convolution or norm.
pub(crate) fn operation(
    layers: &Layers,
    places: &Places,
    target: &Target,
    layer: &Layer,
    part: usize,
    at: Addresses,
    noise: bool,
) -> Op {
    let make = Make {
        layers,
        places,
        target,
        at,
    };
    match &layer.work {
        Work::Norm(norm) => Op::Norm(make.norm(norm, part)),
        Work::Prep(prep) => Op::Prep(make.prep(prep)),
        Work::Conv(conv) => Op::Conv(make.conv(conv, part)),
        Work::Attention(attention) => Op::Attention(make.attention(attention)),
        Work::Sample { stream } => Op::Sample(make.sample(*stream, noise)),
        Work::Store { stream, slot } => Op::Store(Store {
            space: Space::Stream as u32,
            address: make.place(Value::Stream(*stream)),
            words: layers.streams[stream].words(target.shape) as u32,
            ddr: make.spill(*slot),
        }),
        Work::Load { stream, slot } => Op::Load(Load {
            space: Space::Stream as u32,
            per_step: 0,
            address: make.place(Value::Stream(*stream)),
            words: layers.streams[stream].words(target.shape) as u32,
            ddr: make.spill(*slot),
        }),
    }
}

struct Make<'a> {
    layers: &'a Layers,
    places: &'a Places,
    target: &'a Target,
    at: Addresses,
}

impl Make<'_> {
    fn place(&self, value: Value) -> u32 {
        self.places.of(value) as u32
    }

    /// In units of 64 bytes.
    fn spill(&self, slot: usize) -> u32 {
        let bytes = self.at.spilled + slot * 2 * self.target.shape.outputs;
        (bytes / ALIGNMENT) as u32
    }

    fn channels(&self, stream: TensorId) -> u32 {
        self.layers.streams[&stream].channels as u32
    }

    fn norm(&self, norm: &NormWork, part: usize) -> Norm {
        let [a, b] = [
            norm.streams[0],
            *norm.streams.last().unwrap_or(&norm.streams[0]),
        ];
        let second = norm.streams.len() == 2;
        let channels: u32 = norm.streams.iter().map(|&t| self.channels(t)).sum();
        let group_channels = channels / norm.groups as u32;
        let pixels = self.layers.streams[&a].pixels() as u32;
        Norm {
            sums_a: self.place(Value::Sums(a)),
            channels_a: self.channels(a),
            sums_b: if second {
                self.place(Value::Sums(b))
            } else {
                0
            },
            channels_b: if second { self.channels(b) } else { 0 },
            group_channels,
            first_group: norm.parts[part].start as u32,
            groups: norm.parts[part].len() as u32,
            affine: self.place(Value::Affine(norm.operand)),
            param: self.at.param as u32,
            count: group_channels * pixels,
        }
    }

    fn prep(&self, prep: &PrepWork) -> Prep {
        let [height, width] = prep.size.map(|n| n as u32);
        let pixels = height * width;
        let mut op = Prep {
            kind: prep.kind.code(),
            silu: prep.kind == PrepKind::Norm { silu: true },
            resample: match prep.resample {
                None => 0,
                Some(Resample::Nearest2x) => 1,
                Some(Resample::AveragePool2x) => 2,
            },
            sums: prep.sums,
            width,
            height,
            ..Prep::default()
        };
        if prep.sums {
            op.sums_base = self.place(Value::Sums(prep.output));
        }
        if prep.kind == PrepKind::StatePlanes {
            op.channels_a = self.layers.operands[&prep.output]
                .lanes
                .iter()
                .flatten()
                .count() as u32;
        } else {
            op.stream_a = self.place(Value::Stream(prep.inputs[0]));
            op.channels_a = self.channels(prep.inputs[0]);
            op.plane_a = pixels;
        }
        if let Some(&b) = prep.inputs.get(1) {
            op.stream_b = self.place(Value::Stream(b));
            op.channels_b = self.channels(b);
            op.plane_b = pixels;
        }
        if let PrepKind::Norm { .. } = prep.kind {
            op.affine = self.place(Value::Affine(prep.output));
        }
        if !matches!(prep.kind, PrepKind::StreamPlanes | PrepKind::Stream) {
            op.param = self.at.param as u32;
        }
        if prep.kind == PrepKind::Stream {
            op.dest = self.place(Value::Stream(prep.output));
            op.plane_dest = self.layers.streams[&prep.output].pixels() as u32;
        } else {
            op.dest = self.place(Value::Operand(prep.output));
        }
        op
    }

    fn conv(&self, conv: &ConvWork, part: usize) -> Conv {
        let shape = self.target.shape;
        let tiles = &conv.parts[part];
        let operand = &self.layers.operands[&conv.input];
        let [in_height, in_width] = operand.size.map(|n| n as u32);
        let [out_height, out_width] = conv.size.map(|n| n as u32);
        let first = tiles.start as u32;
        let phase = conv.phase(part);
        let [pad_top, pad_left] = phase.map_or(conv.padding, |(_, phase)| phase.padding());
        let mut op = Conv {
            dest_kind: conv.dest.code(),
            planes: operand.planes == 2,
            kernel: kernel_code(conv.kernel),
            stride: u32::from(conv.stride == 2),
            upsample: conv.upsample,
            residual: conv.residual.is_some(),
            sums: conv.sums,
            add_sums: conv.sums && phase.is_some_and(|(index, _)| index > 0),
            interleave: conv.phases,
            pad_top: pad_top as u32,
            pad_left: pad_left as u32,
            blocks: operand.blocks(shape) as u32,
            operand: self.place(Value::Operand(conv.input)),
            tiles: tiles.len() as u32,
            weights: self.at.weights as u32,
            in_width,
            in_height,
            out_width,
            out_height,
            param: self.at.param as u32,
            ..Conv::default()
        };
        match conv.dest {
            Dest::Stream => {
                let pixels = self.layers.streams[&conv.output].pixels() as u32;
                op.dest = self.place(Value::Stream(conv.output)) + first * pixels;
                op.dest_plane = pixels;
                if let Some((_, phase)) = phase {
                    op.dest += phase.pixel(0, conv.size[1]) as u32;
                }
                if let Some(residual) = conv.residual {
                    op.residual_at = self.place(Value::Stream(residual)) + first * pixels;
                }
                if conv.sums {
                    op.sums_base =
                        self.place(Value::Sums(conv.output)) + first * shape.outputs as u32;
                }
            }
            Dest::Query => {
                op.dest = self.place(Value::Operand(conv.output));
                op.first_tile = first;
            }
            Dest::Key | Dest::Value => {
                op.dest = self.place(Value::Cached(conv.output));
                op.first_tile = first;
                op.head_blocks = conv.head_blocks as u32;
            }
        }
        op
    }

    fn attention(&self, attention: &AttentionWork) -> Attention {
        let [q, k, v] = attention.inputs;
        Attention {
            heads: attention.heads as u32,
            head_blocks: attention.head_blocks as u32,
            pixels: attention.pixels as u32,
            query: self.place(Value::Operand(q)),
            key: self.place(Value::Cached(k)),
            value: self.place(Value::Cached(v)),
            dest: self.place(Value::Operand(attention.output)),
            param: self.at.param as u32,
        }
    }

    fn sample(&self, stream: TensorId, noise: bool) -> Sample {
        let form = &self.layers.streams[&stream];
        Sample {
            stream: self.place(Value::Stream(stream)),
            channels: form.channels as u32,
            noise,
            pixels: form.pixels() as u32,
            state: 0,
            param: self.at.param as u32,
            image: 0,
        }
    }
}

/// Value of the field `kernel`.
const fn kernel_code(kernel: usize) -> u32 {
    match kernel {
        1 => 0,
        3 => 1,
        _ => 2,
    }
}
