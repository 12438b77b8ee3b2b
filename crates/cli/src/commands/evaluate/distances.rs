//! How far sets of images are from real ones, and from each other.

use diffuser::Result;
use diffuser_metrics::inception::{InceptionScore, SPLITS, inception_jackknife, inception_score};
use diffuser_metrics::kernel::{kernel_jackknife, within};
use diffuser_metrics::precision_recall::{Membership, NEIGHBOURS, membership};
use diffuser_metrics::{
    Features as Rows, Jackknife, Moments, Reference as Root, Statistic, blocks, frechet_jackknife,
    frechet_jackknife_of_pairs,
};
use serde_json::{Value, json};

use super::features::Set;
use super::figure::Figure;
use super::reference::Reference;
use super::undefined;

/// Blocks of neighbouring images that the jackknife leaves out in turn.
pub const BLOCKS: usize = 20;

/// Fewest images that a distance is measured for: two blocks of two.
pub const LEAST_IMAGES: usize = 4;

/// Blocks for so many images.
fn block_count(images: usize) -> usize {
    BLOCKS.min(images / 2)
}

/// Moments of each of `count` blocks of rows.
pub fn moments_of_blocks(rows: &[f32], dim: usize, count: usize) -> Result<Vec<Moments>> {
    let parts = blocks(rows.len() / dim, count).map_err(undefined)?;
    parts
        .into_iter()
        .map(|b| Rows::new(&rows[b.start * dim..b.end * dim], dim).map(Moments::of))
        .collect::<std::result::Result<_, _>>()
        .map_err(undefined)
}

/// What distances are measured to.
pub struct Target<'a> {
    dim: usize,
    classes: usize,
    root: Root,
    /// Real rows, with the mean of the kernel among them.
    rows: Option<(Rows<'a>, f64)>,
}

impl<'a> Target<'a> {
    /// The reference, for features of `dim` values and `classes` logits.
    pub fn new(reference: &'a Reference, dim: usize, classes: usize) -> Result<Self> {
        let rows = match &reference.rows {
            Some(rows) => {
                let rows = Rows::new(rows, dim).map_err(undefined)?;
                Some((rows, within(rows).map_err(undefined)?))
            }
            None => None,
        };
        Ok(Self {
            dim,
            classes,
            root: Root::new(&reference.moments).map_err(undefined)?,
            rows,
        })
    }

    /// All figures of a set of generated images.
    pub fn measure(&self, set: &Set) -> Result<Distances> {
        let images = set.features.len() / self.dim;
        let count = block_count(images);
        let parts = moments_of_blocks(&set.features, self.dim, count)?;
        let rows = Rows::new(&set.features, self.dim).map_err(undefined)?;
        let (mut kernel, mut members) = (None, None);
        if let Some((real, inside)) = self.rows {
            kernel = Some(kernel_jackknife(real, inside, rows, count).map_err(undefined)?);
            if real.count() > NEIGHBOURS && images > NEIGHBOURS {
                members = Some(membership(real, rows, NEIGHBOURS).map_err(undefined)?);
            }
        }
        let inception = match set.logits.len() {
            0 => None,
            _ => {
                let logits = Rows::new(&set.logits, self.classes).map_err(undefined)?;
                let splits = inception_score(logits, SPLITS.min(images)).map_err(undefined)?;
                Some((
                    inception_jackknife(logits, count).map_err(undefined)?,
                    splits,
                ))
            }
        };
        Ok(Distances {
            frechet: frechet_jackknife(&self.root, &parts).map_err(undefined)?,
            kernel,
            inception,
            members,
        })
    }
}

/// Figures of one set of generated images.
pub struct Distances {
    /// Fréchet distance to the reference.
    pub frechet: Jackknife,
    /// Unbiased kernel distance to the reference.
    kernel: Option<Jackknife>,
    /// Inception score of all images as one split, and over the paper's splits.
    inception: Option<(Jackknife, InceptionScore)>,
    /// Who lies in whose region.
    members: Option<Membership>,
}

