//! Whole random networks: every kernel gives what the oracle gives, in every tensor, on any number
//! of threads, with a workspace that has been used before.

use diffuser_engine::{Engine, KernelChoice, TensorView, Workspace};
use diffuser_model::graph::{Node, Op, TensorKind};
use diffuser_model::step::StepParams;
use diffuser_testing::Network;

/// All values of one tensor, kind and zero point included.
#[derive(Clone, Debug, PartialEq)]
enum Values {
    Stream(Vec<i16>),
    Operand(Vec<i8>, i8),
    Planes(Vec<i8>, Vec<i8>),
}

fn evaluate(engine: &Engine, state: &[i32], step: &StepParams, ws: &mut Workspace) -> Vec<Values> {
    let mut seen = Vec::new();
    let mut observer = |id: usize, view: TensorView<'_>| {
        let info = &engine.graph().tensors[id];
        let values = match view {
            TensorView::Stream(x) => {
                assert_eq!((info.kind, x.len()), (TensorKind::Stream, info.len()));
                Values::Stream(x.to_vec())
            }
            TensorView::Operand { values, zero_point } => {
                assert_eq!((info.kind, values.len()), (TensorKind::Operand, info.len()));
                Values::Operand(values.to_vec(), zero_point)
            }
            TensorView::Planes { high, low } => {
                assert_eq!([high.len(), low.len()], [info.len(); 2]);
                Values::Planes(high.to_vec(), low.to_vec())
            }
        };
        assert_eq!(id, engine.graph().nodes[seen.len()].output);
        seen.push(values);
    };
    let out = engine
        .evaluate_observed(state, step, ws, &mut observer)
        .expect("the step fits")
        .to_vec();
    assert_eq!(seen.last(), Some(&Values::Stream(out.clone())));
    // not observed, in the same workspace: the same
    assert_eq!(engine.evaluate(state, step, ws).expect("fits"), out);
    seen
}

fn engine(n: &Network, choice: KernelChoice) -> Engine {
    Engine::new(n.graph.clone(), &n.nodes, choice).expect("a sound graph")
}

fn others() -> impl Iterator<Item = KernelChoice> {
    let all = KernelChoice::ALL.into_iter();
    all.filter(|&k| k != KernelChoice::Scalar && k.is_available())
}

/// Whether the values tell one arithmetic from another: neither constant nor all saturated.
fn telling(values: &Values) -> bool {
    match values {
        Values::Stream(x) => x.iter().any(|&v| v != x[0] && v.unsigned_abs() < 32_767),
        Values::Operand(x, _) => x.iter().any(|&v| v != x[0] && v.unsigned_abs() < 127),
        Values::Planes(high, low) => high.iter().chain(low).any(|&v| v != high[0]),
    }
}

fn compare(n: &mut Network) -> (usize, usize) {
    let oracle = engine(n, KernelChoice::Scalar);
    let mut oracle_ws = oracle.workspace();
    let engines: Vec<Engine> = others().map(|k| engine(n, k)).collect();
    let mut workspaces: Vec<Workspace> = engines.iter().map(Engine::workspace).collect();
    let (mut tensors, mut told) = (0, 0);
    for _ in 0..2 {
        let (step, state) = (n.step(), n.state());
        let want = evaluate(&oracle, &state, &step, &mut oracle_ws);
        for (e, ws) in engines.iter().zip(&mut workspaces) {
            let got = evaluate(e, &state, &step, ws);
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                let node = &n.graph.nodes[i];
                assert_eq!(got, want, "{} at {:?}", e.kernel(), node);
            }
        }
        tensors += want.len();
        told += want.iter().filter(|v| telling(v)).count();
    }
    (tensors, told)
}

