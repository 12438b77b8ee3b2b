//! The whole quantised model from a pipeline, a calibration and a method.

use diffuser_model::build_graph::build_graph_with;
use diffuser_model::graph::{Conv, Graph, Node, Op, TensorId};
use diffuser_model::import::Pipeline;
use diffuser_model::prepare::PrepareError;
use diffuser_model::quantised::{
    EmbeddingParams, NodeParams, Provenance, QuantisedModel, TensorTable, WeightBits,
};
use diffuser_model::rewrite::Phase;
use diffuser_model::scale::scale_to_f64;
use diffuser_model::weights::{Tensor, Weights};
use diffuser_spec::{OPERAND_MAX, STATE_FRACTION_BITS, operand::PLANES_MAX};

use crate::accumulator::Room;
use crate::calibrate::Calibration;
use crate::methods::{Method, Residual, Tables};
use crate::rounding::{Part, Rounding, Sequential};
use crate::weights;

/// Why a model cannot be quantised.
#[derive(Debug, thiserror::Error)]
pub enum QuantiseError {
    /// The float model is not usable.
    #[error(transparent)]
    Model(#[from] diffuser_model::error::Error),
    /// The schedule is not usable.
    #[error(transparent)]
    Schedule(#[from] diffuser_model::sampling::SamplingError),
    /// What came out cannot be executed.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    /// No choice of widths makes the weights this small.
    #[error(
        "a budget of {budget} bytes for weights: they take {least} bytes with 4 bits wherever that is possible, and {most} with 8"
    )]
    Budget {
        /// Bytes that were asked for.
        budget: u64,
        /// Bytes with 4 bits wherever possible.
        least: u64,
        /// Bytes with 8 bits.
        most: u64,
    },
    /// A quantised network that was tried cannot be executed.
    #[error("{0}")]
    Execute(String),
    /// The calibration gave something other than numbers.
    #[error("calibration: tensor `{0}` is not finite; the float model diverges")]
    NotFinite(String),
    /// An unfinished calibration could not be saved or taken up.
    #[error(transparent)]
    Resume(#[from] crate::resume::ResumeError),
}

/// [`quantise_with`] 8-bit weights in every layer.
///
/// # Errors
/// As [`quantise_with`].
pub fn quantise(
    pipeline: &Pipeline,
    calibration: &Calibration,
    method: &dyn Method,
    residual: Residual,
) -> Result<QuantisedModel, QuantiseError> {
    let graph = build_graph_with(&pipeline.config, calibration.settings.rewrites)?;
    let nodes = graph.nodes.len();
    let bits = vec![WeightBits::Eight; nodes];
    quantise_with(pipeline, calibration, method, residual, &bits, &|_, _| {})
}

/// Quantise: tables by the method with a residual of this width, weights rounded as the calibration's settings say, `bits` wide at each
/// node of the graph; `progress` gets the weights of the network that are rounded, and all there are.
///
/// Every calibrated time step is prepared once, so that a model which comes out here can be executed.
///
/// # Errors
/// When the weights do not fit the configuration, or an accumulator could leave 32 bits.
///
/// # Panics
/// When `bits` are not as many as the nodes.
pub fn quantise_with(
    pipeline: &Pipeline,
    calibration: &Calibration,
    method: &dyn Method,
    residual: Residual,
    bits: &[WeightBits],
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<QuantisedModel, QuantiseError> {
    let rounding = calibration.settings.rounding;
    quantise_rounded(
        pipeline,
        calibration,
        method,
        residual,
        bits,
        rounding,
        progress,
    )
}

/// [`quantise_with`] another rounding than the calibration's settings name; the calibration has what it needs.
pub(crate) fn quantise_rounded(
    pipeline: &Pipeline,
    calibration: &Calibration,
    method: &dyn Method,
    residual: Residual,
    bits: &[WeightBits],
    rounding: Rounding,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<QuantisedModel, QuantiseError> {
    let rewrites = calibration.settings.rewrites;
    let graph = build_graph_with(&pipeline.config, rewrites)?;
    assert_eq!(bits.len(), graph.nodes.len(), "one width a node");
    let Tables { intervals, tensors } = method.tables(&graph, calibration, residual);
    let w = &pipeline.weights;
    let all = graph.nodes.iter().map(weight_count).sum();
    let mut done = 0;
    let mut sequential = match rounding {
        Rounding::Sequential => {
            let (states, seed) = (&calibration.states, calibration.settings.seed);
            Some(Sequential::new(pipeline, rewrites, states, seed)?)
        }
        _ => None,
    };
    let nodes = graph
        .nodes
        .iter()
        .enumerate()
        .map(|(i, n)| {
            progress(done, all);
            done += weight_count(n);
            if let Some(sequential) = &mut sequential {
                return in_sequence(sequential, (&graph, i), w, &tensors, bits[i]);
            }
            let parts = |phase| -> Option<Vec<&Part>> {
                let inputs = calibration.inputs.as_ref()?;
                Some(inputs.of_node(i, phase).collect())
            };
            node(&graph, n, w, &tensors, bits[i], &parts, rounding)
        })
        .collect();
    let wide = |name: &str| {
        weights::wide(
            &get(w, &format!("{name}.weight")).data,
            &get(w, &format!("{name}.bias")).data,
        )
    };
    let embedding = EmbeddingParams {
        time: [
            wide("time_embedding.linear_1"),
            wide("time_embedding.linear_2"),
        ],
        classes: match pipeline.config.num_class_embeds {
            Some(_) => weights::fixed(&get(w, "class_embedding.weight").data),
            None => Vec::new(),
        },
        projections: graph
            .projections
            .iter()
            .map(|p| weights::wide(&get(w, &p.weight).data, &get(w, &p.bias).data))
            .collect(),
    };
    let settings = &calibration.settings;
    let model = QuantisedModel {
        config: pipeline.config.clone(),
        // what changes nothing need not be known to who reads the file
        rewrites: rewrites.used(&graph),
        scheduler: pipeline.scheduler.clone(),
        class_names: pipeline.class_names.clone(),
        provenance: Provenance {
            source_sha256: w.sha256().map_or(String::new(), hexadecimal),
            quantiser: env!("CARGO_PKG_VERSION").into(),
            method: method.name().into(),
            sampler: settings.sampler.to_string(),
            steps: settings.steps,
            images: settings.images,
            seed: settings.seed,
            rounding: rounding.to_string(),
        },
        calibrated: calibration.timesteps.clone(),
        graph,
        intervals,
        tensors,
        nodes,
        embedding,
    };
    let class = model.config.num_class_embeds.map(|_| 0);
    model.prepare(&model.calibrated, class)?;
    Ok(model)
}

fn hexadecimal(bytes: [u8; 32]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A parameter that the importer has already checked to be there.
fn get<'a>(weights: &'a Weights, name: &str) -> &'a Tensor {
    weights
        .get(name)
        .unwrap_or_else(|e| panic!("the importer checks all parameters: {e}"))
}

/// Weights of a node.
fn weight_count(node: &Node) -> u64 {
    match &node.op {
        Op::Conv(c) => (c.weight_rows() * c.input_channels.len() * c.kernel * c.kernel) as u64,
        _ => 0,
    }
}

fn node<'a>(
    graph: &Graph,
    node: &Node,
    w: &Weights,
    tensors: &[TensorTable],
    bits: WeightBits,
    parts: &dyn Fn(Option<Phase>) -> Option<Vec<&'a Part>>,
    rounding: Rounding,
) -> NodeParams {
    match &node.op {
        Op::Norm(n) => NodeParams::Norm {
            gamma: weights::norm(&get(w, &n.weight).data[n.channels.clone()]),
            beta: weights::norm(&get(w, &n.bias).data[n.channels.clone()]),
        },
        Op::Conv(c) => {
            let (rows, bias) = float_layer(c, w);
            let outputs = c.output_channels;
            let room = room(graph, node, c, tensors, bits);
            let with_inputs = match rounding {
                Rounding::AdaRound => weights::convolution_with_adaround,
                Rounding::ErrorFeedback | Rounding::Sequential | Rounding::Nearest => {
                    weights::convolution_with_feedback
                }
            };
            // each phase is a layer of its own, with its own inputs
            let phases = c
                .parts()
                .zip(rows.chunks_exact(rows.len() / c.parts().count()));
            let phases = phases.map(|(phase, rows)| match parts(phase) {
                None => weights::convolution(rows, bias, outputs, &room),
                Some(parts) => with_inputs(rows, bias, outputs, &room, &parts),
            });
            NodeParams::Conv(weights::joined(phases, bits))
        }
        Op::Quantise { .. } | Op::Attention(_) | Op::Resample(_) => NodeParams::None,
    }
}

/// A node rounded behind those before it; the networks go past it.
fn in_sequence(
    networks: &mut Sequential,
    (graph, index): (&Graph, usize),
    w: &Weights,
    tensors: &[TensorTable],
    bits: WeightBits,
) -> NodeParams {
    let n = &graph.nodes[index];
    let Op::Conv(c) = &n.op else {
        networks.pass(index);
        return node(graph, n, w, tensors, bits, &|_| None, Rounding::Sequential);
    };
    let (rows, bias) = float_layer(c, w);
    let room = room(graph, n, c, tensors, bits);
    let targets = networks.targets(index, &rows, bias).into_iter();
    let rounded = targets.map(|target| weights::convolution_to_target(&target, &room));
    let rounded = weights::joined(rounded, bits);
    networks.replace(index, &rounded);
    NodeParams::Conv(rounded)
}

/// Rows of a convolution (`ky x kx x in` each), and its bias.
fn float_layer<'a>(conv: &Conv, w: &'a Weights) -> (Vec<f32>, Option<&'a [f32]>) {
    let rows = output_rows(conv, &conv.weight_of(&get(w, &conv.weight).data));
    let bias = conv.bias.as_ref().map(|b| get(w, b).data.as_slice());
    (rows, bias)
}

