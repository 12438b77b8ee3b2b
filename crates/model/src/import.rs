//! Reads a model folder as `diffusers` saves it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::build_graph::parameters;
use crate::config::UnetConfig;
use crate::error::{Error, clip};
use crate::weights::Weights;

/// Largest JSON file that is read, in bytes.
pub const MAX_JSON: u64 = 1 << 22;

/// File names of the weights, in the order of preference.
const WEIGHT_FILES: [&str; 2] = [
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
];

/// A model folder's content.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// The U-Net's configuration.
    pub config: UnetConfig,
    /// The U-Net's weights, with the SHA-256 of their file.
    pub weights: Weights,
    /// `scheduler_config.json` as it stands; `None` for a bare U-Net.
    pub scheduler: Option<Value>,
    /// Names of the classes by index, from `id2label` of `model_index.json`; empty if there are none,
    /// never more than the configuration has classes.
    pub class_names: Vec<String>,
}

impl Pipeline {
    /// Reads a folder of one of three layouts:
    ///
    /// - a pipeline: `model_index.json`, `unet/config.json`, `unet/diffusion_pytorch_model.safetensors`,
    ///   `scheduler/scheduler_config.json`;
    /// - a flat pipeline: `config.json`, the weights and `scheduler_config.json` side by side;
    /// - a bare U-Net: `config.json` and the weights.
    ///
    /// # Errors
    /// A file that is missing or cannot be read; a configuration that [`UnetConfig`] or
    /// [`crate::build_graph`] refuses; weights that [`Weights::load`] refuses; class names that do not fit the
    /// configuration. Each names the file.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let index = read_optional_json(&folder.join("model_index.json"))?;
        let (unet, scheduler) = match &index {
            _ if folder.join("unet").is_dir() => (
                folder.join("unet"),
                folder.join("scheduler/scheduler_config.json"),
            ),
            _ => (folder.to_owned(), folder.join("scheduler_config.json")),
        };
        let config_file = unet.join("config.json");
        let config = UnetConfig::from_value(&read_json(&config_file)?)
            .map_err(|e| e.in_file(&config_file))?;
        let expected = parameters(&config).map_err(|e| e.in_file(&config_file))?;

        // an index that names a scheduler promises its file
        let promised = index
            .as_ref()
            .is_some_and(|i| i.get("scheduler").is_some_and(|s| !s.is_null()));
        let scheduler = if promised {
            Some(read_json(&scheduler)?)
        } else {
            read_optional_json(&scheduler)?
        };
        let class_names = match &index {
            Some(index) => class_names(index, &config)
                .map_err(|e| e.in_file(&folder.join("model_index.json")))?,
            None => Vec::new(),
        };

        let file = weight_file(&unet)?;
        let weights = Weights::load(&file, &expected)?;
        Ok(Pipeline {
            config,
            weights,
            scheduler,
            class_names,
        })
    }
}

/// The weight file of a U-Net's folder.
fn weight_file(unet: &Path) -> Result<PathBuf, Error> {
    if let Some(found) = WEIGHT_FILES
        .iter()
        .map(|name| unet.join(name))
        .find(|f| f.is_file())
    {
        return Ok(found);
    }
    let has = |name: &str| unet.join(name).is_file();
    let text = if has("diffusion_pytorch_model.safetensors.index.json") {
        "weights in several files are not supported; save them with a larger max_shard_size"
    } else if has("diffusion_pytorch_model.bin") {
        "weights are a pickle (.bin), which can run code when read; save them with safe_serialization=True"
    } else {
        "no diffusion_pytorch_model.safetensors here"
    };
    Err(Error::Invalid(text.into()).in_file(unet))
}

/// Class names in order of their index.
fn class_names(index: &Value, config: &UnetConfig) -> Result<Vec<String>, Error> {
    let labels = match index.get("id2label") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Object(labels)) => labels,
        Some(other) => {
            return Err(Error::field(
                "id2label",
                other,
                "an object of class numbers and names",
            ));
        }
    };
    let classes = config.num_class_embeds.unwrap_or(0);
    if labels.len() > classes {
        let value = format!("{} names", labels.len());
        return Err(Error::field(
            "id2label",
            value,
            format!("at most {classes}, as `num_class_embeds` says"),
        ));
    }
    (0..labels.len())
        .map(|i| match labels.get(&i.to_string()) {
            Some(Value::String(name)) => Ok(name.clone()),
            Some(other) => Err(Error::field(&format!("id2label.{i}"), other, "a name")),
            None => {
                let expected = format!("a name for {i}, as it has {} names", labels.len());
                Err(Error::field("id2label", "incomplete", expected))
            }
        })
        .collect()
}

fn read_optional_json(path: &Path) -> Result<Option<Value>, Error> {
    if path.exists() {
        read_json(path).map(Some)
    } else {
        Ok(None)
    }
}

fn read_json(path: &Path) -> Result<Value, Error> {
    let read = || {
        let mut text = Vec::new();
        File::open(path)?
            .take(MAX_JSON + 1)
            .read_to_end(&mut text)?;
        Ok(text)
    };
    let text = read().map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    let parse = || {
        if text.len() as u64 > MAX_JSON {
            return Err(Error::Invalid(format!("longer than {MAX_JSON} bytes")));
        }
        let not_json =
            |e: serde_json::Error| Error::Invalid(format!("not JSON: {}", clip(&e.to_string())));
        match serde_json::from_slice(&text).map_err(not_json)? {
            object @ Value::Object(_) => Ok(object),
            _ => Err(Error::Invalid("not a JSON object".into())),
        }
    };
    parse().map_err(|e: Error| e.in_file(path))
}
