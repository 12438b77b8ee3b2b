//! `scheduler/scheduler_config.json` as diffusers saves it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::SamplingError;
use super::fields::Fields;

/// Largest `num_train_timesteps` accepted.
pub const MAX_TRAIN_TIMESTEPS: u32 = 100_000;

/// How the noise grows with the training time step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BetaSchedule {
    /// Evenly spaced from `beta_start` to `beta_end` (DDPM, arXiv:2006.11239).
    Linear,
    /// Squares of evenly spaced square roots (latent diffusion, arXiv:2112.10752).
    ScaledLinear,
    /// From the squared cosine, each beta at most 0.999 (arXiv:2102.09672, eq. 17).
    #[serde(rename = "squaredcos_cap_v2")]
    SquaredCosine,
}

/// What the network's output stands for, with `x = sqrt(a) x0 + sqrt(1 - a) eps`, `a` alpha bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PredictionType {
    /// The noise `eps`.
    #[serde(rename = "epsilon")]
    Epsilon,
    /// `v = sqrt(a) eps - sqrt(1 - a) x0` (arXiv:2202.00512, section 4).
    #[serde(rename = "v_prediction")]
    Velocity,
    /// The image `x0`.
    #[serde(rename = "sample")]
    Sample,
}

/// Which of the training time steps are sampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spacing {
    /// Multiples of `T / steps`, rounded down, from zero (arXiv:2305.08891, table 2).
    Leading,
    /// Evenly spaced with both ends.
    Linspace,
    /// Evenly spaced downwards from the last.
    Trailing,
    /// Denser towards zero, `floor(c i^2)` with the last at `T - 1` (DDIM, arXiv:2010.02502,
    /// appendix D.2). Not in diffusers. Where two would coincide, the later moves up by one.
    Quadratic,
}

impl Spacing {
    /// Every spacing.
    pub const ALL: [Self; 4] = [
        Self::Leading,
        Self::Linspace,
        Self::Trailing,
        Self::Quadratic,
    ];

    /// Its name, as in diffusers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leading => "leading",
            Self::Linspace => "linspace",
            Self::Trailing => "trailing",
            Self::Quadratic => "quadratic",
        }
    }
}

impl fmt::Display for Spacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Spacing {
    type Err = SamplingError;

    fn from_str(name: &str) -> Result<Self, SamplingError> {
        Self::ALL
            .into_iter()
            .find(|s| s.name() == name)
            .ok_or_else(|| SamplingError::Setting {
                what: "spacing",
                value: format!("`{name}`"),
                expected: "`leading`, `linspace`, `trailing` or `quadratic`".into(),
            })
    }
}

/// Variance of the noise that DDPM adds (arXiv:2006.11239, section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variance {
    /// That of the posterior, `beta (1 - a_prev) / (1 - a)`.
    FixedSmall,
    /// `beta`.
    FixedLarge,
}

/// Where DPM-Solver++ ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinalSigma {
    /// At no noise.
    Zero,
    /// At the noise of the first training time step.
    SigmaMin,
}

/// A scheduler of diffusers, by its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchedulerClass {
    /// Ancestral sampling (arXiv:2006.11239).
    #[serde(rename = "DDPMScheduler")]
    Ddpm,
    /// Denoising diffusion implicit models (arXiv:2010.02502).
    #[serde(rename = "DDIMScheduler")]
    Ddim,
    /// DPM-Solver++ (arXiv:2211.01095), multistep.
    #[serde(rename = "DPMSolverMultistepScheduler")]
    DpmSolver,
}

