//! Every kernel against the oracle, and the oracle's convolution against one written without it.

mod attention;
mod conv;
mod norm;

use super::portable::Portable;
use super::{Kernels, make};
use crate::choice::KernelChoice;
use crate::layout::{Layout, Operand, OperandRows, fill_border, row_chunks};

/// SplitMix64 (Steele et al. 2014).
pub(super) struct Random(pub u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Uniform in `low..=high`.
    fn range(&mut self, low: i64, high: i64) -> i64 {
        low + (self.bits() % (high - low + 1) as u64) as i64
    }

    /// Operands: uniform, or the extremes alone.
    fn operands(&mut self, n: usize, extreme: bool) -> Vec<i8> {
        (0..n)
            .map(|_| match extreme {
                true => [-127, 127][(self.bits() & 1) as usize],
                false => self.range(-127, 127) as i8,
            })
            .collect()
    }
}

/// The oracle.
fn scalar() -> Box<dyn Kernels> {
    make(KernelChoice::Scalar).expect("always there")
}

/// Every other set that this machine can run, with its name.
fn others() -> impl Iterator<Item = (&'static str, Box<dyn Kernels>)> {
    let all = KernelChoice::ALL.into_iter();
    let baseline: Box<dyn Kernels> = Box::new(Portable::baseline());
    all.filter(|&k| k != KernelChoice::Scalar)
        .filter_map(|k| Some((k.name(), make(k)?)))
        .chain([("portable without AVX2", baseline)])
}

/// Every set, the oracle too.
fn all() -> impl Iterator<Item = (&'static str, Box<dyn Kernels>)> {
    others().chain([("scalar", scalar())])
}

/// An operand's buffer with noise wherever no value, border or read-ahead has to be.
fn buffer(planes: &[Vec<i8>], layout: Layout, zero_point: i8, flip: u8) -> Vec<u8> {
    let mut noise = Random(7);
    let mut bytes: Vec<u8> = (0..layout.bytes(planes.len()))
        .map(|_| noise.bits() as u8)
        .collect();
    for (plane, values) in planes.iter().enumerate() {
        fill_border(&mut bytes, &layout, plane, zero_point as u8 ^ flip);
        let mut rows = whole(&mut bytes, layout, plane, flip);
        for (i, pixel) in values.chunks_exact(layout.channels).enumerate() {
            let to = rows.pixel(i / layout.width, i % layout.width);
            for (b, &v) in to.iter_mut().zip(pixel) {
                *b = v as u8 ^ flip;
            }
        }
    }
    bytes
}

fn whole(bytes: &mut [u8], layout: Layout, plane: usize, flip: u8) -> OperandRows<'_> {
    let mut chunks = row_chunks(bytes, layout, plane, layout.height, flip);
    chunks.next().expect("one part of all rows")
}

/// What `write` makes of an operand of this layout.
fn written(layout: Layout, flip: u8, write: impl FnOnce(OperandRows<'_>)) -> Vec<i8> {
    let mut bytes = vec![0x55; layout.bytes(1)];
    write(whole(&mut bytes, layout, 0, flip));
    let operand = Operand {
        bytes: &bytes,
        layout,
        planes: 1,
        zero_point: 0,
        flip,
    };
    operand.dense(0)
}
