//! The commands, each a thin user of the library.

pub mod compare;
pub mod compile;
pub mod completions;
pub mod evaluate;
pub mod generate;
pub mod info;
pub mod predict;
pub mod quantize;

use std::path::Path;

use diffuser::output::{Tensor, arrange, arranged_size, default_zoom, read_tensor};
use diffuser::{
    Error, FloatModel, Generator, Image, Model, Profile, QuantiseSettings, Result, Stage,
};

use crate::args::{ExecutionArgs, SamplingArgs};
use crate::ui::Ui;

/// A model of either kind.
pub enum Chosen {
    /// A quantised file, or the embedded model.
    Quantised(Box<Model>),
    /// A folder.
    Float(Box<FloatModel>),
}

/// Opens a folder, a file, or the embedded model.
pub fn open(path: Option<&Path>) -> Result<Chosen> {
    match path {
        None => Model::embedded().map(Box::new).map(Chosen::Quantised),
        Some(path) if path.is_dir() => FloatModel::load(path).map(Box::new).map(Chosen::Float),
        Some(path) => Model::load(path).map(Box::new).map(Chosen::Quantised),
    }
}

/// Opens a model for integers; a folder is quantised for this once.
pub fn open_quantised(path: Option<&Path>, execution: ExecutionArgs, ui: &Ui) -> Result<Model> {
    match open(path)? {
        Chosen::Quantised(model) => Ok(*model),
        Chosen::Float(model) => quantise_once(&model, execution, ui),
    }
}

/// Quantises with the default settings, not to be kept.
pub fn quantise_once(model: &FloatModel, execution: ExecutionArgs, ui: &Ui) -> Result<Model> {
    ui.note("quantising the folder for this run; `diffuser quantize` keeps the result");
    let settings = QuantiseSettings {
        threads: execution.threads(),
        ..QuantiseSettings::default()
    };
    quantise_watched(model, &settings, ui)
}

/// Quantises behind a progress bar.
pub fn quantise_watched(model: &FloatModel, settings: &QuantiseSettings, ui: &Ui) -> Result<Model> {
    let bar = ui.bar("calibrating");
    model.quantise(settings, &|stage, done, total| {
        bar.title(match stage {
            Stage::Calibrating => "calibrating",
            Stage::Rounding => "rounding",
        });
        bar.set(done, total);
    })
}

/// Opens a folder, for what only the float reference can do.
pub fn open_float(path: Option<&Path>) -> Result<FloatModel> {
    let Some(path) = path else {
        return Err(Error::setting(
            "--float needs --model with a folder as diffusers saves it; the embedded model has integers only",
        ));
    };
    match open(Some(path))? {
        Chosen::Float(model) => Ok(*model),
        Chosen::Quantised(_) => Err(Error::setting(format!(
            "--float needs a folder as diffusers saves it; {} is a quantised file",
            path.display()
        ))),
    }
}

/// Numbers of classes given by name or number.
pub fn classes(profile: &Profile, texts: &[String]) -> Result<Vec<usize>> {
    texts.iter().map(|t| profile.class(t)).collect()
}

/// What fits the sampler's state; noise seldom exceeds 5.
const LARGEST: f32 = 128.0;

/// Reads tensor `name` for samples of a model.
pub fn read_sample(path: &Path, name: &str, profile: &Profile) -> Result<Tensor> {
    let [h, w, c] = profile.sample_shape();
    let tensor = read_tensor(path, name, [c, h, w])?;
    if let Some(i) = tensor.data.iter().position(|v| v.abs() >= LARGEST) {
        let value = tensor.data[i];
        let reason = format!("{value} at position {i}; expected less than {LARGEST} in magnitude");
        return Err(Error::file(path, reason));
    }
    Ok(tensor)
}

/// Latents, if any are given.
pub fn latents(path: Option<&Path>, profile: &Profile) -> Result<Option<Tensor>> {
    path.map(|p| read_sample(p, "latents", profile)).transpose()
}

/// The generator that the options ask for; `count` is for when there are no latents either.
pub fn configure<'a>(
    mut generator: Generator<'a>,
    sampling: &SamplingArgs,
    latents: Option<&'a Tensor>,
    given_count: Option<u64>,
    default_count: usize,
) -> Result<Generator<'a>> {
    let classes = classes(generator.profile(), &sampling.class)?;
    generator = generator
        .seed(sampling.seed)
        .first(sampling.first)
        .classes(classes)
        .eta(sampling.eta)
        .threads(sampling.execution.threads())
        .kernel(sampling.execution.kernel);
    if let Some(sampler) = sampling.scheduler {
        generator = generator.sampler(sampler);
    }
    if let Some(steps) = sampling.steps {
        generator = generator.steps(steps);
    }
    if let Some(spacing) = sampling.timestep_spacing {
        generator = generator.spacing(spacing);
    }
    if let Some(latents) = latents {
        generator = generator.latents(latents);
    }
    Ok(match (given_count, latents) {
        // The range of the argument fits any usize.
        (Some(count), _) => generator.count(count as usize),
        (None, None) => generator.count(default_count),
        (None, Some(_)) => generator,
    })
}

impl ExecutionArgs {
    /// Number of threads; 0 for as many as there are processors.
    pub fn threads(self) -> usize {
        self.threads.unwrap_or(0) as usize
    }
}

/// Most pixels of a grid: more would take gigabytes.
const MOST_PIXELS: usize = 1 << 28;

/// How pictures are laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Pictures side by side.
    pub columns: usize,
    /// Each pixel becomes this many pixels wide and high.
    pub zoom: usize,
}

impl Layout {
    /// Of `cells` pictures in `columns`, enlarged as asked for or as fits them.
    pub fn new(
        profile: &Profile,
        cells: usize,
        columns: usize,
        scale: Option<u32>,
    ) -> Result<Self> {
        let [height, width, _] = profile.sample_shape();
        let zoom = scale.map_or(default_zoom(width, height, columns), |s| s as usize);
        let [w, h] = arranged_size([width, height], cells, columns, zoom);
        if w.saturating_mul(h) > MOST_PIXELS {
            return Err(Error::setting(format!(
                "the grid would have {w} x {h} pixels, too many to hold; make fewer images at once \
                 (--first goes on where a run ended) or reduce --scale"
            )));
        }
        Ok(Self { columns, zoom })
    }

    /// The pictures as one; `None` leaves a cell empty.
    pub fn arrange<'a, T: Into<Option<&'a Image>>>(
        self,
        cells: impl IntoIterator<Item = T>,
    ) -> Image {
        arrange(cells, self.columns, self.zoom)
    }
}

/// Refuses two outputs under one name: the later one would replace the earlier.
pub fn check_distinct(paths: &[Option<&Path>]) -> Result<()> {
    let given: Vec<_> = paths.iter().flatten().collect();
    for (i, path) in given.iter().enumerate() {
        // Devices such as /dev/null take any number of outputs.
        let device = std::fs::metadata(path).is_ok_and(|m| !m.is_file() && !m.is_dir());
        if !device && given[..i].contains(path) {
            return Err(Error::setting(format!(
                "two outputs are called {}",
                path.display()
            )));
        }
    }
    Ok(())
}
