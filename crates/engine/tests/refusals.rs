//! What does not fit is refused before anything runs, with the name of the node.

use diffuser_engine::{Engine, EngineError, KernelChoice};
use diffuser_model::graph::{Graph, Op};
use diffuser_model::quantised::NodeParams;
use diffuser_model::step::{AttentionStep, ConvStep, NodeStep, NormStep, QuantiseStep, StepParams};
use diffuser_testing::Network;

/// A network with every kind of node.
fn network() -> Network {
    let has = |n: &Network, f: fn(&Op) -> bool| n.graph.nodes.iter().any(|node| f(&node.op));
    (0..1000)
        .map(|seed| Network::random(seed, [6, 5, 3], &[4, 6], 8))
        .find(|n| {
            has(n, |op| matches!(op, Op::Attention(_)))
                && has(n, |op| matches!(op, Op::Resample(_)))
                && has(n, |op| matches!(op, Op::Conv(c) if c.residual.is_some()))
                && has(n, |op| matches!(op, Op::Conv(c) if c.phases))
                && n.graph.nodes.iter().any(|n| n.inputs.len() == 2)
        })
        .expect("one of them")
}

fn refused(error: Result<(), EngineError>, what: &str) {
    let error = error.expect_err(what).to_string();
    assert!(error.contains(what), "`{error}` does not say `{what}`");
}

/// Change the first node of a kind; the result says whether this was one.
macro_rules! change {
    ($kind:ident, $f:expr) => {
        |s: &mut NodeStep| match s {
            NodeStep::$kind(s) => {
                $f(s);
                true
            }
            _ => false,
        }
    };
}

#[test]
fn steps_that_do_not_fit() {
    let mut n = network();
    let engine = Engine::new(n.graph.clone(), &n.nodes, KernelChoice::Auto).expect("sound");
    let step = n.step();
    engine.check(&step).expect("it fits");
    let with = |f: &dyn Fn(&mut NodeStep) -> bool, what: &str| {
        let mut step: StepParams = step.clone();
        let changed = step.nodes.iter_mut().any(f);
        assert!(changed, "nothing to change for `{what}`");
        refused(engine.check(&step), what);
    };
    let conv = |f: fn(&mut ConvStep), what: &str| with(&change!(Conv, f), what);
    let norm = |f: fn(&mut NormStep), what: &str| with(&change!(Norm, f), what);
    conv(|s| s.bias[0] = i32::MAX, "could leave 32 bits");
    conv(|s| s.bias.truncate(0), "biases");
    conv(|s| s.multiplier.truncate(0), "multipliers");
    conv(|s| s.multiplier[0].shift = 63, "not normalised");
    conv(|s| s.multiplier[0].shift = 0, "not normalised");
    conv(|s| s.multiplier[0].mantissa = 32_767, "not normalised");
    conv(|s| s.zero_point ^= 1, "zero point");
    conv(|s| s.residual_shift = 63, "residual shift");
    norm(|s| s.gamma.truncate(0), "scales");
    norm(|s| s.beta.truncate(0), "offsets");
    norm(|s| s.gaps.push(0), "gaps");
    norm(|s| s.gaps[0] = 8, "gaps");
    norm(|s| s.exponent = 25, "exponent 25");
    norm(|s| s.gain = 0, "gain 0");
    norm(|s| s.zero_point = -128, "zero point");
    let quantise = |to: QuantiseStep, what: &str| {
        with(&change!(Quantise, |s: &mut QuantiseStep| *s = to), what);
    };
    quantise(QuantiseStep::StreamPlanes, "as a state");
    quantise(QuantiseStep::StatePlanes { shift: 32 }, "shift 32");
    with(
        &change!(Attention, |s: &mut AttentionStep| s.gain = -3),
        "gain -3",
    );
    let replace = |s: &mut NodeStep| {
        *s = NodeStep::Resample;
        true
    };
    with(&replace, "another kind");
    let mut short = step.clone();
    short.nodes.pop();
    refused(engine.check(&short), "step parameters");
}

