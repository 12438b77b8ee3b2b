//! Measures of how two sets of images differ, and how certain each figure is.
//!
//! Pure functions of values in memory: features come from whatever extractor the caller ran, images are bytes.
//! Every result is the same for any number of threads.
//!
//! | what differs | module |
//! | --- | --- |
//! | two distributions of features | [`frechet`], [`kernel`], [`precision_recall`] |
//! | one distribution of class logits | [`inception`] |
//! | two versions of the same image | [`paired`] |
//! | a figure from its value on other samples | [`intervals`] |

mod error;
pub mod features;
pub mod frechet;
pub mod inception;
pub mod intervals;
pub mod kernel;
pub mod moments;
pub mod paired;
pub mod precision_recall;

pub use error::MetricsError;
pub use features::Features;
pub use frechet::{Frechet, Reference, frechet_distance};
pub use intervals::{
    Interval, Jackknife, Statistic, blocks, bootstrap, frechet_jackknife,
    frechet_jackknife_of_pairs,
};
pub use moments::Moments;
