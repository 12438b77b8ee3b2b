//! A network that makes features of pictures: an ONNX file, run in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rten::{Model, NodeId, RunOptions, ThreadPool, Value};
use rten_tensor::NdTensorView;
use rten_tensor::prelude::*;

use crate::error::{Error, Result};
use crate::picture::Picture;
use crate::preprocessing::Preprocessing;
use crate::{onnx, sha256_hex};

/// An extractor, ready to run.
pub struct Extractor {
    model: Model,
    path: PathBuf,
    input: NodeId,
    /// Features, and class logits if there are any.
    outputs: Vec<NodeId>,
    preprocessing: Preprocessing,
    sha256: String,
    dim: usize,
    classes: usize,
}

impl Extractor {
    /// Opens `path` and runs it once, to learn how much it gives.
    ///
    /// # Errors
    ///
    /// When it cannot be read or run, or has no output of a name that `preprocessing` states.
    pub fn open(path: &Path, preprocessing: Preprocessing) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(Error::io("read", path))?;
        let sha256 = sha256_hex(&bytes);
        let bytes = onnx::complete(&bytes).unwrap_or(bytes);
        let refused = |e: &dyn std::fmt::Display| {
            Error::file(path, format!("no ONNX file that can be run: {e}"))
        };
        let model = Model::load(bytes).map_err(|e| refused(&e))?;
        let &[input] = model.input_ids() else {
            return Err(refused(&format!(
                "{} inputs, expected one",
                model.input_ids().len()
            )));
        };
        let output = |name: &str| {
            let id = model.find_node(name);
            id.ok_or_else(|| refused(&format!("no output is called {name}")))
        };
        let features = match &preprocessing.features {
            Some(name) => output(name)?,
            None => *model
                .output_ids()
                .first()
                .ok_or_else(|| refused(&"no outputs"))?,
        };
        let logits = preprocessing.logits.as_deref().map(output).transpose()?;
        let mut extractor = Self {
            model,
            path: path.to_path_buf(),
            input,
            outputs: [features].into_iter().chain(logits).collect(),
            preprocessing,
            sha256,
            dim: 0,
            classes: 0,
        };
        let [height, width] = extractor.preprocessing.size;
        let black = Picture::new(width, height, 1, &vec![0; width * height]).expect("a size");
        let outputs = extractor.outputs(&black, &single_thread())?;
        extractor.dim = outputs[0].len();
        extractor.classes = outputs.get(1).map_or(0, Vec::len);
        Ok(extractor)
    }

    /// Number of features of a picture.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Number of class logits of a picture; 0 without.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// SHA-256 of the file.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// What pictures go through before the network.
    #[must_use]
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// Features of each picture, with its class logits after them: [`dim`](Self::dim) +
    /// [`classes`](Self::classes) values. A row depends on its picture alone.
    ///
    /// # Errors
    ///
    /// When the network fails or gives values that are not finite.
    pub fn rows(&self, pictures: &[Picture], threads: usize) -> Result<Vec<Vec<f32>>> {
        let next = AtomicUsize::new(0);
        // Each picture by itself on one thread: in a batch, or with more, the last bits differ.
        let work = || {
            let pool = single_thread();
            let mut done = Vec::new();
            loop {
                let k = next.fetch_add(1, Ordering::Relaxed);
                let Some(picture) = pictures.get(k) else {
                    return Ok(done);
                };
                done.push((k, self.outputs(picture, &pool)?.concat()));
            }
        };
        let parts: Vec<Result<Vec<_>>> = std::thread::scope(|scope| {
            let threads = threads.clamp(1, pictures.len().max(1));
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            workers
                .into_iter()
                .map(|w| w.join().unwrap_or_else(|p| std::panic::resume_unwind(p)))
                .collect()
        });
        let mut rows: Vec<_> = parts.into_iter().collect::<Result<Vec<_>>>()?.concat();
        rows.sort_unstable_by_key(|(k, _)| *k);
        Ok(rows.into_iter().map(|(_, row)| row).collect())
    }

    fn outputs(&self, picture: &Picture, pool: &Arc<ThreadPool>) -> Result<Vec<Vec<f32>>> {
        let refused = |e: &dyn std::fmt::Display| {
            Error::file(&self.path, format!("the network cannot be run: {e}"))
        };
        let [height, width] = self.preprocessing.size;
        let input = self.preprocessing.input(picture);
        let input = NdTensorView::from_data([1, 3, height, width], &input[..]);
        let options = RunOptions::default().with_thread_pool(Some(Arc::clone(pool)));
        let outputs = self
            .model
            .run(
                vec![(self.input, input.into())],
                &self.outputs,
                Some(options),
            )
            .map_err(|e| refused(&e))?;
        outputs
            .into_iter()
            .map(|value| {
                let Value::FloatTensor(tensor) = value else {
                    return Err(refused(&"an output is no F32 tensor"));
                };
                let values = tensor.to_vec();
                match values.iter().all(|v| v.is_finite()) {
                    _ if values.is_empty() => Err(refused(&"an output is empty")),
                    true => Ok(values),
                    false => Err(refused(&"an output is infinite or not a number")),
                }
            })
            .collect()
    }
}

fn single_thread() -> Arc<ThreadPool> {
    Arc::new(ThreadPool::with_num_threads(1))
}
