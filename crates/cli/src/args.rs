//! The command line.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, value_parser};
use diffuser::{
    CALIBRATION_IMAGES, CALIBRATION_STEPS, KernelChoice, MAX_COUNT, Residual, Rounding, Sampler,
    Spacing,
};
use diffuser_evaluate::Filter;

mod accelerator;
mod parse;

pub use accelerator::{CompileArgs, DeviceArgs};
pub use parse::parse;

const EXAMPLES: &str = "\
Examples:
  diffuser generate                          16 images of the embedded model, as diffuser.png
  diffuser generate --animate denoising.gif  how they come out of the noise
  diffuser quantize my-pipeline -o my.safetensors
  diffuser generate --model my.safetensors --class 3 --count 4
  diffuser compare my-pipeline my.safetensors -o compare.png --plot errors.svg

Exit codes:
  0    done
  1    something failed: one line on stderr says what, and no output is half-written
  2    the command line is wrong, or does not fit the model
  130  interrupted (Ctrl-C): no output is half-written";

/// Diffusion models in integers: quantise a diffusers U-Net for each time step, and generate with it.
///
/// A model is a folder as `diffusers` saves it (`save_pretrained`), or a file that `diffuser quantize`
/// made of one. A small one is embedded, so that everything can be tried at once.
#[derive(Debug, Parser)]
#[command(name = "diffuser", version, after_help = EXAMPLES, arg_required_else_help = true)]
#[command(max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Show no progress and no notes on stderr, only errors.
    #[arg(long, short, global = true, display_order = 100)]
    pub quiet: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make images.
    Generate(GenerateArgs),
    /// Turn a diffusers folder into a quantised file.
    #[command(visible_alias = "quantise")]
    Quantize(QuantizeArgs),
    /// Say what a model is: layers, sizes, classes, step sizes, where it comes from.
    Info(InfoArgs),
    /// Make the same images in floating point and in integers, and measure where they part.
    Compare(CompareArgs),
    /// Make many images in integers, and measure them against floating point.
    Evaluate(EvaluateArgs),
    /// Evaluate the network once, on a sample from a file.
    Predict(PredictArgs),
    /// Compile a model for the accelerator: descriptors, weights, step records.
    Compile(CompileArgs),
    /// Print a completion script for a shell.
    Completions(CompletionsArgs),
}

const MODEL_HELP: &str = "Quantised file or diffusers folder [default: the embedded model]";

/// Heading of the options that say what is written.
const OUTPUT: &str = "Output";

/// Heading of the options that say how images are sampled.
const SAMPLING: &str = "Sampling";

/// Every kernel, and `auto`.
const KERNELS: [KernelChoice; 4] = {
    let [a, b, c] = KernelChoice::ALL;
    [KernelChoice::Auto, a, b, c]
};

/// Every spacing.
const SPACINGS: [Spacing; 4] = [
    Spacing::Leading,
    Spacing::Linspace,
    Spacing::Trailing,
    Spacing::Quadratic,
];

const GENERATE_EXAMPLES: &str = "\
Examples:
  diffuser generate --seed 7 --count 25 --steps 20 --scheduler dpmsolver++
  diffuser generate --class cat,dog --each images     alternate; one file an image
  diffuser generate --first 12 --count 1              image 12 of the default seed, alone
  diffuser generate --model my-pipeline --float       the float reference
  diffuser generate --json --quiet -o /dev/null       timings and sha256 of the pixels

The images of a seed are the same bytes with any number of threads, any kernel and any count.
A folder without --float is quantised first, each time; `diffuser quantize` keeps the result.";

/// Options of `generate`.
#[derive(Debug, Args)]
#[command(after_help = GENERATE_EXAMPLES)]
pub struct GenerateArgs {
    #[arg(long, short, value_name = "PATH", help = MODEL_HELP)]
    pub model: Option<PathBuf>,

    /// Number of images [default: 16, or as many as there are latents]
    #[arg(long, short = 'n', value_name = "N", value_parser = count())]
    pub count: Option<u64>,

    /// Use the float reference rather than integers; needs a diffusers folder
    #[arg(long)]
    pub float: bool,

