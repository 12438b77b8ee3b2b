//! Runs a compiled program descriptor by descriptor, and compares it with the engine.

use std::collections::BTreeMap;

use diffuser_compiler::{Compiled, Options, Source, Target, compile_with};
use diffuser_device::{Context, Ddr, Memories, Shape, Sizes, ops};
use diffuser_engine::{Engine, KernelChoice, TensorView};
use diffuser_isa::{Common, Descriptor, Op, Unit};
use diffuser_model::graph::Graph;
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::quantised::QuantisedModel;
use diffuser_model::sampling::{Sampler, SamplerOptions, SchedulerConfig, advance_fixed, plan};
use diffuser_model::step::StepParams;
use diffuser_spec::sampler::{Step, pixel};

use super::simulate::check_simulated;
use diffuser_testing::Random;

pub const DATA: u64 = 0x1_0000_0000;
pub const RECORDS: u64 = 0x2_0000_0000;
pub const SEED: u64 = 0x0123_4567_89ab;
pub const IMAGE: u64 = 7;

/// Steps of a sampler, those of the network for a class, and the coefficients.
pub fn steps(
    model: &QuantisedModel,
    sampler: Sampler,
    count: u32,
    class: Option<usize>,
) -> (Vec<StepParams>, Vec<Step>) {
    let config = SchedulerConfig::default();
    let options = SamplerOptions {
        sampler,
        steps: count,
        eta: 0.0,
        spacing: None,
    };
    let plan = plan(&config, &options).expect("a plan");
    let timesteps: Vec<u32> = plan.iter().map(|s| s.timestep).collect();
    let steps = model.prepare(&timesteps, class).expect("sound tables");
    let sampling = plan.iter().map(|s| s.to_fixed().expect("in range"));
    (steps, sampling.collect())
}

/// What the compiler takes of a model and its [`steps`].
pub fn source<'a>(
    model: &'a QuantisedModel,
    (steps, sampling): &'a (Vec<StepParams>, Vec<Step>),
) -> Source<'a> {
    Source {
        graph: &model.graph,
        nodes: &model.nodes,
        steps,
        sampling,
    }
}

/// What the engine makes of every step: all streams by tensor, and the state after it.
pub struct Reference {
    pub start: Vec<i32>,
    pub streams: Vec<BTreeMap<usize, Vec<i16>>>,
    pub states: Vec<Vec<i32>>,
}

/// Of the images from [`IMAGE`] on.
pub fn references(source: &Source, images: usize) -> Vec<Reference> {
    (0..images)
        .map(|k| reference(source, IMAGE + k as u64))
        .collect()
}

fn reference(source: &Source, image: u64) -> Reference {
    let Source {
        graph,
        nodes,
        steps,
        sampling,
    } = *source;
    let engine = Engine::new(graph.clone(), nodes, KernelChoice::Auto).expect("sound");
    let mut workspace = engine.workspace();
    let length = graph.tensors[Graph::INPUT].len();
    let start = noise(SEED, image, Purpose::Start, length);
    let mut state = start.clone();
    let mut previous = vec![0; length];
    let (mut streams, mut states) = (vec![], vec![]);
    for (i, (step, fixed)) in steps.iter().zip(sampling).enumerate() {
        let mut seen = BTreeMap::new();
        let mut observer = |id: usize, view: TensorView<'_>| {
            if let TensorView::Stream(x) = view {
                seen.insert(id, x.to_vec());
            }
        };
        let out = engine
            .evaluate_observed(&state, step, &mut workspace, &mut observer)
            .expect("the step fits")
            .to_vec();
        let fresh = noise(SEED, image, Purpose::Step(i as u32), length);
        advance_fixed(
            step.timestep,
            fixed,
            &mut state,
            &out,
            step.output_exponent,
            &mut previous,
            Some(&fresh),
        )
        .expect("lengths fit");
        streams.push(seen);
        states.push(state.clone());
    }
    Reference {
        start,
        streams,
        states,
    }
}

/// The accelerator between two descriptors.
pub struct Machine<'a> {
    pub compiled: &'a Compiled,
    pub memories: Memories,
    pub ddr: Ddr,
}

pub fn shape(target: &Target) -> Shape {
    Shape {
        pixels: target.shape.pixels,
        outputs: target.shape.outputs,
        inputs: target.shape.inputs,
    }
}

pub fn sizes(target: &Target) -> Sizes {
    Sizes {
        stream: target.stream,
        operand: target.operand,
        weight: target.weight,
        param: target.param,
        affine: target.affine,
        sums: target.sums,
        state: target.state,
        keys: target.keys,
    }
}