#[test]
fn graphs_that_do_not_hold_together() {
    let n = network();
    let with = |f: &dyn Fn(&mut Graph, &mut Vec<NodeParams>), what: &str| {
        let (mut graph, mut nodes) = (n.graph.clone(), n.nodes.clone());
        f(&mut graph, &mut nodes);
        refused(
            Engine::new(graph, &nodes, KernelChoice::Auto).map(drop),
            what,
        );
    };
    let find = |f: fn(&Op) -> bool| {
        let found = n.graph.nodes.iter().position(|node| f(&node.op));
        found.expect("every kind is there")
    };
    let conv = find(|op| matches!(op, Op::Conv(_)));
    let norm = find(|op| matches!(op, Op::Norm(_)));
    let attention = find(|op| matches!(op, Op::Attention(_)));
    with(&|_, p| drop(p.pop()), "parameters");
    with(&|g, _| g.output = 0, "output");
    with(&|g, _| g.tensors[2].width = 0, "is empty");
    with(&|g, _| g.nodes[1].inputs[0] = 99, "before it is made");
    with(&|g, _| g.nodes[1].output = 1, "made twice");
    with(
        &|g, _| g.tensors[g.nodes[conv].output].height += 1,
        "does not follow",
    );
    with(&|_, p| p[conv] = NodeParams::None, "no weights");
    let weights = |f: fn(&mut Vec<i8>)| {
        move |_: &mut Graph, p: &mut Vec<NodeParams>| match &mut p[conv] {
            NodeParams::Conv(w) => f(&mut w.weight),
            _ => unreachable!("a convolution"),
        }
    };
    with(&weights(|w| w.truncate(1)), "weights, expected");
    with(&weights(|w| w[0] = -128), "-128");
    let op = |i: usize, f: fn(&mut Op)| {
        move |g: &mut Graph, _: &mut Vec<NodeParams>| f(&mut g.nodes[i].op)
    };
    with(
        &op(norm, |o| {
            if let Op::Norm(n) = o {
                n.groups = 1000
            }
        }),
        "1000 groups",
    );
    with(
        &op(attention, |o| {
            if let Op::Attention(a) = o {
                a.heads = 0
            }
        }),
        "0 heads",
    );
    with(
        &op(conv, |o| {
            if let Op::Conv(c) = o {
                c.stride = 0
            }
        }),
        "stride 0",
    );
    let phases = find(|op| matches!(op, Op::Conv(c) if c.phases));
    with(
        &op(phases, |o| {
            if let Op::Conv(c) = o {
                c.padding[0] = 0
            }
        }),
        "its phases are not",
    );
    with(
        &|g, _| g.tensors[g.nodes[phases].output].width -= 1,
        "does not follow",
    );
    with(
        &|_, p| match &mut p[phases] {
            NodeParams::Conv(w) => w.weight.truncate(w.weight.len() / 4),
            _ => unreachable!("a convolution"),
        },
        "weights, expected",
    );
    with(
        &op(conv, |o| {
            if let Op::Conv(c) = o {
                c.output_channels += 1
            }
        }),
        "channels",
    );
    with(
        &op(conv, |o| {
            if let Op::Conv(c) = o {
                c.residual = Some(0)
            }
        }),
        "residual",
    );
}

#[test]
fn calls_that_do_not_fit() {
    let mut n = network();
    let engine = Engine::new(n.graph.clone(), &n.nodes, KernelChoice::Auto).expect("sound");
    let (step, mut state) = (n.step(), n.state());
    let other = Network::random(1, [3, 3, 1], &[2], 1);
    let other = Engine::new(other.graph, &other.nodes, KernelChoice::Auto).expect("sound");
    let mut ws = other.workspace();
    let got = engine.evaluate(&state, &step, &mut ws).map(drop);
    assert_eq!(got, Err(EngineError::Workspace));
    state.pop();
    let mut ws = engine.workspace();
    let got = engine.evaluate(&state, &step, &mut ws).map(drop);
    let want = state.len() + 1;
    assert_eq!(
        got,
        Err(EngineError::State {
            got: state.len(),
            want
        })
    );
}

#[test]
fn a_kernel_that_is_not_there_is_an_error() {
    let n = network();
    for choice in KernelChoice::ALL {
        let made = Engine::new(n.graph.clone(), &n.nodes, choice).map(|e| e.kernel());
        if choice.is_available() {
            assert_eq!(made, Ok(choice));
        } else {
            assert_eq!(made, Err(EngineError::Unavailable(choice)));
        }
    }
}
