//! Sums, normalisation, quantisation.

use diffuser_spec::norm::{Affine, Sums};

use super::{Random, all, others, scalar, whole, written};
use crate::kernels::{Kernels, NormaliseJob};
use crate::layout::{Layout, Operand};

/// Every 16-bit value, in an order without pattern.
fn all_words() -> Vec<i16> {
    (0..=u16::MAX)
        .map(|i| i.wrapping_mul(40_503) as i16)
        .collect()
}

fn sums(kernels: &dyn Kernels, x: &[i16], channels: usize) -> Vec<Sums> {
    // what is there already stays
    let one = Sums { sum: -5, sum_sq: 3 };
    let mut sums = vec![one; channels];
    kernels.sums(x, &mut sums);
    sums
}

#[test]
fn sums_are_exact() {
    let mut r = Random(1);
    for channels in [1, 3, 5, 16, 17, 31, 32, 33, 64, 70] {
        for pixels in [1, 2, 3, 15, 16, 49] {
            let x: Vec<i16> = (0..channels * pixels)
                .map(|_| {
                    if r.range(0, 3) == 0 {
                        i16::MIN
                    } else {
                        r.bits() as i16
                    }
                })
                .collect();
            let want = sums(&*scalar(), &x, channels);
            for (c, s) in want.iter().enumerate() {
                let own = || x.iter().skip(c).step_by(channels).map(|&v| i128::from(v));
                assert_eq!(i128::from(s.sum), own().sum::<i128>() - 5);
                assert_eq!(i128::from(s.sum_sq), own().map(|v| v * v).sum::<i128>() + 3);
            }
            for (name, kernels) in others() {
                assert_eq!(
                    sums(&*kernels, &x, channels),
                    want,
                    "{name} {channels} x {pixels}"
                );
            }
        }
    }
}

/// More pixels than 32-bit sums can take, all at an extreme.
#[test]
fn long_sums_do_not_overflow() {
    for value in [i16::MIN, i16::MAX] {
        for pixels in [65_537, 140_000] {
            let v = i64::from(value);
            let want = Sums {
                sum: v * pixels as i64 - 5,
                sum_sq: (v * v) as u64 * pixels as u64 + 3,
            };
            for (name, kernels) in all() {
                let got = sums(&*kernels, &vec![value; pixels * 2], 2);
                assert_eq!(got, [want; 2], "{name}");
            }
        }
    }
}

/// Normalised as the second of two streams, so that the first three channels are not written.
fn normalised(kernels: &dyn Kernels, job: &NormaliseJob<'_>) -> Vec<i8> {
    let channels = job.maps.len();
    let layout = Layout {
        height: job.x.len() / channels / job.width,
        width: job.width,
        channels: channels + 3,
        padding: [1, 1, 0, 1],
    };
    let out = written(layout, kernels.flip(), |mut rows| {
        kernels.normalise(job.clone(), rows.starting_at(3));
    });
    let untouched = (0x55 ^ kernels.flip()) as i8;
    let mut own = Vec::new();
    for pixel in out.chunks_exact(channels + 3) {
        assert_eq!(pixel[..3], [untouched; 3]);
        own.extend_from_slice(&pixel[3..]);
    }
    own
}

fn compare(job: &NormaliseJob<'_>) -> Vec<i8> {
    let want = normalised(&*scalar(), job);
    for (name, kernels) in others() {
        let got = normalised(&*kernels, job);
        let differs = got.iter().zip(&want).position(|(g, w)| g != w);
        assert_eq!(
            differs,
            None,
            "{name}, {} channels, silu {}",
            job.maps.len(),
            job.silu
        );
    }
    want
}