/// A noise schedule and the settings of its samplers, named and meant as in diffusers.
///
/// Fields absent from the JSON have the defaults of the class they are read for. Whatever would
/// change the result and is not supported here is refused, never ignored. It serialises to the
/// same JSON, and reading that back makes the same checks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct SchedulerConfig {
    /// Scheduler that the model was saved with; the sampler unless another is asked for.
    #[serde(rename = "_class_name")]
    pub class: SchedulerClass,
    /// Training time steps `T`, in `1..=100_000`.
    pub num_train_timesteps: u32,
    /// Smallest beta, in `(0, 1)`; not used by the squared cosine.
    pub beta_start: f64,
    /// Largest beta, in `(0, 1)`; not used by the squared cosine.
    pub beta_end: f64,
    /// How betas lie between.
    pub beta_schedule: BetaSchedule,
    /// One beta in `(0, 1)` per training time step, instead of the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trained_betas: Option<Vec<f64>>,
    /// What the network predicts.
    pub prediction_type: PredictionType,
    /// Which time steps are sampled.
    pub timestep_spacing: Spacing,
    /// Added to the time steps of [`Spacing::Leading`].
    pub steps_offset: u32,
    /// Whether DDIM ends at no noise rather than that of the first training time step.
    pub set_alpha_to_one: bool,
    /// Whether DDPM and DDIM clip the predicted image.
    pub clip_sample: bool,
    /// Magnitude it is clipped to, positive.
    pub clip_sample_range: f64,
    /// Noise that DDPM adds.
    pub variance_type: Variance,
    /// Whether betas are rescaled so that the last time step is noise alone (arXiv:2305.08891).
    pub rescale_betas_zero_snr: bool,
    /// Order of DPM-Solver++, 1 or 2.
    pub solver_order: u32,
    /// Whether DPM-Solver++ ends in order 1 where it has fewer than 15 steps.
    pub lower_order_final: bool,
    /// Whether DPM-Solver++ always ends in order 1.
    pub euler_at_final: bool,
    /// Where DPM-Solver++ ends.
    pub final_sigmas_type: FinalSigma,
    /// Time steps with `ln(sqrt(a) / sqrt(1 - a))` below this are left out by DPM-Solver++.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lambda_min_clipped: Option<f64>,
}

impl Default for SchedulerConfig {
    /// What a U-Net saved alone is taken to be: DDPM with 1000 linear betas, predicting noise.
    fn default() -> Self {
        Self {
            class: SchedulerClass::Ddpm,
            num_train_timesteps: 1000,
            beta_start: 1e-4,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::Linear,
            trained_betas: None,
            prediction_type: PredictionType::Epsilon,
            timestep_spacing: Spacing::Leading,
            steps_offset: 0,
            set_alpha_to_one: true,
            clip_sample: true,
            clip_sample_range: 1.0,
            variance_type: Variance::FixedSmall,
            rescale_betas_zero_snr: false,
            solver_order: 2,
            lower_order_final: true,
            euler_at_final: false,
            final_sigmas_type: FinalSigma::Zero,
            lambda_min_clipped: None,
        }
    }
}

/// Fields that change nothing here, with what they steer where that is not plain.
const WITHOUT_EFFECT: [&str; 8] = [
    "dynamic_thresholding_ratio", // thresholding
    "sample_max_value",           // thresholding
    "flow_shift",                 // use_flow_sigmas
    "time_shift_type",            // use_dynamic_shifting
    "interpolation_type",         // Euler's schedulers
    "skip_prk_steps",             // PNDM
    "tensor_format",              // before diffusers 0.3
    "timestep_values",            // before diffusers 0.3
];

impl SchedulerConfig {
    /// Reads the text of `scheduler_config.json`.
    ///
    /// Python writes an infinite `lambda_min_clipped` as the bare word `-Infinity`, which is no
    /// JSON; it is understood.
    ///
    /// # Errors
    /// [`SamplingError::Json`] where the text is no JSON, and those of [`Self::from_value`].
    pub fn from_json(text: &str) -> Result<Self, SamplingError> {
        let value: Value = serde_json::from_str(&quote_python_numbers(text))
            .map_err(|e| SamplingError::Json(e.to_string()))?;
        Self::from_value(&value)
    }

