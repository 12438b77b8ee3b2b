//! The sets of `golden/make.py`, from the same numbers.

/// The first `count` numbers of SplitMix64.
fn numbers(seed: u64, count: usize) -> impl Iterator<Item = u64> {
    (1..=count as u64).map(move |i| {
        let mut z = seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

/// Correlated rows of features, exact in `f32`.
pub fn features(seed: u64, rows: usize, dim: usize, shift: u64) -> Vec<f32> {
    let common: Vec<u64> = numbers(seed + 1000, rows * 3).map(|z| z >> 48).collect();
    let own = numbers(seed, rows * dim).map(|z| z >> 48);
    own.enumerate()
        .map(|(i, own)| {
            let (row, column) = (i / dim, i % dim);
            let weight = 1 + column as u64 % 5;
            let offset = 512 * shift * (column as u64 % 8);
            (own + weight * common[row * 3 + column % 3] + offset) as f32 / 65536.0
        })
        .collect()
}

/// A ramp with noise, and the same with a little more; 3 channels.
#[allow(dead_code, reason = "not every test file compares images")]
pub fn images(seed: u64, height: usize, width: usize) -> (Vec<u8>, Vec<u8>) {
    let count = height * width * 3;
    let clean: Vec<u64> = numbers(seed, count)
        .enumerate()
        .map(|(i, z)| {
            let (y, x, c) = (i / 3 / width, i / 3 % width, i % 3);
            (3 * y + 2 * x + 20 * c) as u64 + (z >> 58)
        })
        .collect();
    let more = numbers(seed + 1000, count).map(|z| z >> 60);
    let noisy = clean.iter().zip(more);
    let noisy = noisy.map(|(&v, m)| (v + m).saturating_sub(8).min(255) as u8);
    (clean.iter().map(|&v| v as u8).collect(), noisy.collect())
}