    /// Grid of all images, PNG
    #[arg(long, short, value_name = "FILE", default_value = "diffuser.png", help_heading = OUTPUT)]
    pub output: PathBuf,

    /// Also write each image, in its own size, as 00000.png, 00001.png, ... in this folder
    #[arg(long, value_name = "DIR", help_heading = OUTPUT)]
    pub each: Option<PathBuf>,

    /// Also animate how the images come about, as .gif or as .png or .apng (animated PNG): the
    /// images predicted after each step; at most 64 images and 100 steps are shown
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub animate: Option<PathBuf>,

    /// Images side by side in the grid [default: about square]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1000), help_heading = OUTPUT)]
    pub columns: Option<u32>,

    /// Enlarge each pixel of grid and animation to N x N [default: images of about 128 pixels, 64
    /// when animated]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=64), help_heading = OUTPUT)]
    pub scale: Option<u32>,

    /// Print what was made, timings and sha256 of the pixels as JSON on stdout
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    #[command(flatten)]
    pub sampling: SamplingArgs,

    /// Start from tensor `latents` of this safetensors file (or its only tensor), F32, N x C x H x W,
    /// rather than from noise. Integers round it to multiples of 2^-24 once.
    #[arg(long, value_name = "FILE", help_heading = SAMPLING)]
    pub latents: Option<PathBuf>,

    #[command(flatten)]
    pub device: DeviceArgs,
}

/// How images are sampled.
#[derive(Debug, Args)]
#[command(next_help_heading = SAMPLING)]
pub struct SamplingArgs {
    /// Evaluations of the network for an image [default: dpmsolver++ 20, ddim 50, ddpm 1000]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub steps: Option<u32>,

    /// Sampler [default: the model's]
    #[arg(long, value_name = "NAME", value_parser = one_of(Sampler::ALL, Sampler::name))]
    pub scheduler: Option<Sampler>,

    /// Noise that ddim adds: 0 for none, 1 for as much as ddpm.
    #[arg(
        long,
        value_name = "X",
        default_value_t = 0.0,
        allow_negative_numbers = true
    )]
    pub eta: f64,

    /// Which of the training time steps are visited [default: the model's]
    #[arg(long, value_name = "NAME", value_parser = one_of(SPACINGS, spacing_name))]
    pub timestep_spacing: Option<Spacing>,

    /// Seed of the noise. Image k of a seed is always the same.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Number of the first image.
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub first: u64,

    /// Classes that the images take in turns, by name or number [default: all of the model's]
    #[arg(long, value_name = "CLASS,...", value_delimiter = ',')]
    pub class: Vec<String>,

    #[command(flatten)]
    pub execution: ExecutionArgs,
}

/// What executes the network.
#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Execution")]
pub struct ExecutionArgs {
    /// Threads [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,

    /// Implementation of the integer layers; all give the same bytes.
    #[arg(
        long,
        value_name = "NAME",
        env = "DIFFUSER_KERNEL",
        hide_env_values = true
    )]
    #[arg(default_value = "auto", value_parser = one_of(KERNELS, KernelChoice::name))]
    pub kernel: KernelChoice,
}

/// Names of spacings, as diffusers has them.
fn spacing_name(spacing: Spacing) -> &'static str {
    match spacing {
        Spacing::Leading => "leading",
        Spacing::Linspace => "linspace",
        Spacing::Trailing => "trailing",
        Spacing::Quadratic => "quadratic",
    }
}

const QUANTIZE_EXAMPLES: &str = "\
Examples:
  diffuser quantize my-pipeline -o my.safetensors
  diffuser quantize my-pipeline -o static.safetensors --method static-minmax
  diffuser quantize my-pipeline -o small.safetensors --weights mixed --weight-budget 60%

The float network makes some images first, and the ranges of all tensors are measured at each of
its time steps. The file works with any sampler and any number of steps afterwards.

What takes long is kept in FILE.calibration meanwhile: after an interruption the same command goes
on where it was. The file is removed at the end.";

/// Options of `quantize`.
#[derive(Debug, Args)]
#[command(after_help = QUANTIZE_EXAMPLES)]
pub struct QuantizeArgs {
    /// Folder as diffusers saves it.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// The quantised file.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,

