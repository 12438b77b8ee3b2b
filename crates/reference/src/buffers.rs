//! Buffers that go from tensor to tensor, so that an evaluation allocates little.

/// Buffers that hold nothing of value.
#[derive(Debug, Default)]
pub(crate) struct Pool(Vec<Vec<f32>>);

impl Pool {
    /// A buffer of `length` values, each of any value.
    pub(crate) fn take(&mut self, length: usize) -> Vec<f32> {
        // the smallest that fits, or else the largest, which then grows
        let fits = |v: &Vec<f32>| (v.capacity() < length, v.capacity().abs_diff(length));
        let best = (0..self.0.len()).min_by_key(|&i| fits(&self.0[i]));
        let mut buffer = best.map(|i| self.0.swap_remove(i)).unwrap_or_default();
        buffer.resize(length, 0.0);
        buffer
    }

    /// Gives a buffer back.
    pub(crate) fn give(&mut self, buffer: Vec<f32>) {
        self.0.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_smallest_that_fits() {
        let mut pool = Pool::default();
        for n in [10, 40, 20] {
            pool.give(vec![1.0; n]);
        }
        assert_eq!(pool.take(15).capacity(), 20);
        assert_eq!(pool.take(15).capacity(), 40);
        assert_eq!(pool.take(15).len(), 15);
        assert!(pool.0.is_empty());
    }
}
