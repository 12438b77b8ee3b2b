//! The accelerator: models compiled for it, and images made on its simulator or on its RTL.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Instant;

use diffuser_compiler::{
    CompileError, Compiled, Options as Compilation, Source, Stage, Target, compile_with, stage,
};
use diffuser_device as device;
use diffuser_device::host::{Driver, Job, register};
use diffuser_device::{DeviceError, Options, Shape, Simulator, Sizes, Span, layers};
use diffuser_model::noise::{Purpose, noise};
use diffuser_model::sampling::SamplerOptions;
use diffuser_model::step::StepParams;
use diffuser_spec::sampler::Step;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::model::Model;
use crate::network::state_from_real;
use crate::progress::{Counter, Progress};
use crate::sampling::{Generated, Generator, Run, picture};

/// What makes images.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor of this machine.
    #[default]
    Cpu,
    /// The simulator of an accelerator.
    Simulator(Target),
    /// The RTL of an accelerator, where this was built with the feature `rtl`.
    Rtl(Target),
}

/// Cycles that no program takes.
const ENDLESS: u64 = 1 << 50;

/// Steps that are measured: one to get going, and one for each end of the step that counts.
const MEASURED_STEPS: usize = 3;

/// Images of a run where nobody says how many: weights are loaded for both, and each hides what the
/// other waits for. More bring little.
const USUAL_BATCH: usize = 2;

/// Name of a compiled file's metadata.
const KEY: &str = "diffuser.program";

/// A model compiled for a target, a sampler and a class.
#[derive(Clone, Debug)]
pub struct Program {
    /// Descriptors, weights and records.
    pub compiled: Compiled,
    /// How images are sampled.
    pub options: SamplerOptions,
    /// Time steps, first to last.
    pub timesteps: Vec<u32>,
    /// The class.
    pub class: Option<usize>,
    /// Multiply-accumulates of each node of the graph.
    pub macs: Vec<u64>,
}

/// What one layer takes of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerCycles {
    /// Name of the graph's node.
    pub name: String,
    /// Descriptors.
    pub descriptors: u64,
    /// Cycles from the start to the end of its descriptors, for `norm`, `prep` and the array.
    pub cycles: [u64; 3],
    /// Cycles in which the array multiplied.
    pub busy: u64,
    /// Cycles that the array stood still: for weights, for operands, for a bank, for the drain.
    pub stalls: [u64; 4],
    /// Multiply-accumulates of the layer as a share of what the array could have done meanwhile.
    pub utilisation: f64,
}

/// Cycles of one step, as the simulator's model has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// From the end of one step to the end of the next, of all images of a run.
    pub cycles_per_step: u64,
    /// Cycles in which the array multiplied.
    pub busy: u64,
    /// Cycles that the array stood still: for weights, for operands, for a bank, for the drain.
    pub stalls: [u64; 4],
    /// Multiply-accumulates of the network as a share of what the array could have done.
    pub utilisation: f64,
    /// Every node of the graph.
    pub layers: Vec<LayerCycles>,
}

/// Parameters of all steps for one class.
fn steps(model: &Model, run: &Run, class: Option<usize>) -> Result<Vec<StepParams>> {
    let preparer = model.quantised().preparer();
    let step = |timestep| preparer.step(timestep, class).map_err(Error::model);
    run.plan.iter().map(|s| step(s.timestep)).collect()
}

fn coefficients(run: &Run) -> Result<Vec<Step>> {
    let fixed = run
        .plan
        .iter()
        .map(|s| s.to_fixed().map_err(Error::setting));
    fixed.collect()
}

/// A model that does not fit its target is the caller's choice, all else a fault of the model.
fn compile_error(error: CompileError) -> Error {
    match error {
        CompileError::Memory { .. } | CompileError::Unsupported { .. } => Error::setting(error),
        _ => Error::model(error),
    }
}

impl Program {
    pub(crate) fn new(
        model: &Model,
        target: &Target,
        run: &Run,
        class: Option<usize>,
        compilation: &Compilation,
    ) -> Result<Self> {
        let quantised = model.quantised();
        let graph = &quantised.graph;
        let (steps, sampling) = (steps(model, run, class)?, coefficients(run)?);
        let source = Source {
            graph,
            nodes: &quantised.nodes,
            steps: &steps,
            sampling: &sampling,
        };
        Ok(Self {
            compiled: compile_with(&source, target, compilation).map_err(compile_error)?,
            options: run.options,
            timesteps: run.plan.iter().map(|s| s.timestep).collect(),
            class,
            macs: graph.nodes.iter().map(|n| graph.node_macs(n)).collect(),
        })
    }

