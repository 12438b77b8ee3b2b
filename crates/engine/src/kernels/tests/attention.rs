//! Attention.

use diffuser_model::step::AttentionStep;
use diffuser_spec::Multiplier;

use super::{Random, all, buffer, others, scalar, written};
use crate::kernels::{AttentionJob, Kernels};
use crate::layout::{Layout, Operand, row_chunks};

struct Case {
    layout: Layout,
    heads: usize,
    qkv: [Vec<i8>; 3],
    step: AttentionStep,
}

impl Case {
    fn run(&self, kernels: &dyn Kernels) -> Vec<i8> {
        let flip = kernels.flip();
        let bytes = [0, 1, 2].map(|i| buffer(&self.qkv[i..=i], self.layout, 0, flip));
        let [q, k, v] = [0, 1, 2].map(|i| Operand {
            bytes: &bytes[i],
            layout: self.layout,
            planes: 1,
            zero_point: 0,
            flip,
        });
        let (heads, step, height) = (self.heads, &self.step, self.layout.height);
        let all = written(self.layout, flip, |out| {
            let rows = 0..height;
            kernels.attention(
                AttentionJob {
                    q,
                    k,
                    v,
                    heads,
                    step,
                    rows,
                },
                out,
            );
        });
        // in parts of two rows: the same
        let mut bytes = vec![0; self.layout.bytes(1)];
        for (i, out) in row_chunks(&mut bytes, self.layout, 0, 2, flip).enumerate() {
            let rows = 2 * i..height.min(2 * i + 2);
            kernels.attention(
                AttentionJob {
                    q,
                    k,
                    v,
                    heads,
                    step,
                    rows,
                },
                out,
            );
        }
        let parts = Operand { bytes: &bytes, ..q };
        assert_eq!(parts.dense(0), all);
        all
    }
}

fn layout([height, width]: [usize; 2], channels: usize) -> Layout {
    Layout {
        height,
        width,
        channels,
        padding: [0; 4],
    }
}

#[test]
fn every_kernel_is_the_oracle() {
    let (mut r, mut distinct) = (Random(1), 0);
    for size in [[1, 1], [1, 4], [3, 5], [6, 6], [9, 7]] {
        for heads in [1, 2, 3] {
            for head in [1, 3, 8, 16, 33, 40] {
                let extreme = r.range(0, 3) == 0;
                let layout = layout(size, heads * head);
                let n = size[0] * size[1] * heads * head;
                let case = Case {
                    layout,
                    heads,
                    qkv: [0; 3].map(|_| r.operands(n, extreme)),
                    step: AttentionStep {
                        to_log2: Multiplier {
                            mantissa: r.range(1 << 15, 65_535) as u16,
                            shift: [1, 16, 20, 22, 24, 62][r.range(0, 5) as usize],
                        },
                        gain: [1, 100, 2000, 20_000, i16::MAX][r.range(0, 4) as usize],
                    },
                };
                let want = case.run(&*scalar());
                distinct += usize::from(want.iter().any(|v| *v != want[0]));
                for (name, kernels) in others() {
                    let got = case.run(&*kernels);
                    assert!(
                        got == want,
                        "{name} {layout:?} {heads} heads {:?}",
                        case.step
                    );
                }
            }
        }
    }
    assert!(distinct > 50, "{distinct}");
}

/// Without a difference of logits every weight is 127, and the result the mean of V.
#[test]
fn equal_logits_give_the_mean() {
    let v: Vec<i8> = vec![10, -20, 30, 40, 50, -60, 70, 120];
    let case = Case {
        layout: layout([2, 2], 2),
        heads: 2,
        qkv: [vec![0; 8], vec![99; 8], v],
        // a unit of V becomes a unit of the result
        step: AttentionStep {
            to_log2: Multiplier {
                mantissa: 1 << 15,
                shift: 15,
            },
            gain: 128,
        },
    };
    // (10 + 30 + 50 + 70) / 4, (-20 + 40 - 60 + 120) / 4
    let want = [40, 20].repeat(4);
    for (name, kernels) in all() {
        assert_eq!(case.run(&*kernels), want, "{name}");
    }
}

/// One logit far above the others takes all.
#[test]
fn the_largest_logit_takes_all() {
    let case = Case {
        layout: layout([1, 3], 1),
        heads: 1,
        qkv: [vec![127, -127, 1], vec![-100, 0, 100], vec![5, 60, -7]],
        step: AttentionStep {
            to_log2: Multiplier {
                mantissa: 1 << 15,
                shift: 11,
            },
            gain: 128,
        },
    };
    for (name, kernels) in all() {
        assert_eq!(case.run(&*kernels)[..2], [-7, 5], "{name}");
    }
}
