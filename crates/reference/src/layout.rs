//! Order of an image's values: `diffusers` keeps channels outermost, this project innermost.

/// Channels innermost (`height * width * channels`) from channels outermost.
///
/// # Panics
/// If `channels` is 0 or does not divide the length.
#[must_use]
pub fn hwc_from_chw(chw: &[f32], channels: usize) -> Vec<f32> {
    transpose(chw, channels, chw.len() / channels)
}

/// Channels outermost (`channels * height * width`) from channels innermost.
///
/// # Panics
/// If `channels` is 0 or does not divide the length.
#[must_use]
pub fn chw_from_hwc(hwc: &[f32], channels: usize) -> Vec<f32> {
    transpose(hwc, hwc.len() / channels, channels)
}

/// The transpose of a row-major matrix.
fn transpose(matrix: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    assert_eq!(
        matrix.len(),
        rows * columns,
        "the channels do not divide the image"
    );
    (0..columns)
        .flat_map(|c| (0..rows).map(move |r| matrix[r * columns + c]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_inverse() {
        let chw = [1.0, 2.0, 3.0, 10.0, 20.0, 30.0];
        let hwc = hwc_from_chw(&chw, 2);
        assert_eq!(hwc, [1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
        assert_eq!(chw_from_hwc(&hwc, 2), chw);
    }
}
