//! Tensors in and out, as safetensors files.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::error::{Error, Result};

/// Longest file that is read, in bytes: far more than any input of a network that runs here.
const LONGEST: u64 = 1 << 30;

/// Images of one shape as `f32`, laid out N x C x H x W.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// N, C, H, W.
    pub shape: [usize; 4],
    /// The values, W innermost.
    pub data: Vec<f32>,
}

impl Tensor {
    /// The values of one image.
    ///
    /// # Panics
    ///
    /// When there is no such image.
    #[must_use]
    pub fn image(&self, index: usize) -> &[f32] {
        let [_, c, h, w] = self.shape;
        &self.data[index * c * h * w..][..c * h * w]
    }

    /// One image with channels innermost, as the networks here take it.
    ///
    /// # Panics
    ///
    /// When there is no such image.
    #[must_use]
    pub fn image_hwc(&self, index: usize) -> Vec<f32> {
        let [_, c, h, w] = self.shape;
        let chw = self.image(index);
        (0..h * w * c)
            .map(|i| chw[(i % c) * h * w + i / c])
            .collect()
    }

    /// Puts images with channels innermost together.
    ///
    /// # Panics
    ///
    /// When an image has another number of values than `channels * height * width`.
    #[must_use]
    pub fn from_hwc(images: &[Vec<f32>], channels: usize, height: usize, width: usize) -> Self {
        let plane = height * width;
        let mut data = Vec::with_capacity(images.len() * plane * channels);
        for image in images {
            assert_eq!(image.len(), plane * channels, "values of one image");
            for c in 0..channels {
                data.extend((0..plane).map(|p| image[p * channels + c]));
            }
        }
        Self {
            shape: [images.len(), channels, height, width],
            data,
        }
    }
}

/// Reads tensor `name` of a safetensors file, or the only tensor if there is just one, and checks
/// that it holds finite `f32` values of one or more images of `channels` x `height` x `width`.
///
/// # Errors
///
/// When it does not, or the file cannot be read.
pub fn read_tensor(path: &Path, name: &str, image: [usize; 3]) -> Result<Tensor> {
    let bytes = read_bounded(path, LONGEST)?;
    parse_tensor(&bytes, name, image).map_err(|reason| Error::file(path, reason))
}

/// Longest header that safetensors allows, in bytes.
const LONGEST_HEADER: u64 = 100_000_000;

/// All bytes of a safetensors file. One that cannot be is refused by its start or its length, before
/// it is read: it may be very long, and a device may have no end.
pub(crate) fn read_bounded(path: &Path, longest: u64) -> Result<Vec<u8>> {
    let problem = |e| Error::io("read", path)(e);
    let mut file = File::open(path).map_err(problem)?;
    let length = file.metadata().map_err(problem)?.len();
    let mut bytes = Vec::new();
    (&mut file)
        .take(8)
        .read_to_end(&mut bytes)
        .map_err(problem)?;
    let header = <[u8; 8]>::try_from(bytes.as_slice()).map_or(0, u64::from_le_bytes);
    if !(2..=LONGEST_HEADER).contains(&header) {
        let reason = "not a safetensors file: it does not start with the length of a header";
        return Err(Error::file(path, reason));
    }
    if length <= longest {
        let rest = longest - 8 + 1;
        file.take(rest).read_to_end(&mut bytes).map_err(problem)?;
    }
    if length.max(bytes.len() as u64) > longest {
        let gib = longest >> 30;
        let reason = format!("longer than {gib} GiB, the most that is read");
        return Err(Error::file(path, reason));
    }
    Ok(bytes)
}

fn parse_tensor(
    bytes: &[u8],
    name: &str,
    image: [usize; 3],
) -> std::result::Result<Tensor, String> {
    let file =
        SafeTensors::deserialize(bytes).map_err(|e| format!("not a safetensors file: {e}"))?;
    let names = file.names();
    let found = match names.as_slice() {
        [] => return Err("holds no tensor".into()),
        [only] => *only,
        several if several.contains(&name) => name,
        several => {
            return Err(format!(
                "holds {} tensors, and none is called `{name}`",
                several.len()
            ));
        }
    };
    let view = file.tensor(found).map_err(|e| e.to_string())?;
    if view.dtype() != Dtype::F32 {
        return Err(format!(
            "tensor `{found}` is {:?}; expected F32",
            view.dtype()
        ));
    }
    let [c, h, w] = image;
    let shape = match *view.shape() {
        [n, a, b, d] if n > 0 && [a, b, d] == image => [n, a, b, d],
        ref other => {
            let other: Vec<_> = other.iter().map(ToString::to_string).collect();
            return Err(format!(
                "tensor `{found}` has the shape [{}]; expected [N, {c}, {h}, {w}] (N x C x H x W)",
                other.join(", ")
            ));
        }
    };
    let data: Vec<f32> = view
        .data()
        .as_chunks()
        .0
        .iter()
        .map(|&b| f32::from_le_bytes(b))
        .collect();
    if let Some(i) = data.iter().position(|v| !v.is_finite()) {
        return Err(format!(
            "tensor `{found}` holds {} at position {i}; expected finite values",
            data[i]
        ));
    }
    Ok(Tensor { shape, data })
}

