//! Sinusoidal embedding of the time step (Vaswani et al. 2017, section 3.5, as `diffusers` lays it out).

/// `sin` of `t` times each frequency, then `cos`, or the other way round with `flip_sin_to_cos`.
///
/// Frequencies are `10000^(-i / (channels / 2 - freq_shift))`. An odd last channel is zero.
/// Software `libm`: the same bits on every machine.
#[must_use]
pub fn sinusoid(t: f64, channels: usize, flip_sin_to_cos: bool, freq_shift: f64) -> Vec<f64> {
    let half = channels / 2;
    let angle = |i: usize| {
        let exponent = -libm::log(10_000.0) * i as f64 / (half as f64 - freq_shift);
        t * libm::exp(exponent)
    };
    let mut x: Vec<f64> = (0..half).map(|i| libm::sin(angle(i))).collect();
    x.extend((0..half).map(|i| libm::cos(angle(i))));
    if flip_sin_to_cos {
        x.rotate_left(half);
    }
    x.resize(channels, 0.0);
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout() {
        let x = sinusoid(1.0, 5, false, 0.0);
        assert_eq!(x.len(), 5);
        assert!((x[0] - 1f64.sin()).abs() < 1e-15 && (x[2] - 1f64.cos()).abs() < 1e-15);
        assert_eq!(x[4], 0.0);
        assert_eq!(sinusoid(1.0, 4, true, 0.0)[..2], x[2..4]);
        // freq_shift 1: the last frequency is exactly 1 / 10000
        assert!((sinusoid(1.0, 4, false, 1.0)[1] - 1e-4f64.sin()).abs() < 1e-15);
    }
}
