//! The checked-in tables against their formulas.
//!
//! With `UPDATE_TABLES=1` in the environment the files are written instead of compared; `libm`
//! makes the outcome the same on every machine.

use std::fmt::{Display, Write as _};
use std::path::Path;

/// Nearest integer, halves upwards.
fn nearest(x: f64) -> i64 {
    (x + 0.5).floor() as i64
}

/// Source text of one table.
fn table<T: Display>(
    name: &str,
    doc: &str,
    kind: &str,
    values: impl IntoIterator<Item = T>,
) -> String {
    let values: Vec<T> = values.into_iter().collect();
    let mut text = format!(
        "\n/// {doc}\n#[rustfmt::skip]\npub const {name}: [{kind}; {}] = [\n",
        values.len()
    );
    for row in values.chunks(12) {
        text.push_str("   ");
        for value in row {
            write!(text, " {value},").unwrap();
        }
        text.push('\n');
    }
    text + "];\n"
}

const HEADER: &str = "\
//! They stand here as numbers, so that no machine's floating point has a say in them;
//! `UPDATE_TABLES=1 cargo test -p diffuser-spec --test tables` writes them again.
";

fn check(file: &str, title: &str, tables: &[String]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
    let want = format!("//! {title}\n//!\n{HEADER}{}", tables.concat());
    if std::env::var_os("UPDATE_TABLES").is_some() {
        std::fs::write(&path, &want).unwrap();
    }
    // a checkout may have changed the line ends
    let have = std::fs::read_to_string(&path)
        .unwrap()
        .replace("\r\n", "\n");
    for (line, (have, want)) in have.lines().zip(want.lines()).enumerate() {
        assert_eq!(have, want, "{file}, line {}", line + 1);
    }
    assert_eq!(have.len(), want.len(), "{file}: length");
}

/// Coefficients on segment `i` of the quadratic through both ends and the middle of
/// `g(a) = -a / (1 + exp(a))`, Q15.
fn silu(i: usize) -> [i64; 3] {
    const WIDTH: f64 = 0.25;
    let g = |a: f64| -a / (1.0 + libm::exp(a));
    let start = i as f64 * WIDTH;
    let (y0, middle, y1) = (g(start), g(start + WIDTH / 2.0), g(start + WIDTH));
    let quadratic = 2.0 * (y0 - 2.0 * middle + y1);
    [y0, y1 - y0 - quadratic, quadratic].map(|c| nearest(c * 32768.0))
}

#[test]
fn arithmetic() {
    let silu: Vec<[i64; 3]> = (0..64).map(silu).collect();
    let power = |i| nearest(127.0 * 256.0 * libm::exp2(-f64::from(i) / 256.0));
    let seed = |i| nearest(32768.0 / ((f64::from(i) + 32.5) / 128.0).sqrt());
    check(
        "tables.rs",
        "Tables of the arithmetic, checked against their formulas by `tests/tables.rs`.",
        &[
            table(
                "SILU_C0",
                "`g` at the start of each segment, Q15.",
                "i16",
                silu.iter().map(|c| c[0]),
            ),
            table(
                "SILU_C1",
                "Linear coefficient of each segment, Q15.",
                "i16",
                silu.iter().map(|c| c[1]),
            ),
            table(
                "SILU_C2",
                "Quadratic coefficient of each segment, Q15.",
                "i16",
                silu.iter().map(|c| c[2]),
            ),
            table(
                "EXP2",
                "`127 * 256 * 2^(-i / 256)`, rounded.",
                "u16",
                (0..256).map(power),
            ),
            table(
                "RSQRT_SEED",
                "`2^15 / sqrt((i + 32.5) / 128)`, rounded: seeds for [`crate::rsqrt`].",
                "u32",
                (0..96).map(seed),
            ),
        ],
    );
}

/// `x` with `P(N > x) = p` for a standard normal `N` and `p <= 1/2`, by bisection.
fn normal_quantile(p: f64) -> f64 {
    let (mut low, mut high) = (0.0, 8.0);
    for _ in 0..60 {
        let x = 0.5 * (low + high);
        if 0.5 * libm::erfc(x * std::f64::consts::FRAC_1_SQRT_2) > p {
            low = x
        } else {
            high = x
        }
    }
    high
}

#[test]
fn normal() {
    use diffuser_spec::normal::{OCTAVES, SEGMENTS};
    let entry = |i: usize| {
        if i == OCTAVES * SEGMENTS {
            return 0; // the median, which bisection only comes near to
        }
        let mantissa = 1.0 + (i % SEGMENTS) as f64 / SEGMENTS as f64;
        let p = mantissa * libm::exp2((i / SEGMENTS) as f64 - 33.0);
        nearest(normal_quantile(p) * f64::from(1 << 24))
    };
    check(
        "tables_normal.rs",
        "Table of the normal distribution, checked against its formula by `tests/tables.rs`.",
        &[table(
            "NORMAL_TAIL",
            "`x` in units of `2^-24` that a standard normal number exceeds with probability \
             `2^(o - 33) (1 + s / 64)`, `i = 64 o + s`.",
            "i32",
            (0..=OCTAVES * SEGMENTS).map(entry),
        )],
    );
}