#[test]
fn silu_and_quantisation_of_every_word() {
    // u = x
    let identity = Affine {
        a: 1 << 14,
        b: 0,
        shift: 14,
    };
    let x = all_words();
    for (gain, zero_point) in [
        (1, 0),
        (1280, -120),
        (i16::MAX, 127),
        (i16::MAX, -127),
        (130, 5),
    ] {
        for channels in [1, 32] {
            for silu in [false, true] {
                let job = NormaliseJob {
                    x: &x,
                    width: 64,
                    maps: &vec![identity; channels],
                    silu,
                    gain,
                    zero_point,
                };
                let out = compare(&job);
                assert!(out.iter().any(|&v| v != out[0]) || gain == 1);
            }
        }
    }
}

#[test]
fn maps_of_any_size() {
    let mut r = Random(2);
    let words = all_words();
    for channels in [1, 2, 5, 16, 17, 31, 32, 33, 64, 97] {
        for round in 0..6 {
            let maps: Vec<Affine> = (0..channels)
                .map(|_| match round {
                    0 => Affine {
                        a: [-32_767, 32_767][(r.bits() & 1) as usize],
                        b: [-(1 << 29), 1 << 29][(r.bits() & 1) as usize],
                        shift: r.range(0, 22) as u8,
                    },
                    _ => Affine {
                        a: r.range(-32_767, 32_767) as i16,
                        b: (r.range(-(1 << 29), 1 << 29) >> r.range(0, 15)) as i32,
                        shift: r.range(10, 22) as u8,
                    },
                })
                .collect();
            let (width, height) = (r.range(1, 9) as usize, r.range(1, 5) as usize);
            let from = r.range(0, 1000) as usize;
            let mut x = words[from..from + width * height * channels].to_vec();
            x[0] = i16::MIN;
            compare(&NormaliseJob {
                x: &x,
                width,
                maps: &maps,
                silu: round % 2 == 0,
                gain: r.range(1, 32_767) as i16,
                zero_point: r.range(-127, 127) as i8,
            });
        }
    }
}

#[test]
fn quantisation_and_planes_of_every_word() {
    let x = all_words();
    let n = x.len();
    let each = |kernels: &dyn Kernels, gain, zero_point| {
        let (mut one, mut high, mut low) = (vec![0; n], vec![0; n], vec![0; n]);
        kernels.quantise(&x, gain, zero_point, &mut one);
        kernels.stream_planes(&x, &mut high, &mut low);
        let flip = kernels.flip();
        [one, high, low].map(|v| v.into_iter().map(|b| (b ^ flip) as i8).collect::<Vec<_>>())
    };
    for (gain, zero_point) in [(1, 0), (127, 3), (9000, -127), (i16::MAX, 127)] {
        let want = each(&*scalar(), gain, zero_point);
        for (i, &v) in x.iter().enumerate() {
            let both = 128 * i32::from(want[1][i]) + i32::from(want[2][i]);
            assert_eq!(both, ((i32::from(v) + 1) >> 1).clamp(-16_319, 16_319));
            let code = ((i32::from(v) * i32::from(gain) + (1 << 14)) >> 15) + i32::from(zero_point);
            assert_eq!(i32::from(want[0][i]), code.clamp(-127, 127));
        }
        for (name, kernels) in others() {
            assert!(each(&*kernels, gain, zero_point) == want, "{name}");
        }
    }
}

/// The border and what lies beyond the channels stay as they are.
#[test]
fn nothing_else_is_written() {
    let layout = Layout {
        height: 2,
        width: 3,
        channels: 5,
        padding: [1; 4],
    };
    for (name, kernels) in all() {
        let mut bytes = vec![0x55; layout.bytes(1)];
        let maps = [Affine::default(); 5];
        let job = NormaliseJob {
            x: &[0; 30],
            width: 3,
            maps: &maps,
            silu: true,
            gain: 1,
            zero_point: 9,
        };
        kernels.normalise(job, whole(&mut bytes, layout, 0, kernels.flip()));
        let changed = bytes.iter().filter(|&&b| b != 0x55).count();
        assert_eq!(changed, 30, "{name}");
        let operand = Operand {
            bytes: &bytes,
            layout,
            planes: 1,
            zero_point: 0,
            flip: kernels.flip(),
        };
        assert_eq!(operand.dense(0), [9; 30], "{name}");
    }
}
