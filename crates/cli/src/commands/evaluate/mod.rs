//! `diffuser evaluate`: a quantised model, measured over many images.

mod distances;
mod features;
mod figure;
mod generation;
mod paired;
mod plot;
mod reference;
mod report;

use std::path::{Path, PathBuf};

use diffuser::output::AtomicFile;
use diffuser::{Comparison, Error, FloatModel, Generator, Model, Progress, Result};

use super::compare::error_plot;
use super::{check_distinct, configure, open_quantised};
use crate::args::EvaluateArgs;
use crate::ui::{self, Bar, Ui};
use distances::{BLOCKS, Between, LEAST_IMAGES, Target, moments_of_blocks};
use features::{Features, Set, open_extractor};
use generation::{Keeper, Kept, Origin};
use paired::Paired;
use reference::Reference;
use report::{Measurements, Report, Run, System};

/// Makes the images, or finds them in the journal, and measures.
pub fn run(arguments: &EvaluateArgs, ui: &Ui) -> Result<()> {
    let reference = &arguments.reference;
    if arguments.against.is_none() && reference.reference.is_none() {
        return Err(Error::setting(
            "nothing to measure against: give --against with the folder that the model was quantised from, or \
             --reference with real images",
        ));
    }
    let paths = [
        &arguments.json,
        &arguments.plot,
        &arguments.distance_plot,
        &reference.save_statistics,
    ];
    check_distinct(&paths.map(|p| p.as_deref()))?;
    let create = |path: &Option<PathBuf>| path.as_deref().map(AtomicFile::create).transpose();
    let [json, plot, distance_plot, statistics] = paths.map(create);
    let (json, plot) = (json?, plot?);
    let (distance_plot, statistics) = (distance_plot?, statistics?);
    if plot.is_some() && (arguments.step_images == 0 || arguments.against.is_none()) {
        return Err(Error::setting(
            "--plot shows the error at each step, which --against and --step-images measure",
        ));
    }
    if reference.reference.is_some() && arguments.images < LEAST_IMAGES as u64 {
        return Err(Error::setting(format!(
            "distances need at least {LEAST_IMAGES} images"
        )));
    }
    let folder = arguments.against.as_deref();
    let float = folder.map(FloatModel::load).transpose()?;
    let execution = arguments.sampling.execution;
    let model = open_quantised(arguments.model.as_deref(), execution, ui)?;
    let versus: Vec<Model> = arguments
        .versus
        .iter()
        .map(Model::load)
        .collect::<Result<_>>()?;
    let measuring = Measuring::new(arguments, ui, &model, &versus, float.as_ref())?;
    let report = measuring.report(statistics)?;

    if let Some(file) = json {
        file.commit(format!("{:#}\n", report.to_json()?).as_bytes())?;
    }
    if let (Some(file), Some(comparison)) = (plot, &report.systems[0].steps) {
        file.commit(error_plot(comparison).to_svg().as_bytes())?;
    }
    if let Some(file) = distance_plot {
        file.commit(plot::distances(&report)?.as_bytes())?;
    }
    ui::print(&report.to_text()?)
}

/// What is measured, and how.
struct Measuring<'a> {
    arguments: &'a EvaluateArgs,
    ui: &'a Ui,
    /// The quantised models, first the one that all is about; each with one image, as counts are set where images
    /// are made.
    models: Vec<Candidate<'a>>,
    float: Option<(&'a FloatModel, Generator<'a>)>,
}

/// A quantised model.
struct Candidate<'a> {
    name: String,
    generator: Generator<'a>,
    origin: Origin,
}

impl<'a> Measuring<'a> {
    fn new(
        arguments: &'a EvaluateArgs,
        ui: &'a Ui,
        model: &'a Model,
        versus: &'a [Model],
        float: Option<&'a FloatModel>,
    ) -> Result<Self> {
        let sampling = &arguments.sampling;
        let last = sampling.first.checked_add(arguments.images - 1);
        if last.is_none() {
            return Err(Error::setting("image numbers end at 2^64 - 1"));
        }
        let paths = std::iter::once(arguments.model.as_ref());
        let paths = paths.chain(arguments.versus.iter().map(Some));
        let mut models = Vec::new();
        for (path, quantised) in paths.zip(std::iter::once(model).chain(versus)) {
            let truth = float.map_or(model.profile(), |f| f.profile());
            let shown = path.map_or("the embedded model".into(), |p| p.display().to_string());
            if quantised.profile() != truth && float.is_some() {
                return Err(Error::setting(
                    "the quantised model was made from another float model: their configurations differ",
                ));
            }
            if quantised.profile() != truth {
                return Err(Error::setting(format!(
                    "{shown} was made from another model than the first file: their configurations differ"
                )));
            }
            if float.is_some_and(|f| !quantised.was_made_from(f)) {
                ui.warn("the quantised file was made from other weights than those in the folder");
            }
            models.push(Candidate {
                name: name(path.map(PathBuf::as_path), &models),
                generator: configure(Generator::new(quantised), sampling, None, None, 1)?,
                origin: Origin::integers(quantised)?,
            });
        }
        let float = match float {
            None => None,
            Some(float) => {
                let generator = configure(Generator::float(float), sampling, None, None, 1)?;
                Some((float, generator))
            }
        };
        Ok(Self {
            arguments,
            ui,
            models,
            float,
        })
    }

