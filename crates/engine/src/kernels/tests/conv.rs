//! Convolution.

use diffuser_model::quantised::WeightBits;
use diffuser_spec::Multiplier;
use diffuser_spec::operand::split_planes;

use super::{Random, all, buffer, others, scalar, written};
use crate::kernels::{ConvJob, ConvOutput, ConvShape, Kernels, Residual};
use crate::layout::{Layout, Operand};

/// One convolution with all its data.
struct Case {
    layout: Layout,
    shape: ConvShape,
    out_height: usize,
    planes: Vec<Vec<i8>>,
    weights: Vec<i8>,
    bits: WeightBits,
    bias: Vec<i32>,
    multiplier: Vec<Multiplier>,
    zero_point: i8,
    residual: Option<(Vec<i16>, i32)>,
}

impl Case {
    fn random(
        r: &mut Random,
        [height, width]: [usize; 2],
        [inputs, outputs]: [usize; 2],
        (kernel, stride, padding): (usize, usize, [usize; 4]),
    ) -> Option<Self> {
        let side = |n: usize, p: usize| Some((n + p).checked_sub(kernel)? / stride + 1);
        let out_height = side(height, padding[0] + padding[2])?;
        let out_width = side(width, padding[1] + padding[3])?;
        // sometimes another reader wants a wider border
        let wider = r.range(0, 2) as usize / 2;
        let layout = Layout {
            height,
            width,
            channels: inputs,
            padding: padding.map(|p| p + wider),
        };
        let extreme = r.range(0, 3) == 0;
        let values = height * width * inputs;
        let planes = if r.range(0, 2) == 0 {
            let limit = if extreme { 1 << 20 } else { 16_000 };
            let split = |_| split_planes(r.range(-limit, limit) as i32);
            let (high, low) = (0..values).map(split).unzip();
            vec![high, low]
        } else {
            vec![r.operands(values, extreme)]
        };
        let zero_point = match planes.len() {
            2 => 0,
            _ => r.operands(1, extreme)[0],
        };
        let terms = kernel * kernel * inputs;
        let largest = if planes.len() == 2 { 16_319 } else { 127 };
        let room = i64::from(i32::MAX) - (terms * 127 * largest) as i64;
        let bias = (0..outputs).map(|_| r.range(-room, room) >> r.range(0, 31));
        let bias = bias.map(|b| b as i32).collect();
        let multiplier = (0..outputs).map(|_| Multiplier {
            mantissa: r.range(1 << 15, 65_535) as u16,
            shift: [1, 16, 24, 26, 28, 30, 34, 40, 62][r.range(0, 8) as usize],
        });
        let multiplier = multiplier.collect();
        let out_values = out_height * out_width * outputs;
        let residual = (r.range(0, 1) == 1).then(|| {
            let shift = [-62, -20, -16, -3, 0, 1, 2, 5, 16, 17, 40, 62][r.range(0, 11) as usize];
            let values = (0..out_values).map(|_| r.range(-32_768, 32_767) as i16);
            (values.collect(), shift)
        });
        Some(Self {
            layout,
            shape: ConvShape {
                in_channels: inputs,
                out_channels: outputs,
                kernel,
                stride,
                padding: [padding[0], padding[1]],
                out_width,
                phase: None,
            },
            out_height,
            planes,
            weights: r.operands(outputs * terms, extreme),
            bits: WeightBits::Eight,
            bias,
            multiplier,
            zero_point,
            residual,
        })
    }

    /// The same with weights of 4 bits: extremes stay extremes.
    fn narrowed(mut self) -> Self {
        self.weights.iter_mut().for_each(|w| *w >>= 4);
        self.bits = WeightBits::Four;
        self
    }