#[test]
fn every_kernel_matches_the_oracle_on_random_networks() {
    let (mut tensors, mut told, mut kinds) = (0, 0, [0; 6]);
    for seed in 0..60 {
        let shape = [
            1 + seed as usize % 9,
            1 + seed as usize / 3 % 7,
            1 + seed as usize % 4,
        ];
        let mut n = Network::random(seed, shape, &[1, 3, 5, 16, 17, 33, 40], 8);
        for node in &n.graph.nodes {
            kinds[match node.op {
                Op::Norm(_) => 0,
                Op::Quantise { .. } => 1,
                Op::Conv(ref c) if c.phases => 5,
                Op::Conv(_) => 2,
                Op::Attention(_) => 3,
                Op::Resample(_) => 4,
            }] += 1;
        }
        let (a, b) = compare(&mut n);
        (tensors, told) = (tensors + a, told + b);
    }
    assert!(kinds.iter().all(|&k| k >= 10), "{kinds:?}");
    assert!(
        told * 10 > tensors * 7,
        "{told} of {tensors} tensors tell anything"
    );
}

#[test]
fn any_number_of_threads_gives_the_same() {
    // large enough to be divided, and with an attention
    let divided = |n: &Network| {
        let attends = |node: &&Node| matches!(node.op, Op::Attention(_));
        (30 << 20..200 << 20).contains(&n.graph.macs()) && n.graph.nodes.iter().any(|n| attends(&n))
    };
    let mut n = (0..1000)
        .map(|seed| Network::random(seed, [22, 19, 3], &[48, 65], 7))
        .find(divided)
        .expect("one of them");
    let (step, state) = (n.step(), n.state());
    for choice in others() {
        let engine = engine(&n, choice);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let mut ws = engine.workspace();
            pool.expect("threads")
                .install(|| evaluate(&engine, &state, &step, &mut ws))
        };
        let one = run(1);
        for threads in [2, 3, 7] {
            assert!(run(threads) == one, "{choice} on {threads} threads");
        }
    }
}

#[test]
fn buffers_are_used_again() {
    let n = Network::random(3, [8, 8, 3], &[16], 24);
    let engine = engine(&n, KernelChoice::Scalar);
    let all: usize = n.graph.tensors.iter().map(|t| 2 * t.len()).sum();
    let used = engine.workspace().bytes();
    assert!(used < all, "{used} bytes for tensors of {all}");
}

/// The output may be made before other nodes run: its buffer is not used again.
#[test]
fn an_early_output_survives() {
    for seed in 0..20 {
        let mut n = Network::random(seed, [5, 4, 3], &[4, 7], 8);
        let first = n.graph.nodes.iter().map(|node| node.output);
        let is_stream = |t: &usize| n.graph.tensors[*t].kind == TensorKind::Stream;
        n.graph.output = first.into_iter().find(is_stream).expect("a stream");
        let (step, state) = (n.step(), n.state());
        let engine = engine(&n, KernelChoice::Scalar);
        let mut made = Vec::new();
        let mut observer = |id: usize, view: TensorView<'_>| match view {
            TensorView::Stream(x) if id == n.graph.output => made = x.to_vec(),
            _ => {}
        };
        let mut ws = engine.workspace();
        let out = engine.evaluate_observed(&state, &step, &mut ws, &mut observer);
        assert_eq!(out.expect("the step fits"), made);
    }
}

/// One engine serves several images at once, each with its workspace and its step.
#[test]
fn images_run_side_by_side() {
    use rayon::prelude::*;
    let mut n = Network::random(11, [9, 8, 3], &[16, 33], 8);
    let engine = engine(&n, KernelChoice::Auto);
    let images: Vec<_> = (0..6).map(|_| (n.step(), n.state())).collect();
    let one = |(step, state): &(StepParams, Vec<i32>)| {
        let mut ws = engine.workspace();
        engine
            .evaluate(state, step, &mut ws)
            .expect("the step fits")
            .to_vec()
    };
    let alone: Vec<_> = images.iter().map(one).collect();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(4)
        .build()
        .expect("threads");
    let together: Vec<_> = pool.install(|| images.par_iter().map(one).collect());
    assert_eq!(alone, together);
    assert_ne!(alone[0], alone[1]);
}