/// What a convolution's weights and accumulators have to hold.
fn room(
    graph: &Graph,
    node: &Node,
    conv: &Conv,
    tensors: &[TensorTable],
    bits: WeightBits,
) -> Room {
    Room {
        largest: match tensors[node.inputs[0]] {
            TensorTable::Planes => PLANES_MAX,
            _ => 2 * OPERAND_MAX,
        },
        input_step: smallest_step(graph, tensors, node.inputs[0]),
        projected: conv.projection.is_some(),
        bits,
    }
}

/// The node's columns of a weight `rows x in x ky x kx`, as `rows x ky x kx x in`.
fn output_rows(conv: &Conv, weight: &[f32]) -> Vec<f32> {
    let taps = conv.kernel * conv.kernel;
    let inputs = weight.len() / conv.weight_rows() / taps;
    let mut rows = Vec::with_capacity(conv.weight_rows() * taps * conv.input_channels.len());
    for o in 0..conv.weight_rows() {
        for tap in 0..taps {
            rows.extend(
                conv.input_channels
                    .clone()
                    .map(|i| weight[(o * inputs + i) * taps + tap]),
            );
        }
    }
    rows
}

/// Smallest step that an operand has at any time step.
fn smallest_step(graph: &Graph, tensors: &[TensorTable], operand: TensorId) -> f64 {
    let producer = graph
        .nodes
        .iter()
        .find(|n| n.output == operand)
        .expect("nodes make operands");
    let input = &tensors[producer.inputs[0]];
    let smallest = |steps: &mut dyn Iterator<Item = f64>| steps.fold(f64::INFINITY, f64::min);
    let power = |e: i32| f64::from(e).exp2();
    match (&tensors[operand], input) {
        (TensorTable::Planes, TensorTable::State { shift }) => smallest(
            &mut shift
                .iter()
                .map(|&s| power(i32::from(s) - STATE_FRACTION_BITS as i32)),
        ),
        (TensorTable::Planes, TensorTable::Stream { exponent }) => {
            smallest(&mut exponent.iter().map(|&k| power(1 - i32::from(k))))
        }
        (TensorTable::Gain { gain, .. }, _) => {
            let unit = |row: usize| match (
                &producer.op,
                input,
                producer.inputs.get(2).map(|&v| &tensors[v]),
            ) {
                (Op::Attention(_), _, Some(TensorTable::Step { step })) => {
                    128.0 * scale_to_f64(step[row])
                }
                (Op::Quantise { .. }, TensorTable::Stream { exponent }, _) => {
                    power(15 - i32::from(exponent[row]))
                }
                _ => 32.0,
            };
            smallest(
                &mut gain
                    .iter()
                    .enumerate()
                    .map(|(row, &g)| unit(row) / f64::from(g)),
            )
        }
        _ => 1.0 / f64::from(PLANES_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_cut_and_channels_go_innermost() {
        let conv = Conv {
            weight: String::new(),
            bias: None,
            input_channels: 1..3,
            output_channels: 2,
            kernel: 2,
            phases: false,
            stride: 1,
            padding: [0; 4],
            projection: None,
            residual: None,
        };
        // out 2, in 3, 2x2: value = 100 out + 10 in + tap
        let weight: Vec<f32> = (0..24)
            .map(|i| (100 * (i / 12) + 10 * (i / 4 % 3) + i % 4) as f32)
            .collect();
        let rows = output_rows(&conv, &weight);
        assert_eq!(rows[..8], [10.0, 20.0, 11.0, 21.0, 12.0, 22.0, 13.0, 23.0]);
        assert_eq!(rows[8], 110.0);
    }
}
