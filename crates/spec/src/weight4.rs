//! Weights of 4 bits, two in a byte.

/// Largest 4-bit weight.
pub const WEIGHT4_MAX: i32 = 7;

/// Least 4-bit weight: of so few values none is left out, as -128 is of those of 8 bits.
pub const WEIGHT4_MIN: i32 = -8;

/// Two weights, `-8..=7`, as a byte: the first in the low half, each in two's complement.
#[inline]
#[must_use]
pub const fn pack(first: i8, second: i8) -> u8 {
    (first as u8 & 0x0F) | (second as u8) << 4
}

/// The two weights of a byte.
#[inline]
#[must_use]
pub const fn unpack(byte: u8) -> [i8; 2] {
    [(byte << 4) as i8 >> 4, byte as i8 >> 4]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_and_every_byte_comes_back() {
        for first in -8..=7 {
            for second in -8..=7 {
                assert_eq!(unpack(pack(first, second)), [first, second]);
            }
        }
        for byte in 0..=u8::MAX {
            let [first, second] = unpack(byte);
            assert_eq!(pack(first, second), byte);
        }
        assert_eq!(pack(-1, 7), 0x7F, "the first weight is the low half");
    }
}