    /// Without any function of the project: the formulas of `docs/numerics.md` in 128 bits, on a
    /// copy of the image with its padding.
    fn naive(&self) -> (Vec<i16>, Vec<i8>) {
        let (s, l) = (&self.shape, &self.layout);
        let [top, left] = s.padding;
        let (mut stream, mut operand) = (vec![], vec![]);
        let mut image = std::collections::HashMap::new();
        for y in 0..l.height {
            for x in 0..l.width {
                for c in 0..l.channels {
                    let at = (y * l.width + x) * l.channels + c;
                    let one = |p: usize| i128::from(self.planes[p][at]);
                    let v = if self.planes.len() == 2 {
                        128 * one(0) + one(1)
                    } else {
                        one(0)
                    };
                    image.insert((y + top, x + left, c), v);
                }
            }
        }
        let half_up = |numerator: i128, shift: u32| {
            let unit = 1i128 << shift;
            (2 * numerator + unit).div_euclid(2 * unit)
        };
        let range32 = |v: i128| v.clamp(-(1 << 31), (1 << 31) - 1);
        for i in 0..self.out_height * s.out_width * s.out_channels {
            let (p, o) = (i / s.out_channels, i % s.out_channels);
            let (y, x) = (p / s.out_width * s.stride, p % s.out_width * s.stride);
            let mut sum = i128::from(self.bias[o]);
            for c in 0..s.in_channels {
                for kx in 0..s.kernel {
                    for ky in 0..s.kernel {
                        let outside = i128::from(self.zero_point);
                        let v = image.get(&(y + ky, x + kx, c)).copied().unwrap_or(outside);
                        let w = ((o * s.kernel + ky) * s.kernel + kx) * s.in_channels + c;
                        sum += v * i128::from(self.weights[w]);
                    }
                }
            }
            let m = self.multiplier[o];
            let value = range32(half_up(sum * i128::from(m.mantissa), m.shift.into()));
            operand.push(value.clamp(-127, 127) as i8);
            let added = match &self.residual {
                None => 0,
                Some((r, shift)) if *shift >= 0 => half_up(r[i].into(), *shift as u32),
                Some((r, shift)) => range32(i128::from(r[i]) << -shift),
            };
            stream.push((value + added).clamp(-32_768, 32_767) as i16);
        }
        (stream, operand)
    }

    /// The same by a set of kernels, in parts of so many rows.
    fn run(&self, kernels: &dyn Kernels, part: usize) -> (Vec<i16>, Vec<i8>) {
        let s = self.shape;
        let bytes = buffer(&self.planes, self.layout, self.zero_point, kernels.flip());
        let packed = kernels.pack(s, &self.weights, self.bits);
        let job = ConvJob {
            shape: s,
            weights: &packed,
            input: Operand {
                bytes: &bytes,
                layout: self.layout,
                planes: self.planes.len(),
                zero_point: self.zero_point,
                flip: kernels.flip(),
            },
            bias: &self.bias,
            multiplier: &self.multiplier,
            rows: 0..self.out_height,
        };
        let row = s.out_width * s.out_channels;
        let mut stream = vec![0x5555; self.out_height * row];
        for (i, out) in stream.chunks_mut(part * row).enumerate() {
            let rows = i * part..self.out_height.min((i + 1) * part);
            let residual = self.residual.as_ref().map(|(values, shift)| Residual {
                values: &values[rows.start * row..rows.end * row],
                shift: *shift,
            });
            let output = ConvOutput::Stream { out, residual };
            kernels.conv(
                ConvJob {
                    rows,
                    ..job.clone()
                },
                output,
            );
        }
        let out_layout = Layout {
            height: self.out_height,
            width: s.out_width,
            channels: s.out_channels,
            padding: [0, 1, 1, 0],
        };
        let operand = written(out_layout, kernels.flip(), |rows| {
            kernels.conv(job, ConvOutput::Operand(rows));
        });
        (stream, operand)
    }
}

const GEOMETRIES: [(usize, usize, [usize; 4]); 6] = [
    (1, 1, [0; 4]),
    (3, 1, [1; 4]),
    (3, 2, [1; 4]),
    (3, 2, [0, 0, 1, 1]),
    (1, 2, [0; 4]),
    (3, 1, [0, 2, 1, 0]),
];

const SIZES: [[usize; 2]; 7] = [[1, 1], [2, 1], [1, 5], [3, 3], [4, 4], [6, 5], [9, 7]];

fn cases(seed: u64) -> impl Iterator<Item = Case> {
    let mut r = Random(seed);
    let channels = [1, 3, 4, 5, 16, 17, 31, 32, 33, 48, 65];
    let all = SIZES.into_iter().flat_map(|s| GEOMETRIES.map(|g| (s, g)));
    all.flat_map(|a| [a; 4])
        .filter_map(move |(size, geometry)| {
            let c = [0; 2].map(|_| channels[r.range(0, 10) as usize]);
            Case::random(&mut r, size, c, geometry)
        })
}