    /// Reads the object in `scheduler_config.json`.
    ///
    /// # Errors
    /// [`SamplingError::Field`] with the field's name and value where it is not supported or
    /// impossible, [`SamplingError::Json`] where `value` is no object.
    pub fn from_value(value: &Value) -> Result<Self, SamplingError> {
        let Value::Object(object) = value else {
            return Err(SamplingError::Json("expected an object".into()));
        };
        Self::from_object(object)
    }

    fn from_object(object: &Map<String, Value>) -> Result<Self, SamplingError> {
        let mut fields = Fields::new(object);
        let default = Self::default();
        let class = fields.choice("_class_name", default.class)?;
        let solver = class == SchedulerClass::DpmSolver;
        let spacing = if solver {
            Spacing::Linspace
        } else {
            Spacing::Leading
        };
        let unit = |b: f64| b > 0.0 && b < 1.0;
        let in_unit = "a number between 0 and 1, both excluded";
        let steps = fields.integer("num_train_timesteps", 1000, 1..=MAX_TRAIN_TIMESTEPS)?;
        let config = Self {
            class,
            num_train_timesteps: steps,
            beta_start: fields.number("beta_start", default.beta_start, unit, in_unit)?,
            beta_end: fields.number("beta_end", default.beta_end, unit, in_unit)?,
            beta_schedule: fields.choice("beta_schedule", default.beta_schedule)?,
            trained_betas: fields.numbers("trained_betas", steps as usize, unit, in_unit)?,
            prediction_type: fields.choice("prediction_type", default.prediction_type)?,
            timestep_spacing: fields.choice("timestep_spacing", spacing)?,
            steps_offset: fields.integer("steps_offset", 0, 0..=MAX_TRAIN_TIMESTEPS)?,
            set_alpha_to_one: fields.flag("set_alpha_to_one", true)?,
            clip_sample: fields.flag("clip_sample", true)?,
            clip_sample_range: fields.number(
                "clip_sample_range",
                default.clip_sample_range,
                |r| r > 0.0 && r <= 1e6,
                "a number above 0 and at most 1000000",
            )?,
            variance_type: fields.choice("variance_type", default.variance_type)?,
            rescale_betas_zero_snr: fields.flag("rescale_betas_zero_snr", false)?,
            solver_order: fields.integer("solver_order", default.solver_order, 1..=2)?,
            lower_order_final: fields.flag("lower_order_final", default.lower_order_final)?,
            euler_at_final: fields.flag("euler_at_final", default.euler_at_final)?,
            final_sigmas_type: fields.choice("final_sigmas_type", default.final_sigmas_type)?,
            lambda_min_clipped: fields.lower_limit("lambda_min_clipped")?,
        };
        for (name, supported) in [
            ("thresholding", false),
            ("use_karras_sigmas", false),
            ("use_exponential_sigmas", false),
            ("use_beta_sigmas", false),
            ("use_lu_lambdas", false),
            ("use_flow_sigmas", false),
            ("use_dynamic_shifting", false),
            ("predict_epsilon", true), // before `prediction_type`
        ] {
            fields.only(name, &Value::Bool(supported))?;
        }
        fields.only("algorithm_type", &Value::from("dpmsolver++"))?;
        fields.only("solver_type", &Value::from("midpoint"))?;
        fields.finish(&WITHOUT_EFFECT)?;
        Ok(config)
    }
}

impl TryFrom<Value> for SchedulerConfig {
    type Error = SamplingError;

    fn try_from(value: Value) -> Result<Self, SamplingError> {
        Self::from_value(&value)
    }
}

/// Puts quotes around `Infinity`, `-Infinity` and `NaN` outside strings, so that a JSON parser
/// reads them as strings; the checks of each field decide what becomes of those.
fn quote_python_numbers(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"]
            .into_iter()
            .find(|w| rest.starts_with(w));
        let length = match word {
            Some(word) if !in_string => {
                quoted.extend(["\"", word, "\""]);
                rest = &rest[word.len()..];
                continue;
            }
            _ if c == '\\' && in_string => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => c.len_utf8(),
        };
        in_string ^= c == '"';
        quoted.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    quoted
}