impl<'a> Machine<'a> {
    pub fn new(compiled: &'a Compiled, want: &[Reference]) -> Self {
        let target = &compiled.target;
        let mut memories = Memories::new(shape(target), sizes(target));
        // what was there before must not matter
        memories.stream.fill(0x5a5a);
        memories.operand.fill(0x5a);
        memories.weight.fill(0x5a);
        let mut ddr = Ddr::new(1 << 40);
        let data = with_starts(compiled, want.iter().map(|w| &w.start[..]));
        ddr.write(DATA, &data).expect("room");
        ddr.write(RECORDS, &compiled.records).expect("room");
        Self {
            compiled,
            memories,
            ddr,
        }
    }

    pub fn execute(&mut self, index: usize, step: u32) {
        let context = Context {
            step,
            steps: self.compiled.steps as u32,
            seed: SEED,
            image: IMAGE,
            data: DATA,
            record: RECORDS,
            stride: self.compiled.stride as u32,
        };
        let descriptor = self.compiled.program[index];
        if let Err(fault) =
            ops::execute(&descriptor.op, &mut self.memories, &mut self.ddr, &context)
        {
            panic!("descriptor {index}, {descriptor}: {fault:?}");
        }
    }

    /// A stream, of the stream memory or from its home in DDR, channels innermost.
    pub fn stream(&self, graph: &Graph, tensor: usize, image: usize) -> Vec<i16> {
        let info = &graph.tensors[tensor];
        let (pixels, outputs) = (info.height * info.width, self.memories.shape.outputs);
        let mut values = Vec::with_capacity(info.len());
        let Some(place) = self.compiled.stream_place(tensor, image) else {
            let home = self.compiled.stream_home(tensor, image);
            let [home, pitch] = home.expect("a stream");
            let mut words = vec![0; 2 * outputs * pixels];
            let mut blocks = Vec::new();
            for block in 0..info.channels.div_ceil(outputs) {
                let at = DATA + (home + block * pitch) as u64;
                self.ddr.read(at, &mut words).expect("in DDR");
                blocks.push(words.clone());
            }
            for n in 0..pixels {
                for c in 0..info.channels {
                    let at = 2 * (n * outputs + c % outputs);
                    let block = &blocks[c / outputs];
                    values.push(i16::from_le_bytes([block[at], block[at + 1]]));
                }
            }
            return values;
        };
        for n in 0..pixels {
            for c in 0..info.channels {
                let word = place + c / outputs * pixels + n;
                values.push(self.memories.stream[self.memories.stream_at(word) + c % outputs]);
            }
        }
        values
    }

    /// State and pixels of an image in DDR.
    pub fn result(&self, image: usize) -> (Vec<i32>, Vec<u8>) {
        let read = |range: std::ops::Range<usize>| {
            let mut bytes = vec![0; range.len()];
            let at = DATA + range.start as u64;
            self.ddr.read(at, &mut bytes).expect("in DDR");
            bytes
        };
        let state = read(self.compiled.state_out(image));
        let pixels = read(self.compiled.pixels_out(image));
        (
            self.compiled.state_of(&state),
            self.compiled.pixels_of(&pixels),
        )
    }
}

/// A program's data with the states that its images start from.
pub fn with_starts<'a>(
    compiled: &Compiled,
    starts: impl IntoIterator<Item = &'a [i32]>,
) -> Vec<u8> {
    let mut data = compiled.data.clone();
    for (image, start) in starts.into_iter().enumerate() {
        let state = compiled.state_bytes(start);
        data[compiled.state_in(image)].copy_from_slice(&state);
    }
    data
}

/// Executions of a program in program order: index and time step of each.
pub fn trace(compiled: &Compiled) -> Vec<(usize, u32)> {
    let (mut at, mut step) = (0, 0);
    let mut trace = Vec::new();
    loop {
        match compiled.program[at].op {
            Op::End(_) => return trace,
            Op::Loop(l) if step + 1 < compiled.steps as u32 => {
                step += 1;
                at = l.target as usize;
            }
            Op::Loop(_) => at += 1,
            _ => {
                trace.push((at, step));
                at += 1;
            }
        }
    }
}

