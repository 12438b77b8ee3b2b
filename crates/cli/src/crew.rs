//! Threads for images.
//!
//! A network divides its layers among the threads of the rayon pool that it runs in. Several images
//! at once in one such pool would wait for each other's layers; so each image in work has a pool of
//! its own, and the threads are dealt out among as many pools as there are images, or threads.

use std::num::NonZero;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::{Error, Result};

/// Groups of threads, each for one image at a time.
#[derive(Debug)]
pub(crate) struct Crew {
    pools: Vec<ThreadPool>,
}

/// A pool of so many threads, or as many as there are processors for 0.
pub(crate) fn thread_pool(threads: usize) -> Result<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|e| Error::setting(format!("cannot start {threads} threads: {e}")))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Crew {
    /// `threads` (0: as many as there are processors) for `images`.
    pub fn new(threads: usize, images: usize) -> Result<Self> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, NonZero::get),
            given => given,
        };
        let groups = threads.min(images).max(1);
        let pools = (0..groups).map(|i| threads / groups + usize::from(i < threads % groups));
        let pools = pools.map(thread_pool).collect::<Result<_>>()?;
        Ok(Self { pools })
    }

    /// Number of threads in all.
    pub fn threads(&self) -> usize {
        self.pools.iter().map(ThreadPool::current_num_threads).sum()
    }

    /// Does `f` with each item, one item a group at a time; after a failure, no more are begun.
    ///
    /// # Errors
    ///
    /// A failure of `f`.
    pub fn for_each<T: Send>(
        &self,
        items: impl IntoIterator<Item = T, IntoIter: Send>,
        f: impl Fn(T) -> Result<()> + Sync,
    ) -> Result<()> {
        let items = Mutex::new(items.into_iter());
        let failure = Mutex::new(None);
        let work = || {
            while lock(&failure).is_none() {
                // A statement of its own, so that the lock is released before the work.
                let item = lock(&items).next();
                let Some(item) = item else { break };
                if let Err(error) = f(item) {
                    lock(&failure).get_or_insert(error);
                }
            }
        };
        in_all(&self.pools, &work);
        let failure = lock(&failure).take();
        failure.map_or(Ok(()), Err)
    }

    /// What `f` makes of each item, in their order.
    ///
    /// # Errors
    ///
    /// A failure of `f`.
    pub fn map<T: Send, R: Send>(
        &self,
        items: impl IntoIterator<Item = T, IntoIter: Send + ExactSizeIterator>,
        f: impl Fn(T) -> Result<R> + Sync,
    ) -> Result<Vec<R>> {
        let items = items.into_iter();
        let mut results: Vec<Option<R>> = (0..items.len()).map(|_| None).collect();
        self.for_each(results.iter_mut().zip(items), |(slot, item)| {
            *slot = Some(f(item)?);
            Ok(())
        })?;
        Ok(results.into_iter().flatten().collect())
    }
}

/// Runs `work` in every pool at once and waits for all.
fn in_all(pools: &[ThreadPool], work: &(dyn Fn() + Sync)) {
    if let Some((pool, rest)) = pools.split_first() {
        pool.in_place_scope(|scope| {
            scope.spawn(|_| work());
            in_all(rest, work);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn threads_are_dealt_out() {
        let sizes = |threads, images| -> Vec<usize> {
            let crew = Crew::new(threads, images).unwrap();
            assert_eq!(crew.threads(), threads);
            crew.pools
                .iter()
                .map(ThreadPool::current_num_threads)
                .collect()
        };
        assert_eq!(sizes(8, 3), [3, 3, 2]);
        assert_eq!(sizes(2, 16), [1, 1]);
        assert_eq!(sizes(3, 1), [3]);
        assert_eq!(sizes(1, 0), [1]);
    }

    #[test]
    fn results_are_in_order_and_each_item_is_done_once() {
        let crew = Crew::new(4, 4).unwrap();
        let calls = AtomicUsize::new(0);
        let squares = crew.map(0..100usize, |i| {
            calls.fetch_add(1, Ordering::Relaxed);
            assert_eq!(rayon::current_num_threads(), 1, "in a pool of its own");
            Ok(i * i)
        });
        assert_eq!(
            squares.unwrap(),
            (0..100).map(|i| i * i).collect::<Vec<_>>()
        );
        assert_eq!(calls.into_inner(), 100);
    }

    #[test]
    fn a_failure_ends_the_work() {
        let crew = Crew::new(1, 9).unwrap();
        let calls = AtomicUsize::new(0);
        let result = crew.for_each(0..100, |i| {
            calls.fetch_add(1, Ordering::Relaxed);
            if i == 7 {
                Err(Error::setting("seven"))
            } else {
                Ok(())
            }
        });
        assert_eq!(result.unwrap_err().to_string(), "seven");
        assert_eq!(calls.into_inner(), 8);
    }
}