    fn report(&self, statistics: Option<AtomicFile>) -> Result<Report> {
        let sampling = &self.arguments.sampling;
        // The range of the argument fits any usize.
        let count = self.arguments.images as usize;
        let keeper = Keeper {
            folder: &self.arguments.journal,
            first: sampling.first,
            count,
            threads: sampling.execution.threads(),
            ui: self.ui,
        };
        let features = self.features()?;
        self.ui.at_interrupt(&format!(
            "interrupted; finished images are kept in {}, and the same command goes on from there",
            self.arguments.journal.display()
        ));
        let reference = match (&self.arguments.reference.reference, &features) {
            (Some(path), Some(features)) => {
                let [height, width, _] = self.models[0].generator.profile().sample_shape();
                let arguments = &self.arguments.reference;
                Some(Reference::read(path, arguments, features, [height, width])?)
            }
            _ => None,
        };
        if let (Some(file), Some(reference), Some(features)) = (statistics, &reference, &features) {
            reference.save(file, features)?;
        }
        let target = match (&reference, &features) {
            (Some(r), Some(f)) => {
                let extractor = &f.extractor;
                Some(Target::new(r, extractor.dim(), extractor.classes())?)
            }
            _ => None,
        };
        let work = Work {
            keeper,
            features,
            target,
        };
        let steps = self.models.iter().map(|m| self.step_errors(m));
        let steps: Vec<_> = steps.collect::<Result<_>>()?;
        let mut between = Vec::new();
        let float = match &self.float {
            None => None,
            Some((model, generator)) => {
                let origin = Origin::float(model);
                let made = work.make(generator, sampling.seed, &origin, "float")?;
                if let Some(seed) = self.arguments.control_seed {
                    let control = work.make(generator, seed, &origin, "control")?;
                    between.extend(work.between(
                        ["float", "float of the control seed"],
                        [&made.set, &control.set],
                        false,
                    )?);
                }
                between.extend(work.halves(["float", "float"], [&made.set, &made.set])?);
                Some((made, origin.sha256().to_owned()))
            }
        };
        let mut systems = Vec::new();
        for (model, steps) in self.models.iter().zip(steps) {
            let title = if systems.is_empty() {
                "integers"
            } else {
                "versus"
            };
            let made = work.make(&model.generator, sampling.seed, &model.origin, title)?;
            let mut paired = None;
            if let Some((truth, _)) = &float {
                paired = Some(work.paired(truth, &made)?);
                let sets = [&made.set, &truth.set];
                between.extend(work.between([&model.name, "float"], sets, true)?);
                if systems.is_empty() {
                    between.extend(work.halves([&model.name, "float"], sets)?);
                }
            }
            systems.push(System {
                name: model.name.clone(),
                sha256: model.origin.sha256().to_owned(),
                pixels_sha256: diffuser::sha256(&made.kept.images),
                distances: work.distances(&made)?,
                paired,
                steps,
            });
        }
        Ok(Report {
            run: Run {
                images: count,
                first: sampling.first,
                seed: sampling.seed,
                options: self.models[0].generator.options(),
                extractor: work.features.as_ref().map(|f| report::Extractor {
                    sha256: f.extractor.sha256().to_owned(),
                    preprocessing: f.extractor.preprocessing().clone(),
                    dim: f.extractor.dim(),
                }),
            },
            float: match float {
                None => None,
                Some((made, sha256)) => Some(Measurements {
                    sha256,
                    pixels_sha256: diffuser::sha256(&made.kept.images),
                    distances: work.distances(&made)?,
                }),
            },
            systems,
            between,
            reference,
        })
    }

