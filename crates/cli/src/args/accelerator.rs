//! Options that are about the accelerator.

use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, value_parser};
use diffuser::{CompilerStage, Device, Sampler, Spacing, Target};

use super::{ExecutionArgs, MODEL_HELP, OUTPUT, SAMPLING, SPACINGS, one_of, spacing_name};

/// What makes the images.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Execution")]
pub struct DeviceArgs {
    /// What makes the images: this machine's processor, or the accelerator, slowly: its simulator, or
    /// its RTL where that was built in; all give the same bytes
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    #[arg(value_parser = one_of([DeviceKind::Cpu, DeviceKind::Sim, DeviceKind::Rtl], device_name))]
    pub device: DeviceKind,

    /// Build of the accelerator [default: zu9eg; with --device rtl: small]
    #[arg(long, value_name = "NAME")]
    #[arg(value_parser = one_of(Target::ALL, target_name))]
    pub target: Option<Target>,

    /// Images that one run of the accelerator makes [default: 2 where there are so many and they fit]
    #[arg(long, value_name = "N", value_parser = batches())]
    pub batch: Option<usize>,
}

/// Numbers of images of one run.
fn batches() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=256)
}

/// Kind of a device. (clap takes a `bool` for a flag without a value.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// This machine's processor.
    Cpu,
    /// The simulator.
    Sim,
    /// The RTL.
    Rtl,
}

fn device_name(kind: DeviceKind) -> &'static str {
    match kind {
        DeviceKind::Cpu => "cpu",
        DeviceKind::Sim => "sim",
        DeviceKind::Rtl => "rtl",
    }
}

fn target_name(target: Target) -> &'static str {
    target.name
}

impl DeviceArgs {
    /// The device.
    pub fn device(self) -> Device {
        match self.device {
            DeviceKind::Cpu => Device::Cpu,
            DeviceKind::Sim => Device::Simulator(self.target.unwrap_or(Target::ZU9EG)),
            DeviceKind::Rtl => Device::Rtl(self.target.unwrap_or(Target::SMALL)),
        }
    }
}

const COMPILE_EXAMPLES: &str = "\
Examples:
  diffuser compile my.safetensors                     what it takes, and cycles of a step
  diffuser compile my.safetensors --batch 2           the same for two images at once
  diffuser compile my.safetensors -o job.safetensors  program, weights and records for a host
  diffuser compile --target small --emit program      the embedded model's descriptors as text

Cycles are those of the simulator, which runs three steps for them.";

/// Options of `compile`.
#[derive(Debug, Args)]
#[command(after_help = COMPILE_EXAMPLES)]
pub struct CompileArgs {
    #[arg(value_name = "MODEL", help = MODEL_HELP)]
    pub model: Option<PathBuf>,

    /// Build of the accelerator.
    #[arg(long, value_name = "NAME", default_value = "zu9eg")]
    #[arg(value_parser = one_of(Target::ALL, target_name))]
    pub target: Target,

    /// Images that one run makes; they share the loads of weights
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = batches())]
    pub batch: usize,

    /// Write the tensors `program`, `data` and `records`, safetensors
    #[arg(long, short, value_name = "FILE", help_heading = OUTPUT)]
    pub output: Option<PathBuf>,

    /// Print what a pass of the compiler leaves, as text; `program` is the finished one
    #[arg(long, value_name = "STAGE", conflicts_with = "json", help_heading = OUTPUT)]
    #[arg(value_parser = one_of(CompilerStage::ALL, CompilerStage::name))]
    pub emit: Option<CompilerStage>,

    /// Print sizes, cycles of a step and of every layer as JSON on stdout
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    /// Evaluations of the network for an image [default: dpmsolver++ 20, ddim 50, ddpm 1000]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..), help_heading = SAMPLING)]
    pub steps: Option<u32>,

    /// Sampler [default: the model's]
    #[arg(long, value_name = "NAME", value_parser = one_of(Sampler::ALL, Sampler::name), help_heading = SAMPLING)]
    pub scheduler: Option<Sampler>,

    /// Noise that ddim adds: 0 for none, 1 for as much as ddpm
    #[arg(long, value_name = "X", default_value_t = 0.0, help_heading = SAMPLING)]
    #[arg(allow_negative_numbers = true)]
    pub eta: f64,

    /// Which of the training time steps are visited [default: the model's]
    #[arg(long, value_name = "NAME", value_parser = one_of(SPACINGS, spacing_name), help_heading = SAMPLING)]
    pub timestep_spacing: Option<Spacing>,

    /// Class that the records are made for, by name or number [default: the first]
    #[arg(long, value_name = "CLASS", help_heading = SAMPLING)]
    pub class: Option<String>,

    #[command(flatten)]
    pub execution: ExecutionArgs,
}
