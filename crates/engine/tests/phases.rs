//! Phases against what they stand for: nearest 2x upsampling and a 3x3 convolution. Where the sums of weights are
//! whole numbers that fit, both give the same bits, at every border and with every zero point.

use diffuser_engine::{Engine, KernelChoice};
use diffuser_model::graph::{Conv, Graph, Node, Op, Resample, TensorInfo, TensorKind};
use diffuser_model::quantised::{ConvWeights, NodeParams, WeightBits};
use diffuser_model::rewrite::phase_weights;
use diffuser_model::step::{ConvStep, NodeStep, QuantiseStep, StepParams};
use diffuser_spec::Multiplier;
use diffuser_testing::Random;

/// State to a stream by a 1x1 convolution, that to an operand, and a convolution behind upsampling.
fn network([height, width]: [usize; 2], [inputs, outputs]: [usize; 2], phases: bool) -> Graph {
    let tensor = |kind, channels, scale: usize| TensorInfo {
        name: String::new(),
        kind,
        channels,
        height: scale * height,
        width: scale * width,
    };
    let operand = if phases { 1 } else { 2 };
    let conv = |channels, outputs, kernel, phases| {
        Op::Conv(Conv {
            weight: String::new(),
            bias: None,
            input_channels: 0..channels,
            output_channels: outputs,
            kernel,
            phases,
            stride: 1,
            padding: [usize::from(kernel > 1); 4],
            projection: None,
            residual: None,
        })
    };
    let resample = (!phases).then_some(Resample::Nearest2x);
    let ops = [
        Op::Quantise { resample: None },
        conv(3, inputs, 1, false),
        Op::Quantise { resample },
        conv(inputs, outputs, if phases { 2 } else { 3 }, phases),
    ];
    let nodes = ops.into_iter().enumerate().map(|(i, op)| Node {
        name: format!("node {i}"),
        op,
        inputs: vec![i],
        output: i + 1,
    });
    Graph {
        tensors: vec![
            tensor(TensorKind::Input, 3, 1),
            tensor(TensorKind::Operand, 3, 1),
            tensor(TensorKind::Stream, inputs, 1),
            tensor(TensorKind::Operand, inputs, operand),
            tensor(TensorKind::Stream, outputs, 2),
        ],
        nodes: nodes.collect(),
        projections: vec![],
        output: 4,
    }
}

/// `out x in x k x k` as `out x k x k x in`.
fn innermost(weight: &[f32], inputs: usize, taps: usize) -> Vec<i8> {
    let row = |row: &[f32]| -> Vec<i8> {
        let at = |i: usize| row[i % inputs * taps + i / inputs] as i8;
        (0..row.len()).map(at).collect()
    };
    weight.chunks_exact(inputs * taps).flat_map(row).collect()
}

fn weights(weight: Vec<i8>) -> NodeParams {
    NodeParams::Conv(ConvWeights {
        weight,
        bits: WeightBits::Eight,
        scale: vec![],
        bias: vec![],
    })
}

fn conv_step(bias: Vec<i32>, multiplier: Vec<Multiplier>, zero_point: i8) -> NodeStep {
    NodeStep::Conv(ConvStep {
        bias,
        multiplier,
        zero_point,
        residual_shift: 0,
    })
}

#[test]
fn phases_are_upsampling_and_convolution() {
    let mut r = Random(9);
    let sizes = [[1, 1], [1, 4], [5, 1], [3, 2], [4, 7], [9, 8]];
    for (i, size) in sizes.into_iter().cycle().take(24).enumerate() {
        let channels = [0; 2].map(|_| r.pick(&[1, 3, 4, 17, 33]));
        let [inputs, outputs] = channels;
        // four of them fit 8 bits
        let float: Vec<f32> = (0..outputs * inputs * 9)
            .map(|_| r.range(-31, 31) as f32)
            .collect();
        let first: Vec<i8> = (0..3 * inputs).map(|_| r.range(-127, 127) as i8).collect();
        let bias: Vec<i32> = (0..outputs).map(|_| r.range(-9000, 9000) as i32).collect();
        let multiplier = |shift| Multiplier {
            mantissa: 40_001,
            shift,
        };
        let quantise = if i % 3 == 0 {
            QuantiseStep::StreamPlanes
        } else {
            QuantiseStep::Single {
                gain: 300,
                zero_point: r.range(-127, 127) as i8,
            }
        };
        let zero_point = match quantise {
            QuantiseStep::Single { zero_point, .. } => zero_point,
            _ => 0,
        };
        let state: Vec<i32> = (0..size[0] * size[1] * 3)
            .map(|_| r.range(-1 << 25, 1 << 25) as i32)
            .collect();
        let run = |phases: bool, choice: KernelChoice| {
            let (count, weight) = if phases {
                (4, innermost(&phase_weights(&float), inputs, 4))
            } else {
                (1, innermost(&float, inputs, 9))
            };
            let nodes = [
                NodeParams::None,
                weights(first.clone()),
                NodeParams::None,
                weights(weight),
            ];
            let shift = if zero_point == 0 { 29 } else { 24 };
            let step = StepParams {
                timestep: 0,
                nodes: vec![
                    NodeStep::Quantise(QuantiseStep::StatePlanes { shift: 12 }),
                    conv_step(vec![0; inputs], vec![multiplier(20); inputs], 0),
                    NodeStep::Quantise(quantise),
                    conv_step(
                        bias.repeat(count),
                        vec![multiplier(shift); count * outputs],
                        zero_point,
                    ),
                ],
                output_exponent: 0,
            };
            let graph = network(size, channels, phases);
            let engine = Engine::new(graph, &nodes, choice).expect("sound");
            let mut workspace = engine.workspace();
            let out = engine.evaluate(&state, &step, &mut workspace);
            out.expect("it fits").to_vec()
        };
        let want = run(false, KernelChoice::Scalar);
        assert!(want.iter().any(|&v| v != want[0] && v.abs() < 32_767));
        let available = KernelChoice::ALL.into_iter().filter(|k| k.is_available());
        for choice in available {
            assert!(run(true, choice) == want, "{choice}: {size:?} {channels:?}");
        }
    }
}
