//! Fields of wide ports: `[u32; n]`, word 0 lowest.

/// `width` bits (1 to 64) from bit `low` of `words`.
#[must_use]
pub fn get_bits(words: &[u32], low: usize, width: usize) -> u64 {
    let mut value = 0u64;
    let mut done = 0;
    while done < width {
        let at = low + done;
        let part = u64::from(words[at / 32] >> (at % 32));
        value |= part << done;
        done += 32 - at % 32;
    }
    if width < 64 {
        value & ((1 << width) - 1)
    } else {
        value
    }
}

/// The same as a signed number.
#[must_use]
pub fn get_signed(words: &[u32], low: usize, width: usize) -> i64 {
    let unused = 64 - width;
    ((get_bits(words, low, width) << unused) as i64) >> unused
}

/// Replaces `width` bits (1 to 64) from bit `low` by the low bits of `value`.
pub fn set_bits(words: &mut [u32], low: usize, width: usize, value: u64) {
    let mut done = 0;
    while done < width {
        let at = low + done;
        let n = (32 - at % 32).min(width - done);
        let mask = (u64::MAX >> (64 - n)) as u32;
        let part = (value >> done) as u32 & mask;
        let word = &mut words[at / 32];
        *word = *word & !(mask << (at % 32)) | part << (at % 32);
        done += n;
    }
}

/// Values of `width` bits one after the other, the first lowest; `N` words hold them.
#[must_use]
pub fn pack<const N: usize>(width: usize, values: impl IntoIterator<Item = i64>) -> [u32; N] {
    let mut words = [0; N];
    for (i, value) in values.into_iter().enumerate() {
        set_bits(&mut words, i * width, width, value as u64);
    }
    words
}

/// The first `count` signed values of `width` bits.
#[must_use]
pub fn unpack(words: &[u32], width: usize, count: usize) -> Vec<i64> {
    (0..count)
        .map(|i| get_signed(words, i * width, width))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{get_bits, get_signed, pack, set_bits, unpack};

    #[test]
    fn fields_over_word_boundaries() {
        let mut words = [u32::MAX; 4];
        set_bits(&mut words, 25, 40, 0x12_3456_789a);
        assert_eq!(get_bits(&words, 25, 40), 0x12_3456_789a);
        assert_eq!(get_bits(&words, 0, 25), (1 << 25) - 1);
        assert_eq!(get_bits(&words, 65, 63), u64::MAX >> 1);
        set_bits(&mut words, 31, 64, u64::MAX - 1);
        assert_eq!(get_signed(&words, 31, 64), -2);
        assert_eq!(get_bits(&words, 31, 64), u64::MAX - 1);
        let values = [-5i64, 3, -(1 << 16), (1 << 16) - 1];
        assert_eq!(unpack(&pack::<3>(17, values), 17, 4), values);
    }
}
