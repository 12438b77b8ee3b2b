//! Random graphs: whatever order of nodes a graph has, the program gives the engine's bits.

mod common;

use common::runner::{check_any_order, check_in_order, references};
use common::simulate::check_simulated;
use diffuser_compiler::{Options, Source, Target, compile_with};
use diffuser_model::graph::Op;
use diffuser_spec::sampler::Step;
use diffuser_testing::Network;

/// Coefficients that use every form.
fn sampling(step: u32) -> Step {
    let q = |x: f64| (x * f64::from(1 << 16)) as i64 * (1 << 16);
    Step {
        x0: [q(1.0 + 0.1 * f64::from(step)), q(-0.02)],
        clip: (step > 0).then_some(1 << 24),
        eps: [q(0.3), q(0.01)],
        next: [q(0.5), q(0.4), q(-0.1), q(0.05), q(0.1)],
    }
}

#[test]
fn random_graphs() {
    let mut kinds = [0; 6];
    for seed in 0..60 {
        let shape = [
            1 + seed as usize % 9,
            1 + seed as usize / 3 % 7,
            1 + seed as usize % 4,
        ];
        let mut n = Network::accelerated(seed, shape, &[1, 3, 5, 16, 17, 33, 40], 8);
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
        let steps = [n.step(), n.step(), n.step()];
        let source = Source {
            graph: &n.graph,
            nodes: &n.nodes,
            steps: &steps,
            sampling: &[0, 1, 2].map(sampling),
        };
        let images = 1 + seed as usize % 3;
        let options = Options {
            images,
            own_conditions: seed % 4 == 1,
        };
        let want = references(&source, images);
        let target = Target::ALL[seed as usize % 2];
        let compiled = match compile_with(&source, &target, &options) {
            Ok(compiled) => compiled,
            Err(e) => panic!("seed {seed}: {e}"),
        };
        check_in_order(&compiled, &n.graph, &want);
        check_any_order(&compiled, &want, seed);
        check_simulated(&compiled, &want);
    }
    assert!(kinds.iter().all(|&k| k >= 10), "{kinds:?}");
}

/// Memories in which hardly a tensor fits: what compiles gives the engine's bits, and most of it compiles.
#[test]
fn random_graphs_in_tiny_memories() {
    let (mut compiled_in_bands, mut refused) = (0, 0);
    for seed in 100..140 {
        let shape = [
            3 + seed as usize % 9,
            2 + seed as usize / 3 % 7,
            1 + seed as usize % 4,
        ];
        let mut n = Network::accelerated(seed, shape, &[1, 3, 5, 16, 17], 6);
        let steps = [n.step(), n.step()];
        // bands of the state have no noise, and nothing of the step before
        let sampling = [0, 1].map(|step| Step {
            next: [1 << 31, 1 << 30, 1 << 29, 0, 0],
            ..sampling(step)
        });
        let source = Source {
            graph: &n.graph,
            nodes: &n.nodes,
            steps: &steps,
            sampling: &sampling,
        };
        let target = Target {
            stream: [120, 200, 320][seed as usize % 3],
            operand: [40, 80, 160][seed as usize / 3 % 3],
            state: 40,
            ..Target::SMALL
        };
        let images = 1 + seed as usize / 2 % 2;
        let options = Options {
            images,
            ..Options::default()
        };
        let compiled = match compile_with(&source, &target, &options) {
            Ok(compiled) => compiled,
            Err(_) => {
                refused += 1;
                continue;
            }
        };
        let want = references(&source, images);
        let bands = |d: &diffuser_isa::Descriptor| matches!(d.op, diffuser_isa::Op::Store(s) if s.space == 2);
        compiled_in_bands += usize::from(compiled.program.iter().any(bands));
        check_in_order(&compiled, &n.graph, &want);
        check_any_order(&compiled, &want, seed);
        check_simulated(&compiled, &want);
    }
    assert!(
        compiled_in_bands >= 10,
        "{compiled_in_bands}, {refused} refused"
    );
}
