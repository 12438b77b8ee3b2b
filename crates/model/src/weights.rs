//! Weights of a U-Net from a `safetensors` file, checked against what the network needs.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::build_graph::Parameter;
use crate::error::{Error, clip};

/// Largest `safetensors` header that is read, in bytes; a large U-Net's has about 100 KiB.
pub const MAX_HEADER: u64 = 1 << 24;

/// One tensor, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Values; as many as the product of the shape; all finite.
    pub data: Vec<f32>,
}

/// All weights of a network by the names that `diffusers` gives them.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
    sha256: Option<[u8; 32]>,
}

impl Weights {
    /// Reads a `safetensors` file of `f32`, `f16` or `bf16` values.
    ///
    /// The file holds exactly the tensors of `expected`, each of its shape; attention layers may have the
    /// names of `diffusers` before 0.12 (`query`, `key`, `value`, `proj_attn`).
    ///
    /// # Errors
    /// A file that cannot be read, is cut short or is no `safetensors`; a tensor that is missing, unknown, of
    /// another shape or type, or holds NaN or infinity. Each names the file and the tensor.
    pub fn load(path: &Path, expected: &[Parameter]) -> Result<Self, Error> {
        read_file(path, expected)
            .map_err(|source| Error::Read {
                path: path.to_owned(),
                source,
            })?
            .and_then(|bytes| Self::from_bytes(&bytes, expected))
            .map_err(|e| e.in_file(path))
    }

    /// As [`Weights::load`], from the bytes of such a file.
    ///
    /// # Errors
    /// As [`Weights::load`], without the file's name.
    pub fn from_bytes(bytes: &[u8], expected: &[Parameter]) -> Result<Self, Error> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        check_header(&bytes[..bytes.len().min(8)], length)?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| {
            Error::Invalid(format!("not a safetensors file: {}", clip(&e.to_string())))
        })?;
        let mut views = HashMap::new();
        for (name, view) in file.iter() {
            let name = modern_name(name);
            if views.contains_key(&name) {
                return Err(Error::tensor(
                    &name,
                    "stored under its old and its new name",
                ));
            }
            views.insert(name, view);
        }
        let mut tensors = BTreeMap::new();
        for parameter in expected {
            let view = views
                .remove(&parameter.name)
                .ok_or_else(|| missing(parameter))?;
            tensors.insert(parameter.name.clone(), read_tensor(&view, parameter)?);
        }
        if let Some(name) = views.keys().min() {
            return Err(extra(name));
        }
        Ok(Weights {
            tensors,
            sha256: Some(Sha256::digest(bytes).into()),
        })
    }

    /// Weights that come from no file, for example random ones.
    ///
    /// # Errors
    /// As [`Weights::from_bytes`].
    pub fn from_tensors(
        mut given: BTreeMap<String, Tensor>,
        expected: &[Parameter],
    ) -> Result<Self, Error> {
        let mut tensors = BTreeMap::new();
        for parameter in expected {
            let tensor = given
                .remove(&parameter.name)
                .ok_or_else(|| missing(parameter))?;
            check_shape(&tensor.shape, parameter)?;
            if tensor.data.len() != parameter.count() {
                let problem = format!(
                    "holds {} values, expected {}",
                    tensor.data.len(),
                    parameter.count()
                );
                return Err(Error::tensor(&parameter.name, problem));
            }
            check_finite(&tensor.data, parameter)?;
            tensors.insert(parameter.name.clone(), tensor);
        }
        match given.keys().next() {
            Some(name) => Err(extra(name)),
            None => Ok(Weights {
                tensors,
                sha256: None,
            }),
        }
    }

    /// Random weights that keep activations near 1, for benchmarks and tests. The same seed gives the same
    /// weights on every machine.
    ///
    /// Matrices are scaled by their inputs; scales of normalisations lie around 1, all else around 0.
    #[must_use]
    pub fn random(expected: &[Parameter], seed: u64) -> Self {
        let mut state = seed;
        let mut uniform = || {
            // SplitMix64 (Steele, Lea, Flood 2014), the top 24 bits as a number of -1 to 1
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^= z >> 31;
            #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
            let value = (z >> 40) as f32 / (1 << 23) as f32 - 1.0;
            value
        };
        let mut tensor = |parameter: &Parameter| {
            let is_matrix = parameter.shape.len() > 1;
            let is_scale = parameter.name.contains("norm") && parameter.name.ends_with("weight");
            let start = if is_scale { 1.0 } else { 0.0 };
            let inputs: usize = parameter.shape.iter().skip(1).product();
            #[expect(clippy::cast_precision_loss, reason = "a rough scale")]
            let scale = match (is_matrix, parameter.name.starts_with("class_embedding")) {
                (false, _) => 0.3,
                (true, true) => 1.0,
                // uniform numbers of -1 to 1 have the variance 1/3
                (true, false) => (3.0 / inputs as f32).sqrt(),
            };
            let data = (0..parameter.count())
                .map(|_| start + scale * uniform())
                .collect();
            (
                parameter.name.clone(),
                Tensor {
                    shape: parameter.shape.clone(),
                    data,
                },
            )
        };
        let tensors = expected.iter().map(&mut tensor).collect();
        Weights {
            tensors,
            sha256: None,
        }
    }

    /// Whether these are exactly the weights that a network needs.
    ///
    /// # Errors
    /// The first that is missing, unknown or of another shape.
    pub fn check(&self, expected: &[Parameter]) -> Result<(), Error> {
        for parameter in expected {
            let tensor = self
                .tensors
                .get(&parameter.name)
                .ok_or_else(|| missing(parameter))?;
            check_shape(&tensor.shape, parameter)?;
        }
        let unknown = self
            .tensors
            .keys()
            .find(|&name| expected.iter().all(|p| p.name != *name));
        unknown.map_or(Ok(()), |name| Err(extra(name)))
    }

    /// The tensor of that name.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, name: &str) -> Result<&Tensor, Error> {
        self.tensors
            .get(name)
            .ok_or_else(|| Error::tensor(name, "missing"))
    }

    /// All tensors, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Number of values in all tensors.
    #[must_use]
    pub fn count(&self) -> usize {
        self.tensors.values().map(|t| t.data.len()).sum()
    }

    /// SHA-256 of the whole file that the weights came from; `None` if from none.
    #[must_use]
    pub fn sha256(&self) -> Option<[u8; 32]> {
        self.sha256
    }
}