    /// A file with the tensors `program` (descriptors x 64), `data` and `records` (steps x bytes of a
    /// record), all bytes as they go to memory, and where states and pixels of the first image lie in its metadata; those of
    /// further images of a batch follow, 16 and 4 bytes a pixel.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let c = &self.compiled;
        let view = |name: &'static str, shape: &[usize], bytes| {
            let view = TensorView::new(Dtype::U8, shape.to_vec(), bytes);
            view.map(|v| (name, v)).map_err(Error::model)
        };
        let tensors = [
            view("data", &[c.data.len()], &c.data)?,
            view("program", &[c.program.len(), 64], &c.program_bytes)?,
            view("records", &[c.steps, c.stride], &c.records)?,
        ];
        let info = HashMap::from([(KEY.to_owned(), self.describe().to_string())]);
        safetensors::serialize(tensors, Some(info)).map_err(Error::model)
    }

    /// What it is, where states and pixels lie in `data`, and what it takes.
    #[must_use]
    pub fn describe(&self) -> Value {
        let c = &self.compiled;
        let memories: serde_json::Map<_, _> = c
            .taken
            .iter()
            .map(|&(memory, words)| {
                let value = json!({ "taken": words, "of": c.target.words(memory) });
                (memory.name().into(), value)
            })
            .collect();
        json!({
            "target": {
                "name": c.target.name,
                "pixels": c.target.shape.pixels,
                "outputs": c.target.shape.outputs,
                "inputs": c.target.shape.inputs,
            },
            "scheduler": self.options.sampler,
            "steps": self.options.steps,
            "timesteps": self.timesteps,
            "class": self.class,
            "batch": c.images,
            "image": { "height": c.image[0], "width": c.image[1], "channels": c.image[2] },
            "descriptors": c.program.len(),
            "bytes": {
                "program": c.program_bytes.len(),
                "data": c.data.len(),
                "record": c.stride,
                "records": c.records.len(),
                "loaded_per_step": c.bytes_per_pass(),
            },
            "offsets": {
                "state_in": c.layout.state_in,
                "state_out": c.layout.state_out,
                "pixels_out": c.layout.pixels_out,
            },
            "memories": memories,
        })
    }

    /// Runs some steps on the simulator and measures one of them.
    ///
    /// # Errors
    ///
    /// When the program fails: a defect of the compiler.
    pub fn measure(&self) -> Result<Measured> {
        let c = &self.compiled;
        let records = c.records.chunks_exact(c.stride).cycle();
        let records: Vec<u8> = records.take(MEASURED_STEPS).flatten().copied().collect();
        let job = Job {
            program: c.program_bytes.clone(),
            data: c.data.clone(),
            records,
            record_stride: c.stride as u32,
            steps: MEASURED_STEPS as u32,
            ..Job::default()
        };
        let options = Options {
            trace: true,
            ..Options::default()
        };
        let driver = simulate(&c.target, &job, options)?;
        let spans = driver.device().trace();
        let step = MEASURED_STEPS as u32 - 1;
        let end = |step: u32| {
            let samples = spans.iter().filter(|s| s.operation == "sample");
            samples.filter(|s| s.step == step).map(|s| s.end).max()
        };
        let (Some(before), Some(last)) = (end(step - 1), end(step)) else {
            return Err(Error::model("the simulator did not sample"));
        };
        let of_step: Vec<Span> = spans.iter().filter(|s| s.step == step).copied().collect();
        Ok(self.measured(last - before, &of_step))
    }

    fn measured(&self, cycles_per_step: u64, spans: &[Span]) -> Measured {
        let shape = self.compiled.target.shape;
        let images = self.compiled.images as u64;
        let parallel = (shape.pixels * shape.outputs * shape.inputs) as f64;
        let share = |macs: u64, cycles: u64| match cycles {
            0 => 0.0,
            _ => macs as f64 / (cycles as f64 * parallel),
        };
        let mut total = Measured {
            cycles_per_step,
            busy: 0,
            stalls: [0; 4],
            utilisation: share(images * self.macs.iter().sum::<u64>(), cycles_per_step),
            layers: Vec::new(),
        };
        for layer in layers(spans) {
            let stalls = [
                layer.stall_weight,
                layer.stall_operand,
                layer.stall_bank,
                layer.stall_store,
            ];
            total.busy += layer.array_busy;
            for (sum, stall) in total.stalls.iter_mut().zip(stalls) {
                *sum += stall;
            }
            let tag = layer.tag as usize;
            let (Some(name), Some(&macs)) = (self.compiled.names.get(tag), self.macs.get(tag))
            else {
                continue;
            };
            let [_, norm, prep, array, _] = layer.cycles;
            total.layers.push(LayerCycles {
                name: name.clone(),
                descriptors: layer.descriptors,
                cycles: [norm, prep, array],
                busy: layer.array_busy,
                stalls,
                utilisation: share(images * macs, array + stalls[0] + stalls[1]),
            });
        }
        total
    }
}

