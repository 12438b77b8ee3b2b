//! Pass `weights`: the weights of a descriptor as words of the weight memory.
//!
//! Before: `rows x kernel x kernel x in`, as the model has them (a row an output channel, or one of a phase). After: words of O x I bytes in the order
//! in which the array reads them (docs/isa.md, `conv`), zero in all lanes that pad a block of channels,
//! a concatenation's first stream, or a head. Layers of 4-bit weights stay at two in a byte.

use diffuser_model::quantised::{ConvWeights, WeightBits};
use diffuser_spec::weight4::pack;

use crate::layer::{ConvWork, Lanes};
use crate::target::Shape;

/// Bytes in DDR of one descriptor's tiles of a convolution whose operand has these lanes.
#[must_use]
pub fn words(
    conv: &ConvWork,
    operand: &Lanes,
    part: usize,
    weights: &ConvWeights,
    shape: Shape,
) -> Vec<u8> {
    let Shape {
        outputs, inputs, ..
    } = shape;
    let taps = conv.kernel * conv.kernel;
    let channels = operand.iter().flatten().count();
    let rows = conv.rows(part, outputs);
    let weight = |lane: usize, tap: usize, from: usize| match (rows[lane], operand[from]) {
        (Some(to), Some(from)) => weights.weight[(to * taps + tap) * channels + from],
        _ => 0,
    };
    let mut bytes = Vec::with_capacity(rows.len() * taps * operand.len());
    for tile in 0..rows.len() / outputs {
        for tap in 0..taps {
            for block in 0..operand.len() / inputs {
                for o in 0..outputs {
                    for i in 0..inputs {
                        bytes.push(weight(tile * outputs + o, tap, block * inputs + i));
                    }
                }
            }
        }
    }
    match weights.bits {
        WeightBits::Eight => bytes.into_iter().map(|w| w as u8).collect(),
        WeightBits::Four => bytes.chunks_exact(2).map(|w| pack(w[0], w[1])).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Dest;

    fn conv(kernel: usize, lanes: Lanes) -> ConvWork {
        ConvWork {
            input: 0,
            output: 1,
            dest: Dest::Stream,
            kernel,
            phases: false,
            stride: 1,
            padding: [0; 2],
            upsample: false,
            residual: None,
            sums: false,
            add_sums: false,
            sums_of: 1,
            to_row: 0,
            residual_row: 0,
            half: None,
            size: [1, 1],
            parts: std::iter::once(0..1).collect(),
            lanes,
            head_blocks: 0,
        }
    }

    #[test]
    fn padded_lanes_are_zero_and_blocks_follow_one_another() {
        let shape = Shape {
            pixels: 2,
            outputs: 4,
            inputs: 2,
        };
        // one channel, then two: each stream has blocks of its own
        let operand = vec![Some(0), None, Some(1), Some(2)];
        let lanes = vec![Some(0), Some(1), None, None];
        let weights = ConvWeights {
            weight: vec![1, 2, 3, 4, 5, 6],
            bits: WeightBits::Eight,
            scale: vec![],
            bias: vec![],
        };
        let got = words(&conv(1, lanes), &operand, 0, &weights, shape);
        let first = [1, 0, 4, 0, 0, 0, 0, 0];
        let second = [2, 3, 5, 6, 0, 0, 0, 0];
        assert_eq!(got, [first, second].concat());
    }

    #[test]
    fn taps_are_outside_blocks_and_four_bits_share_a_byte() {
        let shape = Shape {
            pixels: 2,
            outputs: 2,
            inputs: 2,
        };
        let weights = ConvWeights {
            weight: (-8..=7).cycle().take(2 * 9 * 2).collect(),
            bits: WeightBits::Four,
            scale: vec![],
            bias: vec![],
        };
        let operand = vec![Some(0), Some(1)];
        let lanes = vec![Some(0), Some(1)];
        let got = words(&conv(3, lanes), &operand, 0, &weights, shape);
        let w = |i: usize| weights.weight[i];
        let want: Vec<u8> = (0..9)
            .flat_map(|tap| {
                [
                    pack(w(2 * tap), w(2 * tap + 1)),
                    pack(w(18 + 2 * tap), w(18 + 2 * tap + 1)),
                ]
            })
            .collect();
        assert_eq!(got, want);
    }
}
