//! Which widths are tried.

use crate::widths::Widths;

/// One line of the table.
pub struct Row {
    pub what: &'static str,
    pub width: String,
    pub widths: Widths,
    /// Whether final images are made too.
    pub images: bool,
}

/// Everything wide, but for operands and weights of 8 bits.
fn wide() -> Widths {
    Widths {
        input: 24,
        stream: 24,
        output: 24,
        residual_operand: 24,
        affine_a: 30,
        affine_b: 46,
        affine_shift: 40,
        deviation: 40,
        group_mean: 40,
        silu_input: 20,
        silu_range: 9,
        silu_tables: false,
        silu_output: 20,
        multiplier: 40,
        logits: 16,
        softmax: 16,
        reciprocal: 26,
        mean: 16,
        ..Widths::default()
    }
}

fn row(what: &'static str, width: String, images: bool, set: impl FnOnce(&mut Widths)) -> Row {
    let mut widths = Widths::default();
    set(&mut widths);
    Row {
        what,
        width,
        widths,
        images,
    }
}

/// All lines, wide ones first.
pub fn rows() -> Vec<Row> {
    let mut rows = vec![Row {
        what: "all wide, operands and weights 8",
        width: String::new(),
        widths: wide(),
        images: true,
    }];
    let both: [(&'static str, bool, u32); 2] = [
        ("all wide, float weights, operands 8", true, 8),
        ("all wide, operands 16, weights 8", false, 16),
    ];
    for (what, float_weights, operand) in both {
        let widths = Widths {
            float_weights,
            operand,
            ..wide()
        };
        rows.push(Row {
            what,
            width: String::new(),
            widths,
            images: true,
        });
    }
    let mut vary =
        |what: &'static str, values: &[u32], images: &[u32], set: &dyn Fn(&mut Widths, u32)| {
            for &n in values {
                let width = n.to_string();
                rows.push(row(what, width, images.contains(&n), |w| set(w, n)));
            }
        };
    vary("operand, bits (8)", &[6, 7, 9, 10], &[7], &|w, n| {
        w.operand = n;
    });
    vary(
        "stream, bits (16)",
        &[10, 11, 12, 13, 14, 15, 20],
        &[12, 14, 20],
        &|w, n| {
            w.stream = n;
            w.output = n.max(16);
        },
    );
    vary(
        "network's input, bits (15)",
        &[8, 10, 11, 12, 13, 14, 20],
        &[8, 12, 20],
        &|w, n| {
            w.input = n;
        },
    );
    vary(
        "network's output, bits (16)",
        &[8, 9, 10, 12, 14, 20],
        &[10, 12],
        &|w, n| {
            w.output = n;
        },
    );
    vary(
        "stream entering a convolution, bits (15)",
        &[8, 10, 11, 12, 13, 14, 20],
        &[8, 12],
        &|w, n| {
            w.residual_operand = n;
            w.stream = w.stream.max(n);
        },
    );
    vary(
        "SiLU's input, fraction bits (10)",
        &[5, 6, 7, 8, 9, 12],
        &[],
        &|w, n| {
            w.silu_input = n;
            w.silu_tables = false;
        },
    );
    vary(
        "SiLU's input, range 2^n (5)",
        &[2, 3, 4, 6],
        &[],
        &|w, n| {
            w.silu_range = n;
            w.silu_tables = false;
        },
    );
    vary(
        "SiLU's result, fraction bits (10)",
        &[5, 6, 7, 8, 9, 12],
        &[],
        &|w, n| {
            w.silu_output = n;
            w.silu_tables = false;
        },
    );
    vary(
        "SiLU's input and result, fraction bits (10)",
        &[6, 7, 8, 12],
        &[],
        &|w, n| {
            (w.silu_input, w.silu_output) = (n, n);
            w.silu_tables = false;
        },
    );
    vary(
        "SiLU without tables, fraction bits (10)",
        &[10],
        &[],
        &|w, _| {
            w.silu_tables = false;
        },
    );
    vary(
        "group norm's a, bits (15)",
        &[8, 9, 10, 11, 12, 13, 18],
        &[],
        &|w, n| {
            w.affine_a = n;
            if n > 15 {
                (w.affine_shift, w.affine_b) = (30, 40);
            }
        },
    );
    vary(
        "group norm's b, bits (29)",
        &[16, 18, 20, 22, 24, 26, 35],
        &[],
        &|w, n| {
            w.affine_b = n;
            w.affine_shift = w.affine_shift.max(n.saturating_sub(7));
        },
    );
    vary(
        "group norm's shift, at most (22)",
        &[12, 14, 16],
        &[],
        &|w, n| {
            w.affine_shift = n;
        },
    );
    vary(
        "group's deviation, bits (18)",
        &[10, 12, 14, 30],
        &[],
        &|w, n| {
            w.deviation = n;
        },
    );
    vary(
        "group's mean, bits (24)",
        &[10, 12, 16, 30],
        &[],
        &|w, n| {
            w.group_mean = n;
        },
    );
    vary("gain, bits (15)", &[9, 10, 11, 12], &[], &|w, n| w.gain = n);
    vary(
        "multiplier's mantissa, bits (16)",
        &[8, 10, 12, 24],
        &[],
        &|w, n| {
            w.multiplier = n;
        },
    );
    vary(
        "weight step's mantissa, bits (16)",
        &[8, 10, 12],
        &[],
        &|w, n| {
            w.weight_scale = n;
        },
    );
    vary("logits, fraction bits (8)", &[3, 4, 5, 10], &[], &|w, n| {
        w.logits = n
    });
    vary(
        "attention weight, bits (8)",
        &[6, 7, 9, 10, 16],
        &[],
        &|w, n| w.softmax = n,
    );
    vary(
        "reciprocal of a row's sum, bits (16)",
        &[8, 10, 20],
        &[],
        &|w, n| {
            w.reciprocal = n;
        },
    );
    vary(
        "weighted mean, fraction bits (8)",
        &[2, 4, 6, 12],
        &[],
        &|w, n| w.mean = n,
    );
    vary(
        "sampler's state, fraction bits (24)",
        &[12, 16, 20],
        &[12, 16, 20],
        &|w, n| {
            w.state = n;
        },
    );
    rows
}
