//! A calibration that was interrupted goes on where it was saved, and gives the same result.
//!
//! The file is for this program alone, on this machine: safetensors, little-endian, with all that a
//! calibration depends on as text in its metadata. Another calibration's file is refused.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use diffuser_model::graph::Graph;
use diffuser_model::import::Pipeline;
use diffuser_model::sampling::SchedulerConfig;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, View};

use crate::calibrate::{CalibrationSettings, Calibrator};
use crate::statistics::{Histogram, Statistics};

/// The metadata's one key.
const KEY: &str = "diffuser-calibration";

/// Why an unfinished calibration could not be saved or taken up.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {what}")]
pub struct ResumeError {
    path: String,
    what: String,
}

impl ResumeError {
    fn new(path: &Path, what: impl std::fmt::Display) -> Self {
        Self {
            path: path.display().to_string(),
            what: what.to_string(),
        }
    }
}

/// All that a calibration depends on: the first line for people.
pub(crate) fn identity(
    pipeline: &Pipeline,
    scheduler: &SchedulerConfig,
    settings: CalibrationSettings,
) -> String {
    let weights: String = match pipeline.weights.sha256() {
        Some(hash) => hash.iter().map(|b| format!("{b:02x}")).collect(),
        None => "unknown".into(),
    };
    format!(
        "{} in {} steps, {} images, seed {}, rounding {}, weights with sha256 {weights}\n{}\n{:?}\n{:?}\n{scheduler:?}",
        settings.sampler,
        settings.steps,
        settings.images,
        settings.seed,
        settings.rounding,
        env!("CARGO_PKG_VERSION"),
        pipeline.config,
        settings.rewrites,
    )
}

/// Numbers on their way to the file; each array becomes bytes only when it is written.
enum Array<'a> {
    Count(Vec<u64>),
    Single(Vec<f32>),
    Double(&'a [f64]),
}

struct Shaped<'a>(Array<'a>, [usize; 1]);

impl<'a> Shaped<'a> {
    fn new(array: Array<'a>) -> Self {
        let length = match &array {
            Array::Count(v) => v.len(),
            Array::Single(v) => v.len(),
            Array::Double(v) => v.len(),
        };
        Self(array, [length])
    }
}

impl View for &Shaped<'_> {
    fn dtype(&self) -> Dtype {
        match self.0 {
            Array::Count(_) => Dtype::U64,
            Array::Single(_) => Dtype::F32,
            Array::Double(_) => Dtype::F64,
        }
    }
    fn shape(&self) -> &[usize] {
        &self.1
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(match &self.0 {
            Array::Count(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Array::Single(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Array::Double(v) => v.iter().flat_map(|x| x.to_le_bytes()).collect(),
        })
    }
    fn data_len(&self) -> usize {
        match &self.0 {
            Array::Single(v) => 4 * v.len(),
            Array::Count(_) | Array::Double(_) => 8 * self.1[0],
        }
    }
}

/// Where the file is written before it takes its place.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".partial");
    name.into()
}

