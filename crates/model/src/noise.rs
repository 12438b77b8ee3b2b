//! Seeded noise: one stream for each image of a seed.
//!
//! Element `i` of an image is number `i % 4` of Philox block `i / 4`, made normal; the block's
//! counter holds the image's index and what the noise is for, the key is the seed. So image `k` of
//! a seed is the same alone, in a batch of any size, and on any machine.
//!
//! Elements are in row-major order of height, width, channel, as everywhere in this project; the
//! numbers are those of `i` in that order.

use diffuser_spec::normal::normal;
use diffuser_spec::philox::philox;

/// What noise is for; each has numbers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The state that sampling starts from.
    Start,
    /// What step `i` adds, counted from zero in order of sampling.
    Step(u32),
}

impl Purpose {
    /// Last word of the counter: zero for the start, `i + 1` for step `i`.
    const fn word(self) -> u32 {
        match self {
            Self::Start => 0,
            // u32::MAX steps do not exist; the last one would only repeat the one before
            Self::Step(i) => i.saturating_add(1),
        }
    }
}

/// `length` standard normal numbers in units of `2^-24`, of image `image` under `seed`.
///
/// Longer than `2^34` elements, which no image is, the block counter would wrap.
#[must_use]
pub fn noise(seed: u64, image: u64, purpose: Purpose, length: usize) -> Vec<i32> {
    let key = [seed as u32, (seed >> 32) as u32];
    let block = |i: u32| philox([i, image as u32, (image >> 32) as u32, purpose.word()], key);
    let numbers = (0..length.div_ceil(4)).flat_map(|i| block(i as u32));
    numbers.take(length).map(normal).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_does_not_depend_on_the_length() {
        let long = noise(9, 3, Purpose::Start, 103);
        for length in [0, 1, 3, 4, 5, 102] {
            assert_eq!(noise(9, 3, Purpose::Start, length), long[..length]);
        }
    }

    #[test]
    fn known_numbers_stay() {
        // changing these changes every image that anyone has made from a seed; computed apart, they
        // are within 200 units of Python's `NormalDist().inv_cdf`
        assert_eq!(
            noise(0, 0, Purpose::Start, 5),
            [-4291909, 19756756, 10572897, 4488950, 32125118]
        );
        let seed = 0x0123_4567_89ab_cdef;
        assert_eq!(
            noise(seed, 1 << 40 | 5, Purpose::Step(2), 3),
            [-7304670, 9355209, -13335370]
        );
    }

    #[test]
    fn seeds_images_and_purposes_are_unrelated() {
        const LENGTH: usize = 3 * 64 * 64;
        let streams = [
            (1, 0, Purpose::Start),
            (2, 0, Purpose::Start),
            (1 << 32, 0, Purpose::Start),
            (1, 1, Purpose::Start),
            (1, 1 << 32, Purpose::Start),
            (1, 0, Purpose::Step(0)),
            (1, 0, Purpose::Step(1)),
        ]
        .map(|(seed, image, purpose)| {
            noise(seed, image, purpose, LENGTH)
                .into_iter()
                .map(|x| f64::from(x) / f64::from(1 << 24))
                .collect::<Vec<_>>()
        });
        // correlation of independent numbers, five standard errors
        let limit = 5.0 / (LENGTH as f64).sqrt();
        for (i, a) in streams.iter().enumerate() {
            for (j, b) in streams.iter().enumerate() {
                let products: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                let correlation = products / LENGTH as f64;
                let want = f64::from(u8::from(i == j));
                // a variance spreads sqrt(2) wider
                assert!(
                    (correlation - want).abs() < 1.5 * limit,
                    "{i} {j}: {correlation}"
                );
            }
        }
    }
}