/// Figures whose intervals are known, by name; what could not be measured is left out.
pub struct Figures(Vec<(&'static str, Figure)>);

impl Figures {
    /// The figure of that name.
    pub fn get(&self, name: &str) -> Option<Figure> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, f)| *f)
    }

    /// An object of all figures.
    pub fn to_json(&self) -> Value {
        let entries = self.0.iter();
        entries
            .map(|(name, figure)| ((*name).to_owned(), figure.to_json()))
            .collect()
    }
}

/// Names of the shares that precision and recall are among, and the values that they are means of.
fn shares(members: &Membership) -> [(&'static str, Vec<f64>); 4] {
    [
        ("precision", members.precision()),
        ("recall", members.recall()),
        ("density", members.density()),
        ("coverage", members.coverage()),
    ]
}

impl Distances {
    /// All figures.
    pub fn figures(&self) -> Result<Figures> {
        let mut all = vec![("frechet", Figure::jackknifed(&self.frechet)?)];
        if let Some(kernel) = &self.kernel {
            all.push(("kernel", Figure::jackknifed(kernel)?));
        }
        if let Some((inception, _)) = &self.inception {
            all.push(("inception", Figure::jackknifed(inception)?));
        }
        if let Some(members) = &self.members {
            for (name, values) in shares(members) {
                all.push((name, Figure::resampled(&values, Statistic::Mean)?));
            }
        }
        Ok(Figures(all))
    }

    /// What differs from `other`, a set of the same seeds: figures of this less figures of that.
    pub fn less(&self, other: &Self) -> Result<Figures> {
        let difference = |a: &Jackknife, b: &Jackknife| {
            let difference = a.difference(b).map_err(undefined)?;
            Figure::jackknifed(&difference)
        };
        let mut all = vec![("frechet", difference(&self.frechet, &other.frechet)?)];
        // Undefined where a distance is not above zero, as that of a set to itself.
        if let Ok(ratio) = self.frechet.ratio(&other.frechet) {
            all.push(("frechet_ratio", Figure::jackknifed(&ratio)?));
        }
        if let (Some(a), Some(b)) = (&self.kernel, &other.kernel) {
            all.push(("kernel", difference(a, b)?));
        }
        if let (Some((a, _)), Some((b, _))) = (&self.inception, &other.inception) {
            all.push(("inception", difference(a, b)?));
        }
        if let (Some(a), Some(b)) = (&self.members, &other.members) {
            for ((name, a), (_, b)) in shares(a).into_iter().zip(shares(b)) {
                let pairs: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
                all.push((name, Figure::resampled(&pairs, Statistic::Mean)?));
            }
        }
        Ok(Figures(all))
    }

    /// All of it.
    pub fn to_json(&self) -> Result<Value> {
        let mut value = self.figures()?.to_json();
        value["frechet"]["without_block"] = json!(self.frechet.without);
        if let Some((_, InceptionScore { mean, std })) = self.inception {
            value["inception_of_splits"] = json!({ "mean": mean, "standard_deviation": std });
        }
        Ok(value)
    }
}

/// The Fréchet distance between two sets of generated images.
pub struct Between {
    /// What they are.
    pub names: [String; 2],
    /// Number of images of either.
    pub images: usize,
    /// Whether image k of both comes from the same noise.
    pub same_noise: bool,
    /// The distance.
    pub distance: Figure,
}

impl Between {
    /// Of the rows `a` and `b` of two sets, of which the same block is left out on both sides.
    pub fn new(
        names: [&str; 2],
        [a, b]: [&[f32]; 2],
        dim: usize,
        same_noise: bool,
    ) -> Result<Self> {
        let images = a.len() / dim;
        let parts = |rows| moments_of_blocks(rows, dim, block_count(images));
        let distance = frechet_jackknife_of_pairs(&parts(a)?, &parts(b)?).map_err(undefined)?;
        Ok(Self {
            names: names.map(str::to_owned),
            images,
            same_noise,
            distance: Figure::jackknifed(&distance)?,
        })
    }

    /// All of it.
    pub fn to_json(&self) -> Value {
        json!({
            "sets": self.names,
            "images": self.images,
            "same_noise": self.same_noise,
            "frechet": self.distance.to_json(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_images_make_few_blocks() {
        assert_eq!(block_count(LEAST_IMAGES), 2);
        assert_eq!(block_count(39), 19);
        assert_eq!(block_count(10_000), 20);
    }
}