    /// What chooses the step sizes.
    #[arg(long, value_name = "NAME", default_value = "dynamic-step", value_parser = methods())]
    pub method: String,

    /// Bits of the residual stream where shortcuts and convolutions that resample read it: 8, 15, or 15
    /// in shortcuts alone. 15 bits cost twice the products.
    #[arg(long, value_name = "BITS", default_value_t = Residual::default())]
    #[arg(value_parser = one_of(Residual::ALL, Residual::name))]
    pub residual: Residual,

    /// Steps of the calibrating sampler, and so entries of each table.
    #[arg(long, value_name = "N", default_value_t = CALIBRATION_STEPS)]
    #[arg(value_parser = value_parser!(u32).range(1..))]
    pub steps: u32,

    /// Rows of the step tables, shared by neighbouring steps where that costs least [default: one
    /// a step]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..))]
    pub rows: Option<u32>,

    /// Images that calibrate; classes take turns.
    #[arg(long, value_name = "N", default_value_t = CALIBRATION_IMAGES)]
    #[arg(value_parser = value_parser!(u32).range(1..=10_000))]
    pub images: u32,

    /// Sampler that calibrates [default: the model's]
    #[arg(long, value_name = "NAME", value_parser = one_of(Sampler::ALL, Sampler::name))]
    pub scheduler: Option<Sampler>,

    /// How weights become integers: each to the nearest; so that those of a layer rounded later make up for
    /// the error of those before; the same, and each layer for the layers before it; or up or down as
    /// learnt (slow) [default: error-feedback of 8 bits, sequential of fewer]
    #[arg(long, value_name = "NAME", value_parser = one_of(Rounding::ALL, Rounding::name))]
    pub rounding: Option<Rounding>,

    /// Bits of the weights: 8, 4, or 4 in as many layers as the budget asks for. The first and the last
    /// convolution always have 8.
    #[arg(long, value_name = "BITS", default_value = "8", value_parser = ["8", "4", "mixed"])]
    pub weights: String,

    /// How 3x3 convolutions behind upsampling run: where their result has at least 16x16 pixels, as four
    /// 2x2 convolutions of the small image, one for each phase of the pixels: the same function with 4/9
    /// of the products; or as they are, on the image enlarged to nearest neighbours.
    #[arg(long, value_name = "HOW", default_value = "phases", value_parser = ["phases", "nearest"])]
    pub upsample: String,

    /// How ResNet blocks convolve their input and the skip connection that joins it: as one; or, where they have at least
    /// 16x16 pixels and no group of the norm reaches over both, each by itself: the same function, a sum of two convolutions with
    /// steps of their own. The accelerator convolves the skip while it waits for weights.
    #[arg(long, value_name = "HOW", default_value = "whole", value_parser = ["whole", "split"])]
    pub skips: String,

    /// Most bytes of the weights of convolutions and linear layers; with --weights mixed
    #[arg(long, value_name = "N", conflicts_with = "weight_budget")]
    pub weight_bytes: Option<u64>,

    /// The same as a share of what they take with 8 bits, as 60%
    #[arg(long, value_name = "PERCENT", value_parser = percent)]
    pub weight_budget: Option<f64>,

    /// Seed of the calibration's noise.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Threads [default: as many as there are processors]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1024))]
    pub threads: Option<u32>,

    /// Print what was made as JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

/// Options of `info`.
#[derive(Debug, Args)]
pub struct InfoArgs {
    #[arg(value_name = "MODEL", help = MODEL_HELP)]
    pub model: Option<PathBuf>,

    /// List every layer.
    #[arg(long)]
    pub layers: bool,

    /// Everything as JSON on stdout.
    #[arg(long)]
    pub json: bool,
}

const COMPARE_EXAMPLES: &str = "\
Examples:
  diffuser compare my-pipeline                       quantised on the fly
  diffuser compare my-pipeline my.safetensors --steps 20 --plot errors.svg

The grid has three rows: floating point, integers, and where they differ, 8 times as bright.";

/// Options of `compare`.
#[derive(Debug, Args)]
#[command(after_help = COMPARE_EXAMPLES)]
pub struct CompareArgs {
    /// The float model: a folder as diffusers saves it.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    /// The file quantised from it [default: quantised on the fly]
    #[arg(value_name = "FILE")]
    pub quantised: Option<PathBuf>,

