//! Real numbers as integer scales.

use diffuser_spec::Scale;

/// The nearest [`Scale`] to a positive, normal number; `None` for any other.
#[must_use]
pub fn scale_from_f64(x: f64) -> Option<Scale> {
    if !x.is_normal() || x < 0.0 || !(1e-50..1e50).contains(&x) {
        return None;
    }
    let bits = x.to_bits();
    let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
    let exponent = ((bits >> 52) & 0x7ff) as i16 - 1075;
    Some(Scale::from_integer(mantissa, exponent))
}

/// The real value of a scale.
#[must_use]
pub fn scale_to_f64(s: Scale) -> f64 {
    libm::ldexp(f64::from(s.mantissa()), s.exponent().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn nearest(x in 1e-20f64..1e20) {
            let s = scale_to_f64(scale_from_f64(x).unwrap());
            proptest::prop_assert!((s / x - 1.0).abs() <= 1.0 / 65536.0);
        }
    }

    #[test]
    fn refused() {
        for x in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-300] {
            assert_eq!(scale_from_f64(x), None);
        }
    }
}
