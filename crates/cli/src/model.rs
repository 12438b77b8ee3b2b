//! Models as users meet them: quantised ones, and the float ones that they are made of.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diffuser_model::build_graph::build_graph;
use diffuser_model::config::UnetConfig;
use diffuser_model::error::clip;
use diffuser_model::graph::Graph;
use diffuser_model::import::Pipeline;
use diffuser_model::quantised::QuantisedModel;
use diffuser_model::rewrite::Rewrites;
use diffuser_model::sampling::{Sampler, SchedulerConfig};
use diffuser_quant::{
    Calibration, CalibrationSettings, Calibrator, QuantiseError, Rounding, Weights,
    methods::{Groups, Residual},
    resume,
};

use crate::crew::thread_pool;
use crate::error::{Error, Result};
use crate::output::read_bounded;

/// The model that comes with this crate.
static EMBEDDED: &[u8] = include_bytes!("../assets/default.safetensors");

/// Longest quantised file that is read, in bytes.
const LONGEST: u64 = 4 << 30;

/// What [`Model::embedded`] calls itself in messages.
const EMBEDDED_NAME: &str = "embedded model";

/// What a quantised and a float model have in common: all that is not weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The network's configuration.
    pub config: UnetConfig,
    /// Its noise schedule and sampler.
    pub scheduler: SchedulerConfig,
    /// Names of the classes by number; may be shorter than [`Profile::classes`], or empty.
    pub class_names: Vec<String>,
}

impl Profile {
    fn new(
        name: &str,
        config: &UnetConfig,
        scheduler: Option<&serde_json::Value>,
        class_names: &[String],
    ) -> Result<Self> {
        let scheduler = match scheduler {
            Some(value) => SchedulerConfig::from_value(value)
                .map_err(|e| Error::model(format!("{name}: {e}")))?,
            None => SchedulerConfig::default(),
        };
        Ok(Self {
            config: config.clone(),
            scheduler,
            // they come from a file and go to a terminal
            class_names: class_names.iter().map(|n| clip(n)).collect(),
        })
    }

    /// Number of classes; 0 for a model without.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.config.num_class_embeds.unwrap_or(0)
    }

    /// Name of a class, or its number where it has none.
    #[must_use]
    pub fn class_label(&self, class: usize) -> String {
        match self.class_names.get(class) {
            Some(name) => name.clone(),
            None => class.to_string(),
        }
    }

    /// Number of the class with this name, or this number.
    ///
    /// # Errors
    ///
    /// When there is none; the message says which come close.
    pub fn class(&self, text: &str) -> Result<usize> {
        let classes = self.classes();
        if classes == 0 {
            return Err(Error::setting(format!(
                "class `{text}`: this model has no classes"
            )));
        }
        if let Some(class) = self.class_names.iter().position(|n| n == text) {
            return Ok(class);
        }
        match text.parse::<usize>() {
            Ok(class) if class < classes => return Ok(class),
            Ok(_) => {
                return Err(Error::setting(format!(
                    "class {text}: this model has classes 0 to {}",
                    classes - 1
                )));
            }
            Err(_) => {}
        }
        let wanted = text.to_lowercase();
        let near: Vec<_> = self
            .class_names
            .iter()
            .filter(|n| !wanted.is_empty() && n.to_lowercase().contains(&wanted))
            .take(3)
            .map(|n| format!("`{n}`"))
            .collect();
        let hint = match near.as_slice() {
            [] => String::new(),
            near => format!("; did you mean {}?", near.join(" or ")),
        };
        Err(Error::setting(format!(
            "unknown class `{text}`: this model has {classes} classes, which `diffuser info` lists{hint}"
        )))
    }

    /// Height, width and channels of a sample.
    #[must_use]
    pub fn sample_shape(&self) -> [usize; 3] {
        let [h, w] = self.config.sample_size;
        [h, w, self.config.in_channels]
    }

    /// The sampler that the model was saved with.
    #[must_use]
    pub fn default_sampler(&self) -> Sampler {
        Sampler::of(self.scheduler.class)
    }

    /// Number of steps where none is given: what is usual for the sampler, but no more than the
    /// model was trained with.
    #[must_use]
    pub fn default_steps(&self, sampler: Sampler) -> u32 {
        let usual = match sampler {
            Sampler::Ddpm => 1000,
            Sampler::Ddim => 50,
            Sampler::DpmSolver => 20,
        };
        usual.min(self.scheduler.num_train_timesteps)
    }

    /// Checks that a time step and a class are the model's, and that a class is given where one is
    /// needed.
    pub(crate) fn check(&self, timestep: u32, class: Option<usize>) -> Result<()> {
        let train = self.scheduler.num_train_timesteps;
        if timestep >= train {
            return Err(Error::setting(format!(
                "time step {timestep}: this model was trained with 0 to {}",
                train - 1
            )));
        }
        match (class, self.classes()) {
            (None, 0) => Ok(()),
            (Some(c), n) if c < n => Ok(()),
            (None, n) => Err(Error::setting(format!(
                "a class is needed: this model has {n} classes, which `diffuser info` lists"
            ))),
            (Some(c), n) => Err(Error::setting(format!(
                "class {c}: this model has {n} classes"
            ))),
        }
    }
}

