//! Statistics of the features of a set, saved so that the set need not be read again.
//!
//! A safetensors file of three F64 tensors: `count` (one value), `mean` (one a feature) and `comoment` (the lower
//! triangle, by rows, of the summed products of deviations from the mean). Its metadata says which extractor they
//! are of, and how it was given the images.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};
use crate::extractor::Extractor;

/// Number, mean and co-moments of features.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistics {
    /// Number of images.
    pub count: u64,
    /// Mean of each feature.
    pub mean: Vec<f64>,
    /// Lower triangle of the summed products of deviations, by rows.
    pub comoment: Vec<f64>,
}

/// What the file calls itself.
const FORMAT: &str = "diffuser statistics 1";

impl Statistics {
    /// The file's bytes, for features that `extractor` made of `source`.
    #[must_use]
    pub fn to_bytes(&self, extractor: &Extractor, source: &str) -> Vec<u8> {
        let raw = |values: &[f64]| {
            values
                .iter()
                .flat_map(|v| v.to_le_bytes())
                .collect::<Vec<_>>()
        };
        let parts = [
            ("count", raw(&[self.count as f64])),
            ("mean", raw(&self.mean)),
            ("comoment", raw(&self.comoment)),
        ];
        let views = parts.iter().map(|(name, bytes)| {
            let view = TensorView::new(Dtype::F64, vec![bytes.len() / 8], bytes);
            (*name, view.expect("as many bytes as the shape says"))
        });
        let mut metadata = identity(extractor);
        metadata.insert("format".into(), FORMAT.into());
        metadata.insert("source".into(), source.into());
        safetensors::serialize(views, Some(metadata)).expect("three tensors of known size")
    }

    /// Reads a file of statistics that `extractor` must have made.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is something else, or is of another extractor or preprocessing.
    pub fn read(path: &Path, extractor: &Extractor) -> Result<Self> {
        let bytes = fs::read(path).map_err(Error::io("read", path))?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| Error::file(path, e))?;
        let none = HashMap::new();
        let metadata = header.metadata().as_ref().unwrap_or(&none);
        if metadata.get("format").map(String::as_str) != Some(FORMAT) {
            return Err(Error::file(
                path,
                "no statistics; --save-statistics makes them",
            ));
        }
        for (what, ours) in identity(extractor) {
            let theirs = metadata.get(&what).map_or("", String::as_str);
            if theirs != ours {
                let reason = format!(
                    "statistics of features made otherwise: {what} is {theirs}, here it is {ours}"
                );
                return Err(Error::file(path, reason));
            }
        }
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| Error::file(path, e))?;
        let values = |name: &str| -> Result<Vec<f64>> {
            let tensor = tensors.tensor(name).map_err(|e| Error::file(path, e))?;
            if tensor.dtype() != Dtype::F64 {
                return Err(Error::file(path, format!("{name}: expected F64")));
            }
            let (chunks, _) = tensor.data().as_chunks::<8>();
            Ok(chunks.iter().map(|c| f64::from_le_bytes(*c)).collect())
        };
        match values("count")?[..] {
            [count] if count >= 0.0 && count.fract() == 0.0 => Ok(Self {
                count: count as u64,
                mean: values("mean")?,
                comoment: values("comoment")?,
            }),
            _ => Err(Error::file(path, "count: expected one whole number")),
        }
    }

    /// Whether `path` is a file of this kind, or of its container.
    #[must_use]
    pub fn is_at(path: &Path) -> bool {
        path.is_file() && path.extension().is_some_and(|e| e == "safetensors")
    }
}

/// What features depend on besides the images.
fn identity(extractor: &Extractor) -> HashMap<String, String> {
    let preprocessing = serde_json::to_string(extractor.preprocessing()).expect("plain values");
    HashMap::from([
        ("extractor".into(), extractor.sha256().into()),
        ("preprocessing".into(), preprocessing),
    ])
}