/// What a pass of the compiler leaves, as text.
pub(crate) fn stage_text(
    model: &Model,
    target: &Target,
    run: &Run,
    compilation: &Compilation,
    which: Stage,
) -> Result<String> {
    let quantised = model.quantised();
    let (steps, sampling) = (steps(model, run, run.classes[0])?, coefficients(run)?);
    let source = Source {
        graph: &quantised.graph,
        nodes: &quantised.nodes,
        steps: &steps,
        sampling: &sampling,
    };
    stage(&source, target, compilation, which).map_err(compile_error)
}

/// A simulator.
fn simulator(target: &Target, options: Options) -> Simulator {
    let shape = Shape {
        pixels: target.shape.pixels,
        outputs: target.shape.outputs,
        inputs: target.shape.inputs,
    };
    let sizes = Sizes {
        stream: target.stream,
        operand: target.operand,
        weight: target.weight,
        param: target.param,
        affine: target.affine,
        sums: target.sums,
        state: target.state,
        keys: target.keys,
    };
    Simulator::new(shape, sizes, options)
}

/// A simulator that has run a job to its end.
fn simulate(target: &Target, job: &Job, options: Options) -> Result<Driver<Simulator>> {
    let simulator = simulator(target, options);
    let mut driver = Driver::new(simulator).map_err(Error::model)?;
    driver.load(job).map_err(Error::model)?;
    if let Err(error) = driver.run(ENDLESS) {
        let fault = driver.device().fault();
        let fault = fault.map_or(String::new(), |f| format!(": {}", f.message));
        return Err(Error::model(format!("the simulator: {error}{fault}")));
    }
    Ok(driver)
}

/// A device with room for a job, and what it is called.
fn open(device: Device, job: &Job) -> Result<(Box<dyn device::Device>, &'static str)> {
    match device {
        Device::Cpu => unreachable!("the engine makes these"),
        Device::Simulator(target) => {
            let simulator = simulator(&target, Options::default());
            Ok((Box::new(simulator), "simulator"))
        }
        Device::Rtl(target) => Ok((rtl(&target, job)?, "rtl")),
    }
}

#[cfg(feature = "rtl")]
fn rtl(target: &Target, job: &Job) -> Result<Box<dyn device::Device>> {
    let bytes = job.program.len() + job.data.len() + job.records.len();
    // each part begins at a page
    let bytes = (bytes + 4 * 4096).next_multiple_of(4096);
    let name = target.name;
    diffuser_cosim::cores::open(name, bytes).ok_or_else(|| {
        Error::setting(format!(
            "--device rtl: the RTL's build {name} is not in this program: build it with DIFFUSER_TOPS=core_{name}"
        ))
    })
}

#[cfg(not(feature = "rtl"))]
fn rtl(_: &Target, _: &Job) -> Result<Box<dyn device::Device>> {
    Err(Error::setting(
        "--device rtl: this program has no RTL in it; `cargo build --release --features rtl` builds one that has \
         (it needs Verilator 5.48 and a C++ compiler)",
    ))
}

/// Cycles from one look at a device's step to the next.
const LOOK: u64 = 1 << 16;

/// A device that tells of each step that it has done.
struct Watched<'a> {
    device: Box<dyn device::Device>,
    counter: &'a Counter<'a>,
    /// Images that it makes.
    images: usize,
    told: u32,
}

impl Watched<'_> {
    fn tell(&mut self, done: u32) {
        for _ in 0..self.images * done.saturating_sub(self.told) as usize {
            self.counter.count();
        }
        self.told = self.told.max(done);
    }
}

impl device::Device for Watched<'_> {
    fn read_register(&mut self, offset: u32) -> std::result::Result<u32, DeviceError> {
        self.device.read_register(offset)
    }

    fn write_register(&mut self, offset: u32, value: u32) -> std::result::Result<(), DeviceError> {
        self.device.write_register(offset, value)
    }

    fn memory(&self) -> Range<u64> {
        self.device.memory()
    }

    fn read_memory(
        &mut self,
        address: u64,
        bytes: &mut [u8],
    ) -> std::result::Result<(), DeviceError> {
        self.device.read_memory(address, bytes)
    }

    fn write_memory(&mut self, address: u64, bytes: &[u8]) -> std::result::Result<(), DeviceError> {
        self.device.write_memory(address, bytes)
    }

    fn wait(&mut self, cycles: u64) -> std::result::Result<bool, DeviceError> {
        let mut left = cycles;
        while left > 0 {
            let part = left.min(LOOK);
            left -= part;
            if self.device.wait(part)? {
                return Ok(true);
            }
            let step = self.device.read_register(register::STEP)?;
            self.tell(step);
        }
        Ok(false)
    }

    fn reset(&mut self) -> std::result::Result<(), DeviceError> {
        self.device.reset()
    }
}