/// A quantised model: generates in integers only.
///
/// ```
/// let model = diffuser::Model::embedded()?;
/// let [height, width, _] = model.profile().sample_shape();
/// assert!(height > 0 && width > 0);
/// # Ok::<(), diffuser::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Model {
    quantised: QuantisedModel,
    profile: Profile,
}

impl Model {
    /// The model that comes with this crate.
    ///
    /// # Errors
    ///
    /// Never, as the tests of this crate make sure.
    pub fn embedded() -> Result<Self> {
        Self::from_bytes(EMBEDDED, EMBEDDED_NAME)
    }

    /// Reads a file that `diffuser quantize` or [`Model::to_bytes`] made.
    ///
    /// # Errors
    ///
    /// When it cannot be read or is no such file.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = read_bounded(path, LONGEST)?;
        Self::from_bytes(&bytes, &path.display().to_string())
    }

    /// Reads the bytes of such a file; `name` stands in messages.
    ///
    /// # Errors
    ///
    /// When they are no such file.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self> {
        Self::from_quantised(QuantisedModel::from_bytes(bytes, name).map_err(Error::model)?)
    }

    /// Wraps a quantised model.
    ///
    /// # Errors
    ///
    /// When its scheduler is not usable.
    pub fn from_quantised(quantised: QuantisedModel) -> Result<Self> {
        let profile = Profile::new(
            "quantised model",
            &quantised.config,
            quantised.scheduler.as_ref(),
            &quantised.class_names,
        )?;
        Ok(Self { quantised, profile })
    }

    /// The model as a file.
    ///
    /// # Errors
    ///
    /// When it is too large for one.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        self.quantised.to_bytes().map_err(Error::model)
    }

    /// Everything about the model but its integers.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether these are the float model's weights, by the hash of their file.
    #[must_use]
    pub fn was_made_from(&self, float: &FloatModel) -> bool {
        float
            .source_sha256()
            .is_some_and(|s| s == self.quantised.provenance.source_sha256)
    }

    /// The integers.
    #[must_use]
    pub fn quantised(&self) -> &QuantisedModel {
        &self.quantised
    }
}

/// A model in floating point, as `diffusers` saves it: to be quantised, or compared with.
#[derive(Clone, Debug)]
pub struct FloatModel {
    pipeline: Pipeline,
    graph: Graph,
    profile: Profile,
}

/// Steps of the calibrating sampler by default.
pub const CALIBRATION_STEPS: u32 = 50;

/// Calibrating images by default.
pub const CALIBRATION_IMAGES: u32 = 32;

/// How to quantise.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantiseSettings {
    /// Name of the method that chooses the step sizes, one of [`crate::methods`].
    pub method: String,
    /// Width of the residual stream where it enters a product.
    pub residual: Residual,
    /// Rows of the tables that neighbouring time steps share, at most; one for each step where `None`.
    /// Only methods that tell time steps apart take a number.
    pub rows: Option<usize>,
    /// Sampler whose trajectories calibrate; the model's where `None`.
    pub sampler: Option<Sampler>,
    /// Number of its steps; no more than the model was trained with are made.
    pub steps: u32,
    /// Number of trajectories; classes take turns.
    pub images: u32,
    /// Seed of their noise.
    pub seed: u64,
    /// How weights become integers; as is best for their width where `None`.
    pub rounding: Option<Rounding>,
    /// How wide they are.
    pub weights: Weights,
    /// What the network is rewritten with.
    pub rewrites: Rewrites,
    /// Number of threads; 0 for as many as there are processors. The result does not depend on it.
    pub threads: usize,
    /// Where a calibration that takes long keeps what it has, and takes it up again after an interruption. The
    /// file is removed when the model is made, and refused when it belongs to other settings.
    pub unfinished: Option<PathBuf>,
}

/// What quantising is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The float network makes images; counted in its evaluations.
    Calibrating,
    /// Weights become integers; counted in weights.
    Rounding,
}

impl Default for QuantiseSettings {
    fn default() -> Self {
        Self {
            method: crate::methods()[0].name().into(),
            residual: Residual::default(),
            rows: None,
            sampler: None,
            steps: CALIBRATION_STEPS,
            images: CALIBRATION_IMAGES,
            seed: 0,
            rounding: None,
            weights: Weights::default(),
            rewrites: Rewrites::PHASES,
            threads: 0,
            unfinished: None,
        }
    }
}

