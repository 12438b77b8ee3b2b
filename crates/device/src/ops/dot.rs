//! The inner product of the array, written so that it becomes vector instructions.

/// `acc[o] += Σ x[i] * w[o * I + i]` modulo 2^32, I the length of `x`.
///
/// Weights are 8-bit values widened to 16 bits, so that no widening is left in the loop.
pub fn accumulate(acc: &mut [i32], x: &[i8], w: &[i16]) {
    match x.len() {
        8 => fixed::<8>(acc, x, w),
        16 => fixed::<16>(acc, x, w),
        32 => fixed::<32>(acc, x, w),
        n => {
            for (acc, w) in acc.iter_mut().zip(w.chunks_exact(n)) {
                *acc = acc.wrapping_add(dot(x.iter().map(|&x| i16::from(x)), w));
            }
        }
    }
}

#[inline]
fn fixed<const I: usize>(acc: &mut [i32], x: &[i8], w: &[i16]) {
    let x: &[i8; I] = x.try_into().expect("a block of I channels");
    let x = x.map(i16::from);
    for (acc, w) in acc.iter_mut().zip(w.as_chunks::<I>().0) {
        *acc = acc.wrapping_add(dot(x.iter().copied(), w));
    }
}

#[inline(always)]
fn dot(x: impl Iterator<Item = i16>, w: &[i16]) -> i32 {
    // wrapping: a check for overflow would keep the loop scalar; 127 * 127 * I is far from it
    x.zip(w).fold(0, |sum: i32, (x, &w)| {
        sum.wrapping_add(i32::from(x).wrapping_mul(i32::from(w)))
    })
}

/// `from` with 16 bits.
pub fn widen(to: &mut Vec<i16>, from: &[i8]) {
    to.clear();
    to.extend(from.iter().map(|&w| i16::from(w)));
}