    /// The extractor, where there is use for one.
    fn features(&self) -> Result<Option<Features<'_>>> {
        let arguments = &self.arguments.reference;
        if arguments.reference.is_none() && arguments.extractor.is_none() {
            return Ok(None);
        }
        Ok(Some(Features {
            extractor: open_extractor(arguments)?,
            folder: &self.arguments.journal,
            threads: self.arguments.sampling.execution.threads(),
            ui: self.ui,
        }))
    }

    /// The error at each step, on the first images.
    fn step_errors(&self, model: &Candidate<'_>) -> Result<Option<Comparison>> {
        let count = self.arguments.step_images.min(self.arguments.images) as usize;
        let Some((float, _)) = &self.float else {
            return Ok(None);
        };
        if count == 0 {
            return Ok(None);
        }
        let watcher = Watcher(self.ui.bar("each step"));
        let generator = model.generator.clone().count(count);
        generator.compare(float, &watcher).map(Some)
    }
}

/// What makes and measures sets of images.
struct Work<'a> {
    keeper: Keeper<'a>,
    features: Option<Features<'a>>,
    target: Option<Target<'a>>,
}

/// A set of images with its features.
struct Made {
    kept: Kept,
    set: Option<Set>,
}

impl Work<'_> {
    fn make(
        &self,
        generator: &Generator<'_>,
        seed: u64,
        origin: &Origin,
        title: &'static str,
    ) -> Result<Made> {
        let kept = self.keeper.images(generator, seed, origin, title)?;
        let key = format!("{} {}", self.keeper.first, kept.key);
        let set = match &self.features {
            None => None,
            Some(f) => Some(f.of_images(&kept.images, &key, "features")?),
        };
        Ok(Made { kept, set })
    }

    fn distances(&self, made: &Made) -> Result<Option<distances::Distances>> {
        match (&self.target, &made.set) {
            (Some(target), Some(set)) => target.measure(set).map(Some),
            _ => Ok(None),
        }
    }

    fn paired(&self, truth: &Made, made: &Made) -> Result<Paired> {
        let rows = match (&truth.set, &made.set) {
            (Some(a), Some(b)) => Some([&a.features[..], &b.features[..]]),
            _ => None,
        };
        let dim = self.features.as_ref().map_or(1, |f| f.extractor.dim());
        Paired::new(&truth.kept.images, &made.kept.images, rows, dim)
    }

    /// The distance between two sets of images.
    fn between(
        &self,
        names: [&str; 2],
        sets: [&Option<Set>; 2],
        same_noise: bool,
    ) -> Result<Option<Between>> {
        let (Some(features), [Some(a), Some(b)]) = (&self.features, sets) else {
            return Ok(None);
        };
        let dim = features.extractor.dim();
        if a.features.len() < LEAST_IMAGES * dim {
            return Ok(None);
        }
        let rows = [&a.features[..], &b.features[..]];
        Between::new(names, rows, dim, same_noise).map(Some)
    }

    /// The distance between the first half of one set and the second of another: of images of different noise.
    fn halves(&self, names: [&str; 2], sets: [&Option<Set>; 2]) -> Result<Option<Between>> {
        let (Some(features), [Some(a), Some(b)]) = (&self.features, sets) else {
            return Ok(None);
        };
        let dim = features.extractor.dim();
        let half = a.features.len() / dim / 2 * dim;
        if half < LEAST_IMAGES * dim {
            return Ok(None);
        }
        let rows = [&a.features[..half], &b.features[half..2 * half]];
        Between::new(names, rows, dim, false).map(Some)
    }
}

/// What a file is called in the report: its name without ending, or all of its path where that is taken.
fn name(path: Option<&Path>, taken: &[Candidate<'_>]) -> String {
    let Some(path) = path else {
        return "embedded".into();
    };
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    let stem = stem.to_string_lossy().into_owned();
    let is_taken = stem == "float" || taken.iter().any(|t| t.name == stem);
    if is_taken {
        path.display().to_string()
    } else {
        stem
    }
}

struct Watcher(Bar);

impl Progress for Watcher {
    fn evaluated(&self, done: u64, total: u64) {
        self.0.set(done, total);
    }
}

/// An error of the crate that keeps and reads, as one of ours.
fn outside(error: diffuser_evaluate::Error) -> Error {
    match error {
        diffuser_evaluate::Error::Io {
            action,
            path,
            source,
        } => Error::io(action, &path)(source),
        diffuser_evaluate::Error::File { path, reason } => Error::file(&path, reason),
        other => Error::model(other),
    }
}

/// A figure that these sets do not have.
fn undefined(error: diffuser_metrics::MetricsError) -> Error {
    Error::model(error)
}