/// The file's bytes, read only if its length fits its header and what is expected of it.
fn read_file(path: &Path, expected: &[Parameter]) -> std::io::Result<Result<Vec<u8>, Error>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut start = Vec::new();
    (&mut file).take(8).read_to_end(&mut start)?;
    if let Err(e) = check_header(&start, length) {
        return Ok(Err(e));
    }
    let count: usize = expected.iter().map(Parameter::count).sum();
    let most = 8 + MAX_HEADER + 4 * count as u64;
    if length > most {
        let text = format!(
            "{length} bytes long; the configuration has {count} parameters, at most {most} bytes"
        );
        return Ok(Err(Error::Invalid(text)));
    }
    let mut bytes = start;
    file.take(length - 8).read_to_end(&mut bytes)?;
    Ok(Ok(bytes))
}

/// Whether the first eight bytes, the header's length, fit a file of this length.
fn check_header(start: &[u8], length: u64) -> Result<(), Error> {
    let Ok(start) = <[u8; 8]>::try_from(start) else {
        let text = format!("not a safetensors file: {length} bytes long, expected at least 8");
        return Err(Error::Invalid(text));
    };
    let header = u64::from_le_bytes(start);
    let most = length.saturating_sub(8).min(MAX_HEADER);
    if header > most {
        return Err(Error::Invalid(format!(
            "not a safetensors file, or cut short: its header claims {header} bytes, expected at most {most}"
        )));
    }
    Ok(())
}

/// The name that `diffusers` gives a tensor today.
fn modern_name(name: &str) -> String {
    let renamed = || {
        let (module, kind) = name.rsplit_once('.')?;
        let (parent, layer) = module.rsplit_once('.')?;
        let new = match layer {
            "query" => "to_q",
            "key" => "to_k",
            "value" => "to_v",
            "proj_attn" => "to_out.0",
            _ => return None,
        };
        parent
            .contains("attentions.")
            .then(|| format!("{parent}.{new}.{kind}"))
    };
    renamed().unwrap_or_else(|| name.to_owned())
}

fn read_tensor(view: &TensorView, parameter: &Parameter) -> Result<Tensor, Error> {
    check_shape(view.shape(), parameter)?;
    let bytes = view.data();
    // chunks of exactly the width: the crate has checked that the data fit shape and type
    let data: Vec<f32> = match view.dtype() {
        Dtype::F32 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f32::from_le_bytes(b))
            .collect(),
        Dtype::F16 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f16::from_le_bytes(b).to_f32())
            .collect(),
        Dtype::BF16 => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| bf16::from_le_bytes(b).to_f32())
            .collect(),
        other => {
            let problem = format!("type {other:?}, expected F32, F16 or BF16");
            return Err(Error::tensor(&parameter.name, problem));
        }
    };
    check_finite(&data, parameter)?;
    Ok(Tensor {
        shape: parameter.shape.clone(),
        data,
    })
}

fn missing(parameter: &Parameter) -> Error {
    Error::tensor(
        &parameter.name,
        format!("missing, expected shape {:?}", parameter.shape),
    )
}

fn extra(name: &str) -> Error {
    Error::tensor(name, "unknown: the configuration has no place for it")
}

fn check_shape(shape: &[usize], parameter: &Parameter) -> Result<(), Error> {
    if shape == parameter.shape {
        return Ok(());
    }
    let given = clip(&format!("{shape:?}"));
    Err(Error::tensor(
        &parameter.name,
        format!("shape {given}, expected {:?}", parameter.shape),
    ))
}

fn check_finite(data: &[f32], parameter: &Parameter) -> Result<(), Error> {
    match data.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(i) => Err(Error::tensor(
            &parameter.name,
            format!("value {i} is {}, expected a finite number", data[i]),
        )),
    }
}