#[test]
fn the_oracle_is_the_formula() {
    let oracle = scalar();
    let (mut tested, mut planes, mut residuals, mut unsaturated) = (0, 0, 0, 0);
    for case in cases(1) {
        let want = case.naive();
        assert!(
            case.run(&*oracle, 2) == want,
            "{:?} {:?}",
            case.shape,
            case.layout
        );
        tested += 1;
        planes += usize::from(case.planes.len() == 2);
        residuals += usize::from(case.residual.is_some());
        unsaturated += want
            .0
            .iter()
            .filter(|v| v.unsigned_abs() < 32_767 && **v != 0)
            .count();
    }
    assert!(tested > 100 && planes > 20 && residuals > 20 && unsaturated > 10_000);
}

#[test]
fn every_kernel_is_the_oracle() {
    let oracle = scalar();
    for case in cases(2).chain(cases(3)) {
        let want = case.run(&*oracle, 1);
        for (name, kernels) in others() {
            for part in [1, 3, 100] {
                let got = case.run(&*kernels, part);
                assert!(
                    got == want,
                    "{name}, {part} rows: {:?} {:?}",
                    case.shape,
                    case.layout
                );
            }
        }
    }
}

/// Weights of 4 bits give what the same integers give in 8, whatever they are packed in.
#[test]
fn weights_of_4_bits_are_those_of_8() {
    let mut tested = 0;
    for mut case in cases(5).map(Case::narrowed) {
        let want = case.naive();
        for bits in [WeightBits::Eight, WeightBits::Four] {
            case.bits = bits;
            for (name, kernels) in all() {
                for part in [1, 3, 100] {
                    assert!(
                        case.run(&*kernels, part) == want,
                        "{name}, {bits:?}, {part} rows: {:?} {:?}",
                        case.shape,
                        case.layout
                    );
                }
            }
        }
        tested += 1;
    }
    assert!(tested > 100);
}

/// Packed in memory, not only in the file: half of what 8 bits take, but for padding.
#[test]
fn weights_of_4_bits_take_half_the_memory() {
    use crate::kernels::Packed;
    let shape = ConvShape {
        in_channels: 64,
        out_channels: 96,
        kernel: 3,
        stride: 1,
        padding: [1; 2],
        out_width: 4,
        phase: None,
    };
    let weights = vec![-8; 96 * 9 * 64];
    for (name, kernels) in all() {
        let bytes = |bits| match kernels.pack(shape, &weights, bits) {
            Packed::Plain(w) => w.len(),
            Packed::PlainPairs(w) => w.len(),
            Packed::Words(w) => 2 * w.len(),
            Packed::Pairs(w) => w.bytes(),
            #[cfg(target_arch = "x86_64")]
            Packed::Lines(w) => w.bytes(),
        };
        assert_eq!(bytes(WeightBits::Four), weights.len() / 2, "{name}");
        assert!(bytes(WeightBits::Eight) >= weights.len(), "{name}");
    }
}

/// The largest sums that a step may have, at either end of 32 bits.
#[test]
fn accumulators_at_the_limits() {
    let oracle = scalar();
    for sign in [-1i8, 1] {
        for inputs in [64, 129] {
            let mut r = Random(4);
            let geometry = (3, 1, [1; 4]);
            let mut case = Case::random(&mut r, [4, 5], [inputs, 33], geometry).expect("it fits");
            case.planes = vec![vec![127; 20 * inputs], vec![63; 20 * inputs]];
            case.zero_point = 0;
            case.weights = vec![127 * sign; 33 * 9 * inputs];
            let sum = 9 * inputs as i64 * 127 * 16_319;
            case.bias = vec![(i64::from(i32::MAX) - sum) as i32 * i32::from(sign); 33];
            let want = case.naive();
            assert!(case.run(&*oracle, 100) == want);
            for (name, kernels) in others() {
                assert!(case.run(&*kernels, 100) == want, "{name}");
            }
        }
    }
}
