//! What an observer sees of a tensor.

/// Values of one tensor, `height * width * channels`, channels innermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TensorView<'a> {
    /// A stream: real value `x * 2^-k`.
    Stream(&'a [i16]),
    /// An operand of one plane: real value `(q - zero_point) * step`.
    Operand {
        /// Values.
        values: &'a [i8],
        /// Operand that stands for zero.
        zero_point: i8,
    },
    /// An operand of two planes: real value `(128 high + low) * step`.
    Planes {
        /// High plane.
        high: &'a [i8],
        /// Low plane, `-64..=63`.
        low: &'a [i8],
    },
}