/// Least time between two savings of an unfinished calibration.
const SAVED_EVERY: Duration = Duration::from_secs(20);

/// Savings take at most one part in this many of the time.
const SAVING_SHARE: u32 = 10;

impl FloatModel {
    /// Reads a pipeline's folder, or that of a U-Net alone.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is something that cannot be executed here.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        if !folder
            .metadata()
            .map_err(Error::io("read", folder))?
            .is_dir()
        {
            let reason = "not a folder; expected one as diffusers saves it";
            return Err(Error::file(folder, reason));
        }
        let markers = ["model_index.json", "config.json", "unet"];
        if !markers.iter().any(|name| folder.join(name).exists()) {
            let reason =
                "no model in this folder; expected `model_index.json` and `unet`, or `config.json`";
            return Err(Error::file(folder, reason));
        }
        let pipeline = Pipeline::load(folder).map_err(Error::model)?;
        let graph = build_graph(&pipeline.config).map_err(Error::model)?;
        let profile = Profile::new(
            &folder.display().to_string(),
            &pipeline.config,
            pipeline.scheduler.as_ref(),
            &pipeline.class_names,
        )?;
        Ok(Self {
            pipeline,
            graph,
            profile,
        })
    }

    /// Everything about the model but its weights.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// The network's layers.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// SHA-256 of the weights' file in hexadecimal.
    #[must_use]
    pub fn source_sha256(&self) -> Option<String> {
        let sha256 = self.pipeline.weights.sha256()?;
        Some(sha256.iter().map(|b| format!("{b:02x}")).collect())
    }

    /// Configuration and weights.
    #[must_use]
    pub fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Quantises. `progress` gets the stage, what of it is done, and all there will be.
    ///
    /// # Errors
    ///
    /// When the settings do not fit the model, or the model does not work.
    pub fn quantise(
        &self,
        settings: &QuantiseSettings,
        progress: &(dyn Fn(Stage, u64, u64) + Sync),
    ) -> Result<Model> {
        let method = diffuser_quant::methods::by_name(&settings.method).ok_or_else(|| {
            let names: Vec<_> = crate::methods().iter().map(|m| m.name()).collect();
            Error::setting(format!(
                "method `{}`; expected one of {}",
                settings.method,
                names.join(", ")
            ))
        })?;
        let method = match settings.rows {
            None => method,
            Some(rows) => method.grouped(Groups::Count(rows)).ok_or_else(|| {
                Error::setting(format!(
                    "method `{}` has one row for all time steps; a number of rows is for dynamic-step",
                    settings.method
                ))
            })?,
        };
        let calibration = CalibrationSettings {
            sampler: settings.sampler.unwrap_or(self.profile.default_sampler()),
            steps: settings
                .steps
                .min(self.profile.scheduler.num_train_timesteps),
            images: settings.images,
            seed: settings.seed,
            rounding: (settings.rounding).unwrap_or(settings.weights.best_rounding()),
            rewrites: settings.rewrites,
        };
        let quantised = thread_pool(settings.threads)?
            .install(|| {
                let unfinished = settings.unfinished.as_deref();
                let calibrate = |done, all| progress(Stage::Calibrating, done, all);
                let seen = self.calibrate(calibration, unfinished, &calibrate)?;
                let round = |done, all| progress(Stage::Rounding, done, all);
                diffuser_quant::quantise_weights(
                    &self.pipeline,
                    &self.profile.scheduler,
                    &seen,
                    method.as_ref(),
                    settings.residual,
                    settings.weights,
                    &round,
                )
            })
            .map_err(Error::model)?;
        if let Some(path) = &settings.unfinished {
            resume::discard(path).map_err(Error::model)?;
        }
        Model::from_quantised(quantised)
    }

    /// Calibrates, from where `unfinished` was left if it is there, and saves to it now and then.
    fn calibrate(
        &self,
        settings: CalibrationSettings,
        unfinished: Option<&Path>,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> std::result::Result<Calibration, QuantiseError> {
        let scheduler = &self.profile.scheduler;
        let mut calibrator = Calibrator::new(&self.pipeline, scheduler, settings)?;
        let Some(path) = unfinished else {
            while calibrator.step(progress)? {}
            return Ok(calibrator.finish());
        };
        calibrator.resume(path)?;
        let (mut saved, mut pause) = (Instant::now(), SAVED_EVERY);
        while calibrator.step(progress)? {
            if saved.elapsed() >= pause {
                let begun = Instant::now();
                calibrator.save(path)?;
                saved = Instant::now();
                pause = SAVED_EVERY.max((saved - begun) * SAVING_SHARE);
            }
        }
        Ok(calibrator.finish())
    }
}