/// Programs for the batches of a run: one for whole batches, and one for what is left over.
struct Programs {
    whole: Program,
    rest: Option<Program>,
}

impl Programs {
    /// With `batch` images a run; by default as many as are usual, or one where they do not fit.
    fn new(model: &Model, target: &Target, run: &Run, batch: Option<usize>) -> Result<Self> {
        let count = run.jobs.len().max(1);
        let program = |images| {
            let compilation = Compilation {
                images,
                own_conditions: images > 1 && run.classes.len() > 1,
            };
            Program::new(model, target, run, run.classes[0], &compilation)
        };
        let wanted = batch.unwrap_or(USUAL_BATCH).min(count);
        let whole = match program(wanted) {
            Err(_) if batch.is_none() && wanted > 1 => program(1)?,
            made => made?,
        };
        let rest = match count % whole.compiled.images {
            0 => None,
            images => Some(program(images)?),
        };
        Ok(Self { whole, rest })
    }

    fn of(&self, images: usize) -> &Program {
        let rest = self.rest.as_ref();
        let rest = rest.filter(|r| r.compiled.images == images);
        rest.unwrap_or(&self.whole)
    }
}

/// Makes all images on the simulator or the RTL, some by each run of a program.
pub(crate) fn generate(
    generator: &Generator<'_>,
    model: &Model,
    (device, batch): (Device, Option<usize>),
    run: Run,
    begun: Instant,
    progress: &dyn Progress,
) -> Result<Generated> {
    let (Device::Simulator(target) | Device::Rtl(target)) = device else {
        unreachable!("the engine makes these");
    };
    // a device that is not there is told of before the work
    let (_, kernel) = open(device, &Job::default())?;
    let programs = Programs::new(model, &target, &run, batch)?;
    let sampling = coefficients(&run)?;
    let steps = run
        .crew
        .map(&run.classes, |&class| steps(model, &run, class))?;
    let setup_time = begun.elapsed();

    let begun = Instant::now();
    let counter = Counter::new(progress, run.jobs.len() * run.plan.len());
    let batches: Vec<_> = run.jobs.chunks(programs.whole.compiled.images).collect();
    let made = run.crew.map(&batches, |images| {
        let compiled = &programs.of(images.len()).compiled;
        let [height, width, channels] = compiled.image;
        let mut data = compiled.data.clone();
        for (i, image) in images.iter().enumerate() {
            let start = match generator.latent(image.stream.index) {
                Some(values) => state_from_real(&values)?,
                None => noise(
                    image.stream.seed,
                    image.stream.index,
                    Purpose::Start,
                    height * width * channels,
                ),
            };
            data[compiled.state_in(i)].copy_from_slice(&compiled.state_bytes(&start));
        }
        let own = if compiled.own_conditions {
            images.len()
        } else {
            1
        };
        let conditions = images[..own].iter();
        let conditions: Vec<&[StepParams]> = conditions.map(|i| &steps[i.class_slot][..]).collect();
        let records = compiled.encode_records(&conditions, &sampling);
        let job = Job {
            program: compiled.program_bytes.clone(),
            data,
            records: records.map_err(compile_error)?,
            record_stride: compiled.stride as u32,
            steps: compiled.steps as u32,
            seed: images[0].stream.seed,
            image: images[0].stream.index,
        };
        let (device, _) = open(device, &job)?;
        let watched = Watched {
            device,
            counter: &counter,
            images: images.len(),
            told: 0,
        };
        let mut driver = Driver::new(watched).map_err(Error::model)?;
        driver.load(&job).map_err(Error::model)?;
        driver
            .run(ENDLESS)
            .map_err(|e| Error::model(format!("the {kernel}: {e}")))?;
        driver.device_mut().tell(job.steps);
        let mut pictures = Vec::with_capacity(images.len());
        for i in 0..images.len() {
            let range = compiled.pixels_out(i);
            let mut pixels = vec![0; range.len()];
            let read = driver.read_data(range.start as u64, &mut pixels);
            read.map_err(Error::model)?;
            pictures.push(picture(generator.profile(), compiled.pixels_of(&pixels)));
        }
        let cycles = driver.counters().map_err(Error::model)?.cycles;
        Ok((pictures, cycles))
    })?;
    let cycles = made.iter().map(|(_, cycles)| cycles).sum();
    Ok(Generated {
        images: made.into_iter().flat_map(|(images, _)| images).collect(),
        classes: run.jobs.iter().map(|j| j.class).collect(),
        options: run.options,
        timesteps: programs.whole.timesteps,
        kernel,
        threads: run.crew.threads(),
        cycles: Some(cycles),
        setup_time,
        sampling_time: begun.elapsed(),
    })
}