    /// Number of images [default: 8, or as many as there are latents]
    #[arg(long, short = 'n', value_name = "N", value_parser = count())]
    pub count: Option<u64>,

    /// Both kinds of images, PNG
    #[arg(long, short, value_name = "FILE", default_value = "compare.png", help_heading = OUTPUT)]
    pub output: PathBuf,

    /// Also plot the error at each step, SVG
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub plot: Option<PathBuf>,

    /// Images side by side [default: at most 8]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=1000), help_heading = OUTPUT)]
    pub columns: Option<u32>,

    /// Enlarge each pixel to N x N [default: images of about 128 pixels]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=64), help_heading = OUTPUT)]
    pub scale: Option<u32>,

    /// Print PSNR of each image and the error at each step as JSON on stdout
    #[arg(long, help_heading = OUTPUT)]
    pub json: bool,

    #[command(flatten)]
    pub sampling: SamplingArgs,

    /// Start from tensor `latents` of this safetensors file (or its only tensor), F32, N x C x H x W,
    /// rather than from noise. Integers round it to multiples of 2^-24 once.
    #[arg(long, value_name = "FILE", help_heading = SAMPLING)]
    pub latents: Option<PathBuf>,
}

const EVALUATE_EXAMPLES: &str = "\
Examples:
  diffuser evaluate my.safetensors --against my-pipeline --images 512 --json out.json
  diffuser evaluate my.safetensors --against my-pipeline --versus static.safetensors \\
      --reference train.parquet --reference-test test.parquet --images 10000 --json out.json

Images and features are kept in journals as they are made: the same command goes on where one was
interrupted, and float images are made once for any number of quantised files.

Distances to real images need a feature extractor, an ONNX file; scripts/extractor.py makes the
default one, EfficientNet-Lite0. They compare only with distances of the same extractor.";

/// Options of `evaluate`.
#[derive(Debug, Args)]
#[command(after_help = EVALUATE_EXAMPLES)]
pub struct EvaluateArgs {
    #[arg(value_name = "MODEL", help = MODEL_HELP)]
    pub model: Option<PathBuf>,

    /// The float model to measure against: the folder that the file was quantised from
    #[arg(long, value_name = "DIR")]
    pub against: Option<PathBuf>,

    /// Another quantised file of the same float model, measured alike and compared with; may be
    /// repeated
    #[arg(long, value_name = "FILE")]
    pub versus: Vec<PathBuf>,

    /// Number of images
    #[arg(long, short = 'n', value_name = "N", default_value_t = 512, value_parser = count())]
    pub images: u64,

    /// Images that the error at each step is measured on; 0 for none
    #[arg(long, value_name = "N", default_value_t = 8)]
    #[arg(value_parser = value_parser!(u64).range(..=MAX_COUNT as u64))]
    pub step_images: u64,

    /// Also make float images of this seed: how far apart two sets of equal images are by chance
    #[arg(long, value_name = "SEED", requires = "against")]
    pub control_seed: Option<u64>,

    #[command(flatten)]
    pub reference: ReferenceArgs,

    /// Folder that keeps finished images and features
    #[arg(long, value_name = "DIR", default_value = "runs", help_heading = OUTPUT)]
    pub journal: PathBuf,

    /// Also write all figures as JSON
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub json: Option<PathBuf>,

    /// Also plot the error at each step, SVG
    #[arg(long, value_name = "FILE", help_heading = OUTPUT)]
    pub plot: Option<PathBuf>,

    /// Also plot the distances to the reference with their intervals, SVG
    #[arg(long, value_name = "FILE", requires = "reference", help_heading = OUTPUT)]
    pub distance_plot: Option<PathBuf>,

    #[command(flatten)]
    pub sampling: SamplingArgs,
}

/// Which real images distances are measured to, and with what.
#[derive(Debug, Args)]
#[command(next_help_heading = "Distances to real images")]
pub struct ReferenceArgs {
    /// Real images: a folder of PNG or JPEG files, a Parquet file or folder as Hugging Face packs
    /// data sets, or a file of --save-statistics
    #[arg(long, value_name = "PATH")]
    pub reference: Option<PathBuf>,

