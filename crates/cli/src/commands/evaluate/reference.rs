//! Real images: the features that distances are measured to, and the floor of those distances.

use std::path::Path;

use diffuser::output::AtomicFile;
use diffuser::{Error, Result};
use diffuser_evaluate::{Images, Picture, Statistics};
use diffuser_metrics::{Features as Rows, Jackknife, Moments};

use super::features::Features;
use super::{BLOCKS, moments_of_blocks, outside, undefined};
use crate::args::ReferenceArgs;

/// Most real images that neighbours and kernels are measured with: these grow with the product of the sets.
pub const MOST_ROWS: usize = 10_000;

/// A set of real images, as features.
pub struct Reference {
    /// What it is called.
    pub name: String,
    /// Size of the images after shrinking, `[height, width]`; none for saved statistics.
    pub size: Option<[usize; 2]>,
    /// Mean and co-moments.
    pub moments: Moments,
    /// Features of at most [`MOST_ROWS`] images, in random order; none for saved statistics.
    pub rows: Option<Vec<f32>>,
    /// Distance between two sets of real images, if there are two.
    pub floor: Option<Floor>,
}

/// How far apart two sets of real images are.
pub struct Floor {
    /// Fréchet distance, with blocks of the second set left out.
    pub distance: Jackknife,
    /// Number of images of either set.
    pub images: [u64; 2],
    /// Whether they are the halves of one set.
    pub halves: bool,
}

/// What a path gave.
struct Read {
    size: Option<[usize; 2]>,
    moments: Moments,
    /// All rows, in random order.
    rows: Vec<f32>,
}

impl Reference {
    /// Reads what the arguments name; `shape` is height and width of the model's images.
    pub fn read(
        path: &Path,
        arguments: &ReferenceArgs,
        features: &Features<'_>,
        shape: [usize; 2],
    ) -> Result<Self> {
        let dim = features.extractor.dim();
        let read = read(path, arguments, features, shape)?;
        if read.moments.count() < 2 {
            return Err(Error::file(
                path,
                "fewer than two images to measure distances to",
            ));
        }
        let floor = match &arguments.reference_test {
            Some(test) => {
                let other = self::read(test, arguments, features, shape)?;
                if other.rows.is_empty() {
                    let reason = "the floor needs images, not statistics of them";
                    return Err(Error::file(test, reason));
                }
                floor(&read.moments, &other.rows, dim, false)?
            }
            None => {
                let half = read.rows.len() / dim / 2 * dim;
                let (first, second) = read.rows.split_at(half);
                floor(&moments(first, dim)?, second, dim, true)?
            }
        };
        let mut rows = read.rows;
        rows.truncate(MOST_ROWS * dim);
        let name = path.file_name().unwrap_or(path.as_os_str());
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            size: read.size,
            moments: read.moments,
            rows: (!rows.is_empty()).then_some(rows),
            floor,
        })
    }

    /// Writes the statistics.
    pub fn save(&self, file: AtomicFile, features: &Features<'_>) -> Result<()> {
        let statistics = Statistics {
            count: self.moments.count(),
            mean: self.moments.mean().to_vec(),
            comoment: self.moments.comoment().to_vec(),
        };
        file.commit(&statistics.to_bytes(&features.extractor, &self.name))
    }
}

fn moments(rows: &[f32], dim: usize) -> Result<Moments> {
    Ok(Moments::of(Rows::new(rows, dim).map_err(undefined)?))
}

/// Distance from `train` to the rows of `test`; `None` where there are too few.
fn floor(train: &Moments, test: &[f32], dim: usize, halves: bool) -> Result<Option<Floor>> {
    let count = test.len() / dim;
    if train.count() < 2 || count < 4 {
        return Ok(None);
    }
    let blocks = moments_of_blocks(test, dim, BLOCKS.min(count / 2))?;
    let train_root = diffuser_metrics::Reference::new(train).map_err(undefined)?;
    let distance = diffuser_metrics::frechet_jackknife(&train_root, &blocks).map_err(undefined)?;
    Ok(Some(Floor {
        distance,
        images: [train.count(), count as u64],
        halves,
    }))
}

fn read(
    path: &Path,
    arguments: &ReferenceArgs,
    features: &Features<'_>,
    shape: [usize; 2],
) -> Result<Read> {
    let dim = features.extractor.dim();
    if Statistics::is_at(path) {
        if !arguments.reference_filter.is_empty() {
            return Err(Error::file(
                path,
                "saved statistics have no columns to filter by",
            ));
        }
        let read = Statistics::read(path, &features.extractor).map_err(outside)?;
        let moments = Moments::from_parts(read.count, read.mean, read.comoment)
            .map_err(|e| Error::file(path, e))?;
        if moments.dim() != dim {
            let reason = format!("{} features, but the extractor makes {dim}", moments.dim());
            return Err(Error::file(path, reason));
        }
        return Ok(Read {
            size: None,
            moments,
            rows: Vec::new(),
        });
    }
    let images = Images::open(path, arguments.reference_filter.clone()).map_err(outside)?;
    let mut size = None;
    let mut feed = |visit: &mut dyn FnMut(Picture) -> Result<()>| {
        images
            .read::<Wrapped>(&mut |picture| {
                let picture = fitted(picture, arguments.reference_size, shape)
                    .map_err(|reason| Error::file(path, reason))?;
                size = Some([picture.height(), picture.width()]);
                visit(picture).map_err(Wrapped)
            })
            .map_err(|e| e.0)
    };
    let key = format!(
        "real images {} {:?} {shape:?}",
        images.identity().map_err(outside)?,
        arguments.reference_size
    );
    let set = features.of(&mut feed, &key, false, "real images", 0)?;
    let rows = shuffled(&set.features, dim);
    Ok(Read {
        size,
        moments: moments(&rows, dim)?,
        rows,
    })
}

/// An error that either side may cause.
struct Wrapped(Error);

impl From<diffuser_evaluate::Error> for Wrapped {
    fn from(error: diffuser_evaluate::Error) -> Self {
        Self(outside(error))
    }
}

impl From<Error> for Wrapped {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

/// Shrinks a picture to the size asked for, or to the model's where that divides its own.
fn fitted(
    picture: Picture,
    asked: Option<u32>,
    shape: [usize; 2],
) -> std::result::Result<Picture, String> {
    let [height, width] = asked.map_or(shape, |n| [n as usize; 2]);
    let factor = picture.width() / width;
    let divides = picture.width() == factor * width && picture.height() == factor * height;
    match (divides && factor > 0, asked) {
        (true, _) => Ok(picture.shrink(factor)),
        (false, None) => Ok(picture),
        (false, Some(n)) => Err(format!(
            "a picture of {} x {} pixels cannot be averaged to {n} x {n}",
            picture.width(),
            picture.height()
        )),
    }
}

/// The rows in an order that has nothing to do with how they came, the same in every run.
fn shuffled(rows: &[f32], dim: usize) -> Vec<f32> {
    let mut order: Vec<u64> = (0..(rows.len() / dim) as u64).collect();
    // SplitMix64 of the number.
    order.sort_by_key(|&k| {
        let z = (k + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    });
    let row = |k: u64| &rows[k as usize * dim..][..dim];
    order
        .into_iter()
        .flat_map(|k| row(k).iter().copied())
        .collect()
}
