//! `diffuser evaluate`: a quantised model, measured over many images.

mod generation;
mod report;

use diffuser::output::AtomicFile;
use diffuser::{Comparison, Error, FloatModel, Generator, Model, Progress, Result, psnr};

use super::compare::error_plot;
use super::{check_distinct, configure, open_quantised};
use crate::args::EvaluateArgs;
use crate::ui::{self, Bar, Ui};
use generation::{Keeper, Origin};
use report::{Paired, Report, Run};

/// Makes the images, or finds them in the journal, and measures.
pub fn run(arguments: &EvaluateArgs, ui: &Ui) -> Result<()> {
    let Some(folder) = &arguments.against else {
        return Err(Error::setting(
            "nothing to measure against: give --against with the folder that the model was quantised from",
        ));
    };
    check_distinct(&[arguments.json.as_deref(), arguments.plot.as_deref()])?;
    let create =
        |path: &Option<std::path::PathBuf>| path.as_deref().map(AtomicFile::create).transpose();
    let json = create(&arguments.json)?;
    let plot = create(&arguments.plot)?;
    if arguments.plot.is_some() && arguments.step_images == 0 {
        return Err(Error::setting(
            "--plot shows the error at each step, and --step-images 0 measures none",
        ));
    }
    let float = FloatModel::load(folder)?;
    let model = open_quantised(arguments.model.as_deref(), arguments.sampling.execution, ui)?;
    let measured = Measured::new(arguments, ui, &model, &float)?;
    let report = measured.report()?;

    if let Some(file) = json {
        file.commit(format!("{:#}\n", report.to_json()).as_bytes())?;
    }
    if let (Some(file), Some(comparison)) = (plot, &report.steps) {
        file.commit(error_plot(comparison).to_svg().as_bytes())?;
    }
    ui::print(&report.to_text())
}

/// What is measured, and how.
struct Measured<'a> {
    arguments: &'a EvaluateArgs,
    ui: &'a Ui,
    model: &'a Model,
    float: &'a FloatModel,
    /// For integers; with one image, as counts are set where images are made.
    integers: Generator<'a>,
    floats: Generator<'a>,
}

impl<'a> Measured<'a> {
    fn new(
        arguments: &'a EvaluateArgs,
        ui: &'a Ui,
        model: &'a Model,
        float: &'a FloatModel,
    ) -> Result<Self> {
        if model.profile() != float.profile() {
            return Err(Error::setting(
                "the quantised model was made from another float model: their configurations differ",
            ));
        }
        if !model.was_made_from(float) {
            ui.warn("the quantised file was made from other weights than those in the folder");
        }
        let sampling = &arguments.sampling;
        let last = sampling.first.checked_add(arguments.images - 1);
        if last.is_none() {
            return Err(Error::setting("image numbers end at 2^64 - 1"));
        }
        let configured = |generator| configure(generator, sampling, None, None, 1);
        Ok(Self {
            arguments,
            ui,
            model,
            float,
            integers: configured(Generator::new(model))?,
            floats: configured(Generator::float(float))?,
        })
    }

    fn report(&self) -> Result<Report> {
        let sampling = &self.arguments.sampling;
        // The range of the argument fits any usize.
        let count = self.arguments.images as usize;
        let steps = self.step_errors()?;
        let keeper = Keeper {
            folder: &self.arguments.journal,
            first: sampling.first,
            count,
            threads: sampling.execution.threads(),
            ui: self.ui,
        };
        self.ui.at_interrupt(&format!(
            "interrupted; finished images are kept in {}, and the same command goes on from there",
            self.arguments.journal.display()
        ));
        let origins = [Origin::float(self.float), Origin::integers(self.model)?];
        let [of_float, of_integers] = &origins;
        let float = keeper.images(&self.floats, sampling.seed, of_float, "float")?;
        let integers = keeper.images(&self.integers, sampling.seed, of_integers, "integers")?;
        let psnr = float
            .iter()
            .zip(&integers)
            .map(|(f, i)| psnr(f, i))
            .collect::<Result<Vec<_>>>()?;
        Ok(Report {
            run: Run {
                images: count,
                first: sampling.first,
                seed: sampling.seed,
                options: self.integers.options(),
                model_sha256: of_integers.sha256().to_owned(),
                float_sha256: of_float.sha256().to_owned(),
                sha256_float: diffuser::sha256(&float),
                sha256_integers: diffuser::sha256(&integers),
            },
            paired: Paired::new(psnr),
            steps,
        })
    }

    /// The error at each step, on the first images.
    fn step_errors(&self) -> Result<Option<Comparison>> {
        let count = self.arguments.step_images.min(self.arguments.images) as usize;
        if count == 0 {
            return Ok(None);
        }
        let watcher = Watcher(self.ui.bar("each step"));
        let generator = self.integers.clone().count(count);
        generator.compare(self.float, &watcher).map(Some)
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