/// Run in program order; each stream is compared as soon as its last descriptor has run.
pub fn check_in_order(compiled: &Compiled, graph: &Graph, want: &[Reference]) {
    let mut machine = Machine::new(compiled, want);
    // copies belong to no node
    let streams = |d: &Descriptor| match d.op {
        Op::Conv(c) => c.dest_kind == 0,
        Op::Prep(p) => p.kind == 4 && (d.common.tag as usize) < graph.nodes.len(),
        // bands go to DDR
        Op::Store(s) => s.space == 2 && (d.common.tag as usize) < graph.nodes.len(),
        _ => false,
    };
    // each image's descriptors of a node, in order
    let mut of_node: BTreeMap<u32, usize> = BTreeMap::new();
    for d in compiled.program.iter().filter(|d| streams(d)) {
        *of_node.entry(d.common.tag).or_default() += 1;
    }
    let mut compared = 0;
    let mut seen: BTreeMap<(u32, usize), usize> = BTreeMap::new();
    for (index, step) in trace(compiled) {
        machine.execute(index, step);
        let descriptor = &compiled.program[index];
        if !streams(descriptor) {
            continue;
        }
        let tag = descriptor.common.tag;
        let tensor = graph.nodes[tag as usize].output;
        let image = compiled.image_of(index);
        let done = seen.entry((tag, image)).or_default();
        *done += 1;
        if *done * want.len() == of_node[&tag] {
            *done = 0;
            let name = &graph.tensors[tensor].name;
            assert!(
                machine.stream(graph, tensor, image) == want[image].streams[step as usize][&tensor],
                "{name} of image {image} in step {step}, after {descriptor}"
            );
            compared += 1;
        }
    }
    let streams = want.iter().flat_map(|w| &w.streams);
    let streams: usize = streams.map(BTreeMap::len).sum();
    assert_eq!(compared, streams, "every stream of every step");
    check_result(&machine, want);
}

pub fn check_result(machine: &Machine, want: &[Reference]) {
    for (image, want) in want.iter().enumerate() {
        let (state, pixels) = machine.result(image);
        check_output(&state, &pixels, want);
    }
}

/// State and pixels are those of the last step.
pub fn check_output(state: &[i32], pixels: &[u8], want: &Reference) {
    let last = want.states.last().expect("a step");
    assert!(state == last, "the last state");
    let want: Vec<u8> = last.iter().map(|&x| pixel(x)).collect();
    assert!(pixels == want, "the pixels");
}

/// Run in a random order that the waits allow. Each descriptor is executed at once, which a
/// chain does not do: a chained convolution then waits for its `prep` to end.
pub fn check_any_order(compiled: &Compiled, want: &[Reference], seed: u64) {
    let mut machine = Machine::new(compiled, want);
    let mut random = Random(seed);
    let trace = trace(compiled);
    // per unit: executions with the counts that they wait for
    let mut queues: [Vec<(usize, u32, [i64; 5])>; 5] = Default::default();
    let mut dispatched = [0i64; 5];
    let mut base = [0i64; 5];
    for (index, step) in trace {
        let Descriptor { common, op } = compiled.program[index];
        if common.first {
            base = dispatched;
        }
        let unit = op.unit().expect("a unit executes it") as usize;
        queues[unit].push((index, step, targets(&common, &base)));
        dispatched[unit] += 1;
    }
    let mut retired = [0i64; 5];
    loop {
        let head = |u: usize| queues[u].get(retired[u] as usize);
        let ready: Vec<usize> = (0..5)
            .filter(|&u| {
                head(u).is_some_and(|(_, _, waits)| (0..5).all(|v| retired[v] >= waits[v]))
            })
            .collect();
        if ready.is_empty() {
            assert_eq!(retired, dispatched, "the program locks up");
            break;
        }
        // sometimes one unit runs as far as it can
        let unit = if random.chance(30) {
            ready[0]
        } else {
            ready[random.bits() as usize % ready.len()]
        };
        let (index, step, _) = *head(unit).expect("ready");
        machine.execute(index, step);
        retired[unit] += 1;
    }
    check_result(&machine, want);
}

fn targets(common: &Common, base: &[i64; 5]) -> [i64; 5] {
    let mut targets = [0; 5];
    for &unit in Unit::ALL {
        if let Some(count) = common.wait(unit) {
            targets[unit as usize] = base[unit as usize] + i64::from(count);
        }
    }
    targets
}

/// Compile a model for some steps of a sampler and a batch; both it and what the engine makes of them.
pub fn prepared(
    model: &QuantisedModel,
    target: &Target,
    (sampler, count): (Sampler, u32),
    class: Option<usize>,
    images: usize,
) -> (Compiled, Vec<Reference>) {
    let made = steps(model, sampler, count, class);
    let source = source(model, &made);
    let options = Options {
        images,
        ..Options::default()
    };
    let want = references(&source, images);
    match compile_with(&source, target, &options) {
        Ok(compiled) => (compiled, want),
        Err(e) => panic!("{e}"),
    }
}

/// Compile a model and compare with the engine in several orders.
pub fn check_batch(
    model: &QuantisedModel,
    target: &Target,
    sampler: Sampler,
    class: Option<usize>,
    images: usize,
) -> Compiled {
    let (compiled, want) = prepared(model, target, (sampler, 3), class, images);
    check_in_order(&compiled, &model.graph, &want);
    for seed in 0..3 {
        check_any_order(&compiled, &want, seed);
    }
    check_simulated(&compiled, &want);
    compiled
}

/// The same for one image a run.
pub fn check(model: &QuantisedModel, target: &Target, sampler: Sampler, class: Option<usize>) {
    check_batch(model, target, sampler, class, 1);
}
