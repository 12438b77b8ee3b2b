//! Telling how far the work is.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::image::Image;

/// Is told how far the work is.
pub trait Progress: Sync {
    /// `done` of `total` evaluations of the network are done. Called from any thread.
    fn evaluated(&self, done: u64, total: u64) {
        let _ = (done, total);
    }

    /// A step of the sampler is done for all images. Called in order.
    fn stepped(&self, step: &Stepped<'_>) {
        let _ = step;
    }
}

/// Tells nobody.
impl Progress for () {}

/// What there is to see after a step of the sampler.
pub struct Stepped<'a> {
    /// The step, counted from 0.
    pub index: usize,
    /// Number of steps.
    pub steps: usize,
    predicted: &'a dyn Fn(usize) -> Vec<Image>,
}

impl<'a> Stepped<'a> {
    pub(crate) fn new(
        index: usize,
        steps: usize,
        predicted: &'a dyn Fn(usize) -> Vec<Image>,
    ) -> Self {
        Self {
            index,
            steps,
            predicted,
        }
    }

    /// The finished images as they are now predicted, the first `most` of them.
    #[must_use]
    pub fn predicted(&self, most: usize) -> Vec<Image> {
        (self.predicted)(most)
    }
}

/// Counts evaluations for [`Progress`].
pub(crate) struct Counter<'a> {
    progress: &'a dyn Progress,
    done: AtomicU64,
    total: u64,
}

impl<'a> Counter<'a> {
    pub fn new(progress: &'a dyn Progress, total: usize) -> Self {
        Self {
            progress,
            done: AtomicU64::new(0),
            total: total as u64,
        }
    }

    pub fn count(&self) {
        let done = 1 + self.done.fetch_add(1, Ordering::Relaxed);
        self.progress.evaluated(done, self.total);
    }
}
