//! Part of the pass `schedule`: the fields of each descriptor.

use diffuser_isa::generated::{Attention, Conv, Load, Norm, Prep, Sample, Store};
use diffuser_isa::{Op, Space};
use diffuser_model::graph::{Resample, TensorId};

use crate::allocate::Places;
use crate::layer::{
    AttentionWork, ConvWork, Dest, Layer, Layers, NormWork, PrepKind, PrepWork, SampleWork,
    Transfer, Value, Work,
};
use crate::records::ALIGNMENT;
use crate::target::Target;

/// Where a descriptor's weights and parameters lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub weights: usize,
    pub param: usize,
    /// First byte of the streams that live in DDR.
    pub homes: usize,
    /// First byte of the states.
    pub states: usize,
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
        Work::Prep(prep) => Op::Prep(make.prep(prep, layer.image)),
        Work::Conv(conv) => Op::Conv(make.conv(conv, part)),
        Work::Attention(attention) => Op::Attention(make.attention(attention)),
        Work::Sample(sample) => Op::Sample(make.sample(sample, layer.image, noise)),
        Work::Store(transfer) => {
            let [address, words, ddr] = make.transfer(&layer.work, transfer, part);
            let space = Space::Stream as u32;
            Op::Store(Store {
                space,
                address,
                words,
                ddr,
            })
        }
        Work::Load(transfer) => {
            let [address, words, ddr] = make.transfer(&layer.work, transfer, part);
            Op::Load(Load {
                space: Space::Stream as u32,
                per_step: 0,
                address,
                words,
                ddr,
            })
        }
        Work::StoreState(transfer) => {
            let [address, words, ddr] = make.state_transfer(transfer, layer.image);
            let space = Space::State as u32;
            Op::Store(Store {
                space,
                address,
                words,
                ddr,
            })
        }
        Work::LoadState(transfer) => {
            let [address, words, ddr] = make.state_transfer(transfer, layer.image);
            Op::Load(Load {
                space: Space::State as u32,
                per_step: 0,
                address,
                words,
                ddr,
            })
        }
    }
}

/// Bytes that one descriptor stores of a stream that waits in DDR: loads behind it retire behind it, and the write port gets what loads
/// leave of the bus.
const STORE_PIECE: usize = 1 << 14;

/// Words that a descriptor of a transfer of a stream moves: all, of a stream that is stored a part; one block of channels, where
/// some rows of each are moved. None where it moves something else.
pub(crate) fn transfer_words(layers: &Layers, target: &Target, work: &Work) -> usize {
    let (Work::Load(transfer) | Work::Store(transfer)) = work else {
        return 0;
    };
    let band = layers.streams[&transfer.stream];
    let all = band.words(target.shape);
    if band.pixels() != home_pitch(layers, target, transfer.home) {
        return band.pixels();
    }
    match work {
        Work::Store(_) => (STORE_PIECE / (2 * target.shape.outputs)).min(all),
        _ => all,
    }
}

/// Descriptors of a transfer.
pub(crate) fn transfer_parts(layers: &Layers, target: &Target, work: &Work) -> usize {
    let (Work::Load(transfer) | Work::Store(transfer)) = work else {
        return 1;
    };
    let all = layers.streams[&transfer.stream].words(target.shape);
    all.div_ceil(transfer_words(layers, target, work))
}

