//! Diffusion models in integers.
//!
//! A U-Net as Hugging Face `diffusers` saves it becomes a quantised file with step sizes for each
//! time step ([`FloatModel::quantise`]); images are then made of it in integers only, the same bytes
//! on every machine ([`Generator`]).
//!
//! ```
//! use diffuser::{Generator, Model, output::arrange};
//!
//! let model = Model::embedded()?;
//! let made = Generator::new(&model).count(4).seed(7).steps(2).run()?;
//! let sheet = arrange(&made.images, 2, 4);
//! # let folder = tempfile::tempdir().unwrap();
//! # let path = folder.path().join("four.png");
//! sheet.save_png(&path)?;
//! # assert!(path.exists());
//! # Ok::<(), diffuser::Error>(())
//! ```
//!
//! From a folder, and against the float network:
//!
//! ```no_run
//! use diffuser::{FloatModel, Generator, QuantiseSettings};
//!
//! let float = FloatModel::load("my-pipeline")?;
//! let model = float.quantise(&QuantiseSettings::default(), &|stage, done, total| {
//!     eprintln!("{stage:?}: {done} of {total}");
//! })?;
//! std::fs::write("my.safetensors", model.to_bytes()?).unwrap();
//! let comparison = Generator::new(&model).count(8).compare(&float, &())?;
//! println!("{:?} dB", comparison.psnr);
//! # Ok::<(), diffuser::Error>(())
//! ```

mod accelerator;
mod compare;
mod crew;
mod error;
mod image;
mod model;
mod network;
pub mod output;
mod predict;
mod progress;
mod sampling;

pub use accelerator::{Device, LayerCycles, Measured, Program};
pub use compare::{Comparison, StepError};
pub use diffuser_compiler::{Compiled, Stage as CompilerStage, Target};
pub use diffuser_engine::KernelChoice;
pub use diffuser_model::rewrite::Rewrites;
pub use diffuser_model::sampling::{Sampler, SamplerOptions, SchedulerConfig, Spacing};
pub use diffuser_model::scale::scale_to_f64;
pub use diffuser_model::{config::UnetConfig, graph, quantised};
pub use diffuser_quant::methods::{Method, Residual, all as methods};
pub use diffuser_quant::{Budget, Rounding, Weights, weight_bytes};
pub use error::{Error, Result};
pub use image::{Image, psnr, sha256};
pub use model::{
    CALIBRATION_IMAGES, CALIBRATION_STEPS, FloatModel, Model, Profile, QuantiseSettings, Stage,
};
pub use predict::Question;
pub use progress::{Progress, Stepped};
pub use sampling::{Generated, Generator, MAX_COUNT};
