//! Features that are made once and kept.

use std::num::NonZero;
use std::path::{Path, PathBuf};

use diffuser::{Error, Image, Result};
use diffuser_evaluate::{Extractor, Journal, Opened, Picture, Preprocessing, sha256_hex};
use serde_json::json;

use super::outside;
use crate::args::ReferenceArgs;
use crate::ui::Ui;

/// Pictures that go through the extractor before their features are written.
const BATCH: usize = 64;

/// Digits of a picture's digest that stand before its features.
const DIGEST_DIGITS: usize = 16;

/// Name of the default extractor's file.
const DEFAULT_FILE: &str = "efficientnet-lite0-features.onnx";

/// Features of a set of pictures.
#[derive(Clone, Debug, Default)]
pub struct Set {
    /// One row of features a picture.
    pub features: Vec<f32>,
    /// One row of class logits a picture, where the extractor has them and they were asked for.
    pub logits: Vec<f32>,
}

/// An extractor and the place where its results are kept.
pub struct Features<'a> {
    /// What makes them.
    pub extractor: Extractor,
    /// Folder of the journals.
    pub folder: &'a Path,
    /// Threads; 0 for as many as there are processors.
    pub threads: usize,
    /// Whom to tell.
    pub ui: &'a Ui,
}

/// Opens the extractor that is named, or the default one if it has been installed.
pub fn open_extractor(arguments: &ReferenceArgs) -> Result<Extractor> {
    let path = match &arguments.extractor {
        Some(path) => path.clone(),
        None => installed().ok_or_else(|| {
            Error::setting(format!(
                "distances need a feature extractor: make {DEFAULT_FILE} with scripts/extractor.py, and name it with \
                 --extractor or put it into ~/.cache/diffuser"
            ))
        })?,
    };
    let beside = path.with_extension("json");
    let preprocessing = match &arguments.preprocessing {
        Some(name) => Preprocessing::named(name).map_err(|e| match e {
            diffuser_evaluate::Error::Io { .. } => {
                let presets = Preprocessing::presets().map(|p| p.name).join(", ");
                Error::setting(format!(
                    "--preprocessing {}: neither a file nor one of {presets}",
                    name.display()
                ))
            }
            other => outside(other),
        })?,
        None if beside.is_file() => Preprocessing::read(&beside).map_err(outside)?,
        None => Preprocessing::presets()[0].clone(),
    };
    Extractor::open(&path, preprocessing).map_err(outside)
}

fn installed() -> Option<PathBuf> {
    let home = |variable: &str| std::env::var_os(variable).filter(|v| !v.is_empty());
    let cache = home("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| home("HOME").map(|h| Path::new(&h).join(".cache")))?;
    Some(cache.join("diffuser").join(DEFAULT_FILE)).filter(|p| p.is_file())
}

/// What gives pictures, one after the other.
pub type Feed<'a> = dyn FnMut(&mut dyn FnMut(Picture) -> Result<()>) -> Result<()> + 'a;

impl Features<'_> {
    /// Features and logits of finished images, which `key` tells from all others.
    pub fn of_images(&self, images: &[Image], key: &str, title: &'static str) -> Result<Set> {
        let mut feed = |visit: &mut dyn FnMut(Picture) -> Result<()>| {
            images.iter().try_for_each(|i| {
                let picture = Picture::new(i.width(), i.height(), i.channels(), i.pixels());
                visit(picture.expect("as many pixels as the size says"))
            })
        };
        self.of(&mut feed, key, true, title, images.len() as u64)
    }

    /// Features of the pictures that `feed` gives, from the journal as far as they are there, else made now and
    /// added to it; with logits if asked for. `total`, if it is known, is how many will come.
    pub fn of(
        &self,
        feed: &mut Feed<'_>,
        key: &str,
        with_logits: bool,
        title: &'static str,
        total: u64,
    ) -> Result<Set> {
        let dim = self.extractor.dim();
        let classes = if with_logits {
            self.extractor.classes()
        } else {
            0
        };
        let key = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "extractor": self.extractor.sha256(),
            "preprocessing": self.extractor.preprocessing(),
            "logits": classes,
            "pictures": key,
        })
        .to_string();
        let waiting = || {
            self.ui
                .warn("another process is making the same features; waiting for it");
        };
        let payload = DIGEST_DIGITS + 4 * (dim + classes);
        let opened = Journal::open(self.folder, "features", &key, payload, &waiting);
        let Opened { journal, .. } = opened.map_err(outside)?;
        let mut keeping = Keeping {
            features: self,
            journal,
            width: dim + classes,
            set: Set::default(),
            next: 0,
        };
        let bar = self.ui.bar(title);
        let mut batch = Vec::with_capacity(BATCH);
        feed(&mut |picture| {
            batch.push(picture);
            if batch.len() == BATCH {
                keeping.add(&std::mem::take(&mut batch))?;
                bar.set(keeping.next, total.max(keeping.next));
            }
            Ok(())
        })?;
        keeping.add(&batch)?;
        Ok(keeping.set)
    }
}

/// A set that is being put together.
struct Keeping<'a> {
    features: &'a Features<'a>,
    journal: Journal,
    /// Values of a row.
    width: usize,
    set: Set,
    /// Number of the next picture.
    next: u64,
}

impl Keeping<'_> {
    fn add(&mut self, batch: &[Picture]) -> Result<()> {
        let digests: Vec<String> = batch.iter().map(digest).collect();
        let numbers = self.next..self.next + batch.len() as u64;
        // A record of other pixels, as a changed folder has them, is made again.
        let missing: Vec<usize> = numbers
            .clone()
            .zip(&digests)
            .enumerate()
            .filter(|(_, (k, digest))| {
                let record = self.journal.get(*k);
                !record.is_some_and(|r| r.starts_with(digest.as_bytes()))
            })
            .map(|(i, _)| i)
            .collect();
        if !missing.is_empty() {
            let pictures: Vec<Picture> = missing.iter().map(|&i| batch[i].clone()).collect();
            let threads = match self.features.threads {
                0 => std::thread::available_parallelism().map_or(1, NonZero::get),
                given => given,
            };
            let mut rows = self
                .features
                .extractor
                .rows(&pictures, threads)
                .map_err(outside)?;
            let dim = self.features.extractor.dim();
            for row in &mut rows {
                let with_logits = self.width > dim;
                row.truncate(if with_logits { row.len() } else { dim });
            }
            let records = missing.iter().zip(&rows).map(|(&i, row)| {
                let values = row.iter().flat_map(|v| v.to_le_bytes());
                let record = digests[i].bytes().chain(values).collect();
                (self.next + i as u64, record)
            });
            self.journal.append(records).map_err(outside)?;
        }
        for k in numbers {
            let record = self.journal.get(k).expect("made above");
            let (values, _) = record[DIGEST_DIGITS..].as_chunks::<4>();
            let mut values = values.iter().map(|v| f32::from_le_bytes(*v));
            let features = values.by_ref().take(self.features.extractor.dim());
            self.set.features.extend(features);
            self.set.logits.extend(values);
        }
        self.next += batch.len() as u64;
        Ok(())
    }
}

fn digest(picture: &Picture) -> String {
    let mut bytes = format!("{} x {} ", picture.width(), picture.height()).into_bytes();
    bytes.extend(picture.pixels());
    sha256_hex(&bytes)[..DIGEST_DIGITS].to_owned()
}
