//! Matrix products by the `gemm` crate, behind a function that checks every bound.

use gemm::Parallelism;
use rayon::prelude::*;

/// How many threads of the current rayon pool to use: 0 for all, 1 for none but the caller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads(pub usize);

impl Threads {
    /// Calls `f` with each chunk and its index, in parallel unless there is one thread only.
    pub(crate) fn chunks(
        self,
        data: &mut [f32],
        length: usize,
        f: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        if self.0 == 1 {
            data.chunks_mut(length)
                .enumerate()
                .for_each(|(i, chunk)| f(i, chunk));
        } else {
            data.par_chunks_mut(length)
                .enumerate()
                .for_each(|(i, chunk)| f(i, chunk));
        }
    }
}

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix whose rows lie `stride` values apart.
    pub fn rows(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        assert!(
            reach(rows, columns, stride) <= data.len(),
            "matrix beyond its slice"
        );
        Matrix {
            data,
            rows,
            columns,
            row_stride: stride,
            column_stride: 1,
        }
    }

    /// The same values with rows and columns exchanged.
    pub fn transposed(self) -> Self {
        Matrix {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// Number of values from the first to the last of a matrix.
fn reach(rows: usize, columns: usize, stride: usize) -> usize {
    assert!(columns <= stride || rows <= 1, "rows of a matrix overlap");
    if rows == 0 || columns == 0 {
        0
    } else {
        (rows - 1) * stride + columns
    }
}

/// What happens to the destination of a product.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Into {
    /// The product replaces it.
    Replace,
    /// The product is added to it.
    Add,
}

/// `destination = left * right`, or `destination += left * right`; the destination's rows lie `stride` values apart.
pub fn multiply(
    destination: &mut [f32],
    stride: usize,
    left: Matrix,
    right: Matrix,
    into: Into,
    threads: Threads,
) {
    let (rows, depth, columns) = (left.rows, left.columns, right.columns);
    assert_eq!(depth, right.rows, "matrix sizes do not agree");
    assert!(
        reach(rows, columns, stride) <= destination.len(),
        "destination too small"
    );
    let s = |n: usize| isize::try_from(n).expect("strides are within a slice");
    let add = into == Into::Add;
    let parallelism = if threads.0 == 1 {
        Parallelism::None
    } else {
        Parallelism::Rayon(threads.0)
    };
    // SAFETY: `Matrix::rows` and the assertions above bound every element that `gemm` touches by the slices'
    // lengths. `destination` is borrowed mutably, so it overlaps neither operand, and its rows do not
    // overlap each other (`reach`). All values are initialised.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            depth,
            destination.as_mut_ptr(),
            1,
            s(stride),
            add,
            left.data.as_ptr(),
            s(left.column_stride),
            s(left.row_stride),
            right.data.as_ptr(),
            s(right.column_stride),
            s(right.row_stride),
            if add { 1.0 } else { 0.0 },
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_with_strides() {
        // 2x2 inside rows of 3, times the transpose of a 2x2
        let left = [1.0, 2.0, 9.0, 3.0, 4.0, 9.0];
        let right = [5.0, 6.0, 7.0, 8.0];
        for threads in [0, 1, 2].map(Threads) {
            let mut out = [100.0; 6];
            let l = Matrix::rows(&left, 2, 2, 3);
            let r = Matrix::rows(&right, 2, 2, 2).transposed();
            multiply(&mut out, 4, l, r, Into::Replace, threads);
            assert_eq!(out, [17.0, 23.0, 100.0, 100.0, 39.0, 53.0]);
            multiply(&mut out, 4, l, r, Into::Add, threads);
            assert_eq!(out, [34.0, 46.0, 100.0, 100.0, 78.0, 106.0]);
        }
    }

    #[test]
    #[should_panic(expected = "destination too small")]
    fn destination_is_bounded() {
        let m = Matrix::rows(&[1.0; 4], 2, 2, 2);
        multiply(&mut [0.0; 3], 2, m, m, Into::Replace, Threads(1));
    }
}