/// A safetensors file of one tensor.
#[must_use]
pub fn write_tensor(name: &str, tensor: &Tensor) -> Vec<u8> {
    let bytes: Vec<u8> = tensor.data.iter().flat_map(|v| v.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, tensor.shape.to_vec(), &bytes)
        .expect("the shape fits the data");
    safetensors::serialize([(name, view)], None).expect("one tensor of a known type")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor() -> Tensor {
        Tensor {
            shape: [2, 3, 2, 2],
            data: (0..24u8).map(f32::from).collect(),
        }
    }

    fn problem(bytes: &[u8], image: [usize; 3]) -> String {
        parse_tensor(bytes, "latents", image).unwrap_err()
    }

    #[test]
    fn there_and_back() {
        let bytes = write_tensor("latents", &tensor());
        assert_eq!(
            parse_tensor(&bytes, "latents", [3, 2, 2]).unwrap(),
            tensor()
        );
        assert_eq!(
            parse_tensor(&bytes, "other", [3, 2, 2]).unwrap(),
            tensor(),
            "the only one"
        );
    }

    #[test]
    fn layouts() {
        let hwc: Vec<_> = (0..2).map(|i| tensor().image_hwc(i)).collect();
        assert_eq!(hwc[0][..6], [0.0, 4.0, 8.0, 1.0, 5.0, 9.0]);
        assert_eq!(Tensor::from_hwc(&hwc, 3, 2, 2), tensor());
    }

    #[test]
    fn wrong_shapes_are_told_apart() {
        let bytes = write_tensor("latents", &tensor());
        assert_eq!(
            problem(&bytes, [3, 4, 4]),
            "tensor `latents` has the shape [2, 3, 2, 2]; expected [N, 3, 4, 4] (N x C x H x W)"
        );
        let flat = vec![0u8; 4 * 12];
        let view = TensorView::new(Dtype::F32, vec![12], &flat).unwrap();
        let bytes = safetensors::serialize([("x", view)], None).unwrap();
        assert!(problem(&bytes, [3, 2, 2]).starts_with("tensor `x` has the shape [12]"));
        let none = TensorView::new(Dtype::F32, vec![0, 3, 2, 2], &[]).unwrap();
        let bytes = safetensors::serialize([("x", none)], None).unwrap();
        assert!(problem(&bytes, [3, 2, 2]).contains("[0, 3, 2, 2]"));
    }

    #[test]
    fn wrong_types_names_and_values() {
        let half = vec![0u8; 24];
        let view = || TensorView::new(Dtype::F16, vec![1, 3, 2, 2], &half).unwrap();
        let bytes = safetensors::serialize([("x", view())], None).unwrap();
        assert_eq!(
            problem(&bytes, [3, 2, 2]),
            "tensor `x` is F16; expected F32"
        );
        let bytes = safetensors::serialize([("x", view()), ("y", view())], None).unwrap();
        assert_eq!(
            problem(&bytes, [3, 2, 2]),
            "holds 2 tensors, and none is called `latents`"
        );
        let mut bad = tensor();
        bad.data[17] = f32::NAN;
        assert_eq!(
            problem(&write_tensor("x", &bad), [3, 2, 2]),
            "tensor `x` holds NaN at position 17; expected finite values"
        );
    }

    #[test]
    fn files_are_refused_before_they_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let problem = |longest| read_bounded(&path, longest).unwrap_err().to_string();
        // a length that would fill any memory, and no bytes behind it
        let file = File::create(&path).unwrap();
        file.set_len(1 << 40).unwrap();
        let reason = "not a safetensors file: it does not start with the length of a header";
        assert!(problem(1 << 30).ends_with(reason));
        std::io::Write::write_all(&mut &file, &16u64.to_le_bytes()).unwrap();
        assert!(problem(1 << 30).ends_with("longer than 1 GiB, the most that is read"));
        let bytes = write_tensor("latents", &tensor());
        std::fs::write(&path, &bytes).unwrap();
        let length = bytes.len() as u64;
        assert_eq!(read_bounded(&path, length).unwrap(), bytes);
        assert!(problem(length - 1).contains("longer than"));
    }

    #[test]
    fn every_truncation_and_hostile_headers_are_refused() {
        let bytes = write_tensor("latents", &tensor());
        for n in 0..bytes.len() {
            assert!(
                parse_tensor(&bytes[..n], "latents", [3, 2, 2]).is_err(),
                "{n}"
            );
        }
        let mut huge = u64::MAX.to_le_bytes().to_vec();
        huge.extend(b"{}");
        assert!(problem(&huge, [3, 2, 2]).starts_with("not a safetensors file"));
        let header =
            br#"{"x":{"dtype":"F32","shape":[18446744073709551615,3,2,2],"data_offsets":[0,4]}}"#;
        let mut overflow = (header.len() as u64).to_le_bytes().to_vec();
        overflow.extend(header);
        overflow.extend([0; 4]);
        assert!(problem(&overflow, [3, 2, 2]).starts_with("not a safetensors file"));
    }
}