/// Remove a calibration's file, if there is one.
///
/// # Errors
/// When there is one and it cannot be removed.
pub fn discard(path: &Path) -> Result<(), ResumeError> {
    for path in [&partial(path), path] {
        match fs::remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(ResumeError::new(path, format!("cannot be removed: {e}")));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Calibrator {
    /// Write everything to a file, which appears whole or not at all.
    ///
    /// # Errors
    /// When writing fails; an older file is then as it was.
    pub fn save(&self, path: &Path) -> Result<(), ResumeError> {
        let mut arrays: Vec<(String, Shaped)> = vec![];
        let mut put = |name: String, array| arrays.push((name, Shaped::new(array)));
        for (i, image) in self.images.iter().enumerate() {
            put(format!("image.{i}.state"), Array::Double(&image.state));
            put(format!("image.{i}.x0"), Array::Double(&image.x0));
        }
        for (i, row) in self.rows.iter().enumerate() {
            let lengths = (row.iter().map(|s| s.histogram.bins.len() as u64)).collect();
            let extremes = row.iter().flat_map(|s| [s.min, s.max]).collect();
            let bins = row.iter().flat_map(|s| &s.histogram.bins);
            let bins = bins.flat_map(|&(n, count)| [n.into(), count]).collect();
            put(format!("row.{i}.lengths"), Array::Count(lengths));
            put(format!("row.{i}.extremes"), Array::Single(extremes));
            put(format!("row.{i}.bins"), Array::Single(bins));
        }
        let states = self.states.iter().flat_map(|s| &s.values);
        put("states".into(), Array::Single(states.copied().collect()));
        let parts = self.inputs.iter().flat_map(|inputs| inputs.parts());
        for (i, part) in parts.enumerate() {
            let (count, sums, products) = part.moments.raw();
            put(format!("part.{i}.count"), Array::Count(vec![count]));
            put(format!("part.{i}.sums"), Array::Double(sums));
            put(format!("part.{i}.products"), Array::Double(products));
        }
        let info = HashMap::from([(KEY.to_owned(), self.identity.clone())]);
        let views = arrays.iter().map(|(name, array)| (name.as_str(), array));
        let unfinished = partial(path);
        let problem =
            |e: &dyn std::fmt::Display| ResumeError::new(path, format!("cannot be written: {e}"));
        let written = safetensors::serialize_to_file(views, Some(info), &unfinished)
            .map_err(|e| problem(&e))
            .and_then(|()| {
                File::open(&unfinished)
                    .and_then(|file| file.sync_all())
                    .and_then(|()| fs::rename(&unfinished, path))
                    .map_err(|e| problem(&e))
            });
        if written.is_err() {
            // The disk is full, perhaps: what is there of it is of no use.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    /// Go on from a file that [`Calibrator::save`] wrote; `false` when there is none. To be called on a calibrator
    /// that has done nothing yet.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or belongs to another model or other settings.
    pub fn resume(&mut self, path: &Path) -> Result<bool, ResumeError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(ResumeError::new(path, e)),
        };
        let damaged = |what: &dyn std::fmt::Display| {
            let advice = "remove it to calibrate from the start";
            ResumeError::new(path, format!("not a whole calibration ({what}); {advice}"))
        };
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|e| damaged(&e))?;
        let found = (header.metadata().as_ref())
            .and_then(|m| m.get(KEY))
            .ok_or_else(|| damaged(&format!("no `{KEY}` in its metadata")))?;
        if *found != self.identity {
            let [theirs, ours] = [found, &self.identity].map(|s| s.lines().next().unwrap_or(""));
            let ours = match ours == theirs {
                true => "the same with another configuration, schedule or version",
                false => ours,
            };
            return Err(ResumeError::new(
                path,
                format!(
                    "an unfinished calibration of {theirs}; asked for is {ours}; remove the file to start anew"
                ),
            ));
        }
        let arrays = SafeTensors::deserialize(&bytes).map_err(|e| damaged(&e))?;
        self.fill(&Stored(&arrays))
            .map_err(|name| damaged(&format!("`{name}` is missing or of another size")))?;
        Ok(true)
    }

    fn fill(&mut self, stored: &Stored) -> Result<(), String> {
        let tensors = self.graph().tensors.len();
        for (i, image) in self.images.iter_mut().enumerate() {
            for (name, values) in [("state", &mut image.state), ("x0", &mut image.x0)] {
                *values = stored.doubles(&format!("image.{i}.{name}"), Some(values.len()))?;
            }
        }
        let steps = self.done().1;
        for i in 0..steps {
            let name = format!("row.{i}.lengths");
            if !stored.has(&name) {
                break;
            }
            let lengths = stored.counts(&name, tensors)?;
            let extremes = stored.singles(&format!("row.{i}.extremes"), Some(2 * tensors))?;
            let bins = stored.singles(&format!("row.{i}.bins"), None)?;
            let mut left = bins.as_slice();
            let row: Option<Vec<Statistics>> = (lengths.iter().zip(extremes.chunks_exact(2)))
                .map(|(&length, extremes)| {
                    let length = usize::try_from(length).ok()?.checked_mul(2)?;
                    let (bins, rest) = left.split_at_checked(length)?;
                    left = rest;
                    let bins = bins.chunks_exact(2).map(|b| (b[0] as i16, b[1]));
                    Some(Statistics {
                        min: extremes[0],
                        max: extremes[1],
                        histogram: Histogram {
                            bins: bins.collect(),
                        },
                    })
                })
                .collect();
            self.rows.push(row.ok_or(format!("row.{i}.bins"))?);
        }
        let length = self.graph().tensors[Graph::INPUT].len();
        let kept = (0..self.rows.len()).flat_map(|i| self.kept(i).map(move |k| (i, k)));
        let kept: Vec<_> = kept.collect();
        let values = stored.singles("states", Some(kept.len() * length))?;
        let states = kept.into_iter().zip(values.chunks_exact(length));
        let states = states.map(|((i, k), values)| self.state(i, k, values.to_vec()));
        self.states = states.collect();
        let parts = self.inputs.iter_mut().flat_map(|inputs| inputs.parts_mut());
        for (i, part) in parts.enumerate() {
            let count = stored.counts(&format!("part.{i}.count"), 1)?[0];
            let sums = stored.doubles(&format!("part.{i}.sums"), None)?;
            let name = format!("part.{i}.products");
            let products = stored.doubles(&name, None)?;
            part.moments.restore(count, sums, products).ok_or(name)?;
        }
        Ok(())
    }
}

/// Arrays of a file, by name; errors are the name of what is not there as it should be.
struct Stored<'a>(&'a SafeTensors<'a>);

impl Stored<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.tensor(name).is_ok()
    }

    fn get(&self, name: &str, dtype: Dtype, length: Option<usize>) -> Result<&[u8], String> {
        let view = self.0.tensor(name).map_err(|_| name.to_owned())?;
        let [n] = view.shape() else {
            return Err(name.to_owned());
        };
        if view.dtype() != dtype || length.is_some_and(|l| l != *n) {
            return Err(name.to_owned());
        }
        Ok(view.data())
    }

    fn counts(&self, name: &str, length: usize) -> Result<Vec<u64>, String> {
        let bytes = self.get(name, Dtype::U64, Some(length))?;
        Ok(bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| u64::from_le_bytes(b))
            .collect())
    }

    fn singles(&self, name: &str, length: Option<usize>) -> Result<Vec<f32>, String> {
        let bytes = self.get(name, Dtype::F32, length)?;
        Ok(bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f32::from_le_bytes(b))
            .collect())
    }

    fn doubles(&self, name: &str, length: Option<usize>) -> Result<Vec<f64>, String> {
        let bytes = self.get(name, Dtype::F64, length)?;
        Ok(bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f64::from_le_bytes(b))
            .collect())
    }
}