    /// Other images of the same kind, whose distance to the reference is the floor [default: the
    /// reference is split in two]
    #[arg(long, value_name = "PATH", requires = "reference")]
    pub reference_test: Option<PathBuf>,

    /// Take only rows of the Parquet files whose column has this value; may be repeated
    #[arg(long, value_name = "COLUMN=VALUE", requires = "reference")]
    pub reference_filter: Vec<Filter>,

    /// Shrink real images to N x N by averaging squares of pixels [default: to the size of the
    /// model's images, where it divides theirs]
    #[arg(long, value_name = "N", requires = "reference")]
    #[arg(value_parser = value_parser!(u32).range(1..=4096))]
    pub reference_size: Option<u32>,

    /// Also write mean and covariance of the reference's features, to be given as --reference
    #[arg(long, value_name = "FILE", requires = "reference")]
    pub save_statistics: Option<PathBuf>,

    /// ONNX file that makes features of images [default: efficientnet-lite0-features.onnx in
    /// ~/.cache/diffuser]
    #[arg(
        long,
        value_name = "FILE",
        env = "DIFFUSER_EXTRACTOR",
        hide_env_values = true
    )]
    pub extractor: Option<PathBuf>,

    /// How images are given to the extractor: efficientnet-lite0, inception-v3 (as pytorch-fid),
    /// inception-v3-clean (as clean-fid), inception-v3-tensorflow (as torch-fidelity) or a JSON
    /// file [default: the extractor's name with .json, else efficientnet-lite0]
    #[arg(long, value_name = "NAME")]
    pub preprocessing: Option<PathBuf>,
}

const PREDICT_EXAMPLES: &str = "\
Example:
  diffuser predict --model my.safetensors --sample x.safetensors --timestep 500 -o out.safetensors

In diffusers: unet(x, 500, class_labels=...).sample";

/// Options of `predict`.
#[derive(Debug, Args)]
#[command(after_help = PREDICT_EXAMPLES)]
pub struct PredictArgs {
    #[arg(long, short, value_name = "PATH", help = MODEL_HELP)]
    pub model: Option<PathBuf>,

    /// Tensor `sample` of this safetensors file (or its only tensor), F32, N x C x H x W.
    #[arg(long, value_name = "FILE")]
    pub sample: PathBuf,

    /// Training time step.
    #[arg(long, value_name = "T")]
    pub timestep: u32,

    /// Class by name or number; several take turns over the samples.
    #[arg(long, value_name = "CLASS,...", value_delimiter = ',')]
    pub class: Vec<String>,

    /// The result, as tensor `noise_pred`, F32, N x C x H x W.
    #[arg(long, short, value_name = "FILE")]
    pub output: PathBuf,

    /// Use the float reference rather than integers; needs a diffusers folder.
    #[arg(long)]
    pub float: bool,

    #[command(flatten)]
    pub execution: ExecutionArgs,
}

/// Options of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Which shell.
    pub shell: clap_complete::Shell,
}

fn count() -> clap::builder::RangedU64ValueParser {
    value_parser!(u64).range(1..=MAX_COUNT as u64)
}

/// Accepts the names of some values.
fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    values: [T; N],
    name: fn(T) -> &'static str,
) -> impl clap::builder::TypedValueParser<Value = T> {
    use clap::builder::TypedValueParser;
    PossibleValuesParser::new(values.map(name)).map(move |text| {
        let named = values.into_iter().find(|&v| name(v) == text);
        named.expect("only their names get this far")
    })
}

/// A share, `0..=1`, from a percentage.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').and_then(|n| n.parse::<f64>().ok());
    match number {
        Some(n) if (0.0..=100.0).contains(&n) => Ok(n / 100.0),
        _ => Err("expected 0% to 100%".into()),
    }
}

fn methods() -> PossibleValuesParser {
    let methods = diffuser::methods();
    PossibleValuesParser::new(
        methods
            .iter()
            .map(|m| clap::builder::PossibleValue::new(m.name()).help(m.summary())),
    )
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }
}
