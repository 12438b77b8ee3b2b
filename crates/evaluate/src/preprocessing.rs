//! What an extractor wants to be given, and which of its outputs are what.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::picture::Picture;
use crate::resize::Resize;

/// How pictures are presented to an extractor.
///
/// As JSON beside the file, for extractors of one's own:
///
/// ```json
/// {
///   "name": "mine",
///   "size": [224, 224],
///   "resize": "bicubic",
///   "mean": [123.675, 116.28, 103.53],
///   "deviation": [58.395, 57.12, 57.375],
///   "features": "feat",
///   "logits": "logits"
/// }
/// ```
///
/// The network is given N x 3 x height x width values `(v - mean) / deviation`, RGB, `v` of 0 to 255.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// What figures made with it are called.
    pub name: String,
    /// `[height, width]` of the network's input.
    pub size: [usize; 2],
    /// How pictures come to this size.
    pub resize: Resize,
    /// Taken off each channel.
    pub mean: [f32; 3],
    /// Divides each channel then.
    pub deviation: [f32; 3],
    /// Name of the output that holds the features; without it, the first output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<String>,
    /// Name of the output that holds class logits; without it there is no Inception score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logits: Option<String>,
}

/// Largest side of an extractor's input.
const LARGEST_SIDE: usize = 4096;

impl Preprocessing {
    /// Those that have a name.
    ///
    /// | name | size | resized as | values |
    /// | --- | --- | --- | --- |
    /// | `efficientnet-lite0` | 96 | clean-fid | (v - 127) / 128, outputs `feat` and `logits` |
    /// | `inception-v3` | 299 | pytorch-fid | 2 v / 255 - 1 |
    /// | `inception-v3-clean` | 299 | clean-fid | (v - 128) / 128 |
    /// | `inception-v3-tensorflow` | 299 | the original FID, torch-fidelity | (v - 128) / 128 |
    #[must_use]
    pub fn presets() -> [Self; 4] {
        let inception = |name: &str, resize, mean, deviation| Self {
            name: name.into(),
            size: [299; 2],
            resize,
            mean: [mean; 3],
            deviation: [deviation; 3],
            features: None,
            logits: None,
        };
        let efficientnet = Self {
            name: "efficientnet-lite0".into(),
            size: [96; 2],
            resize: Resize::Bicubic,
            mean: [127.0; 3],
            deviation: [128.0; 3],
            features: Some("feat".into()),
            logits: Some("logits".into()),
        };
        [
            efficientnet,
            inception("inception-v3", Resize::BilinearTorch, 127.5, 127.5),
            inception("inception-v3-clean", Resize::Bicubic, 128.0, 128.0),
            inception(
                "inception-v3-tensorflow",
                Resize::BilinearTensorflow1,
                128.0,
                128.0,
            ),
        ]
    }

    /// The preset of that name, or the JSON file.
    ///
    /// # Errors
    ///
    /// When it is neither, or the file is wrong.
    pub fn named(name: &Path) -> Result<Self> {
        let preset = Self::presets()
            .into_iter()
            .find(|p| Path::new(&p.name) == name);
        preset.map_or_else(|| Self::read(name), Ok)
    }

    /// Reads a JSON file.
    ///
    /// # Errors
    ///
    /// When it cannot be read or a value makes no sense.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let read: Self = serde_json::from_slice(&bytes)
            .map_err(|e| Error::file(path, format!("no description of preprocessing: {e}")))?;
        let sides = read.size.iter().all(|s| (1..=LARGEST_SIDE).contains(s));
        let finite = read
            .mean
            .iter()
            .chain(&read.deviation)
            .all(|v| v.is_finite());
        if !sides || !finite || read.deviation.contains(&0.0) {
            let reason =
                format!("expected sides of 1 to {LARGEST_SIDE}, and deviations other than 0");
            return Err(Error::file(path, reason));
        }
        Ok(read)
    }

    /// The network's input for one picture: 3 x height x width.
    #[must_use]
    pub fn input(&self, picture: &Picture) -> Vec<f32> {
        let mut planes = self.resize.planes(picture, self.size);
        let area = self.size[0] * self.size[1];
        for (c, plane) in planes.chunks_exact_mut(area).enumerate() {
            for v in plane {
                *v = (*v - self.mean[c]) / self.deviation[c];
            }
        }
        planes
    }
}