/// Stream words from one block of channels to the next in DDR: each begins at a multiple of 64 bytes.
pub(crate) fn home_pitch(layers: &Layers, target: &Target, home: TensorId) -> usize {
    let unit = (ALIGNMENT / (2 * target.shape.outputs)).max(1);
    layers.streams[&home].pixels().next_multiple_of(unit)
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

    /// Address, words and place in DDR, in units of 64 bytes, of part `part` of a transfer.
    fn transfer(&self, work: &Work, transfer: &Transfer, part: usize) -> [u32; 3] {
        let shape = self.target.shape;
        let band = self.layers.streams[&transfer.stream];
        let block = band.pixels();
        let most = transfer_words(self.layers, self.target, work);
        let first = part * most;
        let words = most.min(band.words(shape) - first);
        let at = self.place(Value::Stream(transfer.stream)) as usize + first;
        let pitch = home_pitch(self.layers, self.target, transfer.home);
        let place = first / block * pitch + first % block + transfer.row * band.size[1];
        let home = self.layers.homes[&transfer.home] + place;
        let ddr = (self.at.homes + home * 2 * shape.outputs) / ALIGNMENT;
        [at as u32, words as u32, ddr as u32]
    }

    fn state_transfer(&self, transfer: &Transfer, image: usize) -> [u32; 3] {
        let [rows, width] = self.layers.states[&transfer.stream];
        let first = image * self.layers.state_pitch() + transfer.row * width;
        let ddr = (self.at.states + 16 * first) / ALIGNMENT;
        let address = self.place(Value::State(transfer.stream));
        [address, (rows * width) as u32, ddr as u32]
    }

    /// First word of some row of a stream, and words from one block of channels to the next.
    fn rows(&self, stream: TensorId, row: usize) -> (u32, u32) {
        let form = self.layers.streams[&stream];
        let first = self.place(Value::Stream(stream)) + (row * form.size[1]) as u32;
        (first, form.pixels() as u32)
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

    fn prep(&self, prep: &PrepWork, image: usize) -> Prep {
        let [height, width] = prep.size.map(|n| n as u32);
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
            op.sums_base = self.place(Value::Sums(prep.maps));
        }
        if prep.kind == PrepKind::StatePlanes {
            let row = prep.from_rows[0] * prep.size[1];
            op.stream_a = if prep.state_band {
                self.place(Value::State(prep.inputs[0])) + row as u32
            } else {
                (image * self.layers.state_pixels + row) as u32
            };
            op.channels_a = self.layers.operands[&prep.output]
                .lanes
                .iter()
                .flatten()
                .count() as u32;
        } else {
            (op.stream_a, op.plane_a) = self.rows(prep.inputs[0], prep.from_rows[0]);
            op.channels_a = self.channels(prep.inputs[0]);
        }
        if let Some(&b) = prep.inputs.get(1) {
            (op.stream_b, op.plane_b) = self.rows(b, prep.from_rows[1]);
            op.channels_b = self.channels(b);
        }
        if let PrepKind::Norm { .. } = prep.kind {
            op.affine = self.place(Value::Affine(prep.maps));
        }
        if !matches!(prep.kind, PrepKind::StreamPlanes | PrepKind::Stream) {
            op.param = self.at.param as u32;
        }
        if prep.kind == PrepKind::Stream {
            (op.dest, op.plane_dest) = self.rows(prep.output, prep.to_row);
        } else {
            op.dest = self.place(Value::Operand(prep.output));
            op.spread = self.layers.operands[&prep.output].spread;
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
        let [mut pad_top, pad_left] = phase.map_or(conv.padding, |(_, phase)| phase.padding());
        if conv.half.is_some() {
            pad_top = conv.padding[0];
        }
        let mut op = Conv {
            dest_kind: conv.dest.code(),
            planes: operand.planes == 2,
            kernel: kernel_code(conv.kernel),
            stride: u32::from(conv.stride == 2),
            upsample: conv.upsample,
            residual: conv.residual.is_some(),
            sums: conv.sums,
            add_sums: conv.add_sums || conv.sums && phase.is_some_and(|(index, _)| index > 0),
            interleave: conv.phases,
            pad_top: pad_top as u32,
            pad_left: pad_left as u32,
            spread: operand.spread,
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
                let (dest, plane) = self.rows(conv.output, conv.to_row);
                (op.dest, op.dest_plane) = (dest + first * plane, plane);
                if let Some((_, phase)) = phase {
                    op.dest += phase.pixel(0, conv.size[1]) as u32;
                }
                if let Some(residual) = conv.residual {
                    let (at, own) = self.rows(residual, conv.residual_row);
                    debug_assert_eq!(own, plane, "a residual lies like the result");
                    op.residual_at = at + first * plane;
                }
                if conv.sums {
                    op.sums_base =
                        self.place(Value::Sums(conv.sums_of)) + first * shape.outputs as u32;
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

    fn sample(&self, sample: &SampleWork, image: usize, noise: bool) -> Sample {
        let form = &self.layers.streams[&sample.stream];
        let row = (sample.row * form.size[1]) as u32;
        let state = match sample.state {
            Some(band) => self.place(Value::State(band)) + row,
            None => (image * self.layers.state_pixels) as u32 + row,
        };
        Sample {
            stream: self.rows(sample.stream, sample.stream_row).0,
            channels: form.channels as u32,
            noise,
            pixels: (sample.rows * form.size[1]) as u32,
            state,
            param: self.at.param as u32,
            image: image as u32,
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
