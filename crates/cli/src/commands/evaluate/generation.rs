//! Images that are made once and kept.

use std::num::NonZero;
use std::path::Path;

use diffuser::{FloatModel, Generator, Image, Model, Profile, Progress, Result, SamplerOptions};
use diffuser_evaluate::{Journal, Opened, sha256_hex};
use serde_json::json;

use super::outside;
use crate::ui::{Bar, Ui};

/// Images that one thread has under way; an interrupt loses no more than these. Several, because what
/// a time step and a class need is prepared once for all of them.
const IMAGES_PER_THREAD: usize = 8;

/// What images are made of: everything that a pixel depends on but sampler, seed and class.
pub struct Origin {
    arithmetic: &'static str,
    sha256: String,
}

impl Origin {
    /// A quantised model; its file says everything.
    pub fn integers(model: &Model) -> Result<Self> {
        Ok(Self {
            arithmetic: "integers",
            sha256: sha256_hex(&model.to_bytes()?),
        })
    }

    /// A float model: weights, configuration and schedule.
    pub fn float(model: &FloatModel) -> Self {
        let Profile {
            config, scheduler, ..
        } = model.profile();
        let parts = json!([model.source_sha256(), config, scheduler]);
        Self {
            arithmetic: "float",
            sha256: sha256_hex(parts.to_string().as_bytes()),
        }
    }

    /// The digest, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }
}

/// Where images are kept, and how many are wanted.
#[derive(Clone, Copy)]
pub struct Keeper<'a> {
    /// Folder of the journals.
    pub folder: &'a Path,
    /// Index of the first image.
    pub first: u64,
    /// Number of images.
    pub count: usize,
    /// Threads; 0 for as many as there are processors.
    pub threads: usize,
    /// Whom to tell.
    pub ui: &'a Ui,
}

/// Images, and the key that says what they are.
pub struct Kept {
    /// In the order of their numbers.
    pub images: Vec<Image>,
    /// Key of their journal.
    pub key: String,
}

impl Keeper<'_> {
    /// The images of `generator` under `seed`: from the journal as far as they are there, else made
    /// now and added to it.
    pub fn images(
        &self,
        generator: &Generator<'_>,
        seed: u64,
        origin: &Origin,
        title: &'static str,
    ) -> Result<Kept> {
        let [height, width, channels] = generator.profile().sample_shape();
        let options: SamplerOptions = generator.options();
        let key = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "arithmetic": origin.arithmetic,
            "model": origin.sha256,
            "sampler": options,
            "seed": seed,
            "classes": generator.class_cycle()?,
            "shape": [height, width, channels],
        })
        .to_string();
        let waiting = || {
            self.ui
                .warn("another process is making the same images; waiting for it");
        };
        let opened = Journal::open(
            self.folder,
            "images",
            &key,
            height * width * channels,
            &waiting,
        );
        let Opened {
            mut journal,
            removed_bytes,
        } = opened.map_err(outside)?;
        if removed_bytes > 0 {
            self.ui.note(&format!(
                "{removed_bytes} bytes at the end of the journal are no whole images; they are made again"
            ));
        }
        let wanted = self.first..self.first + self.count as u64;
        let missing = journal.missing(wanted.clone());
        let steps = u64::from(options.steps);
        let mut watcher = Watcher {
            bar: self.ui.bar(title),
            before: self.count as u64 * steps - missing.len() as u64 * steps,
            total: self.count as u64 * steps,
        };
        for (first, count) in batches(&missing, self.threads) {
            let some = generator.clone().seed(seed).first(first).count(count);
            let made = some.run_with(&watcher)?;
            let records = (first..).zip(made.images.iter().map(|i| i.pixels().to_vec()));
            journal.append(records).map_err(outside)?;
            watcher.before += count as u64 * steps;
        }
        let images = wanted.map(|k| {
            let pixels = journal.get(k).expect("made above").to_vec();
            Image::new(width, height, channels, pixels)
        });
        Ok(Kept {
            images: images.collect::<Result<_>>()?,
            key,
        })
    }
}

/// Runs of consecutive indices, as first index and length, none longer than can be under way at once.
fn batches(missing: &[u64], threads: usize) -> Vec<(u64, usize)> {
    let threads = match threads {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get),
        given => given,
    };
    missing
        .chunk_by(|a, b| a + 1 == *b)
        .flat_map(|run| run.chunks(IMAGES_PER_THREAD * threads))
        .map(|batch| (batch[0], batch.len()))
        .collect()
}

/// Moves the bar; batches follow each other.
struct Watcher {
    bar: Bar,
    before: u64,
    total: u64,
}

impl Progress for Watcher {
    fn evaluated(&self, done: u64, _: u64) {
        self.bar.set(self.before + done, self.total);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_consecutive_and_bounded() {
        assert_eq!(
            batches(&[3, 4, 5, 9, 10], 1),
            [(3, 3), (9, 2)],
            "a gap ends a batch"
        );
        let all: Vec<u64> = (0..20).collect();
        assert_eq!(batches(&all, 1), [(0, 8), (8, 8), (16, 4)]);
        assert_eq!(batches(&all, 2), [(0, 16), (16, 4)]);
        assert_eq!(batches(&[], 2), []);
    }
}
