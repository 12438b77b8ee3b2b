//! Moving pictures: GIF and animated PNG.

use std::path::Path;

use super::grid::png_encoder;
use crate::error::{Error, Result};
use crate::image::Image;

/// How long the whole animation runs, in hundredths of a second, before it holds the last frame.
const RUN: usize = 400;

/// How long it holds the last frame.
const HOLD: u16 = 250;

/// Shortest time of a frame; players show shorter ones more slowly.
const SHORTEST: usize = 3;

/// File format of an animation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnimationFormat {
    /// GIF: plays anywhere; at most 256 colours a frame.
    Gif,
    /// Animated PNG: exact colours; plays in browsers.
    Apng,
}

impl AnimationFormat {
    /// Format by extension: `.gif`, `.png` or `.apng`.
    ///
    /// # Errors
    ///
    /// For any other extension.
    pub fn of(path: &Path) -> Result<Self> {
        let extension = path.extension().map(|e| e.to_ascii_lowercase());
        match extension.as_deref().and_then(|e| e.to_str()) {
            Some("gif") => Ok(Self::Gif),
            Some("png" | "apng") => Ok(Self::Apng),
            _ => Err(Error::setting(format!(
                "{}: an animation's name ends in .gif, .png or .apng",
                path.display()
            ))),
        }
    }
}

/// Time of each frame in hundredths of a second.
fn delays(frames: usize) -> Vec<u16> {
    let each = (RUN / frames.max(1)).clamp(SHORTEST, 50) as u16;
    let mut delays = vec![each; frames];
    if let Some(last) = delays.last_mut() {
        *last = HOLD;
    }
    delays
}

/// Frames as an animation that repeats for ever and rests on its last frame.
///
/// # Errors
///
/// When there is no frame, frames differ in shape, or a side is over 65 535 pixels (GIF).
pub fn encode_animation(frames: &[Image], format: AnimationFormat) -> Result<Vec<u8>> {
    let first = frames
        .first()
        .ok_or_else(|| Error::setting("an animation needs a frame"))?;
    let shape = |i: &Image| (i.width(), i.height(), i.channels());
    if frames.iter().any(|f| shape(f) != shape(first)) {
        return Err(Error::setting("the frames of an animation have one shape"));
    }
    match format {
        AnimationFormat::Gif => gif(frames, first).map_err(|e| Error::setting(format!("GIF: {e}"))),
        AnimationFormat::Apng => {
            apng(frames, first).map_err(|e| Error::setting(format!("animated PNG: {e}")))
        }
    }
}

fn gif(
    frames: &[Image],
    first: &Image,
) -> std::result::Result<Vec<u8>, Box<dyn std::error::Error>> {
    let side = |n: usize| {
        u16::try_from(n).map_err(|_| {
            format!("{n} pixels are too many for GIF; use .apng, or a smaller --scale")
        })
    };
    let (width, height) = (side(first.width())?, side(first.height())?);
    let mut bytes = Vec::new();
    let mut encoder = gif::Encoder::new(&mut bytes, width, height, &[])?;
    encoder.set_repeat(gif::Repeat::Infinite)?;
    for (image, delay) in frames.iter().zip(delays(frames.len())) {
        let mut frame = if image.channels() == 1 {
            let greys: Vec<u8> = (0..=255).flat_map(|v| [v; 3]).collect();
            gif::Frame::from_palette_pixels(width, height, image.pixels(), greys, None)
        } else {
            gif::Frame::from_rgb_speed(width, height, image.pixels(), 10)
        };
        frame.delay = delay;
        encoder.write_frame(&frame)?;
    }
    drop(encoder);
    Ok(bytes)
}

fn apng(
    frames: &[Image],
    first: &Image,
) -> std::result::Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut bytes = Vec::new();
    let mut encoder = png_encoder(&mut bytes, first);
    encoder.set_animated(u32::try_from(frames.len())?, 0)?;
    let mut writer = encoder.write_header()?;
    for (image, delay) in frames.iter().zip(delays(frames.len())) {
        writer.set_frame_delay(delay, 100)?;
        writer.write_image_data(image.pixels())?;
    }
    writer.finish()?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(channels: usize) -> Vec<Image> {
        (0..3u8)
            .map(|f| {
                let pixels = (0..6 * 4 * channels).map(|i| (i as u8).wrapping_mul(f + 3));
                Image::new(6, 4, channels, pixels.collect()).unwrap()
            })
            .collect()
    }

    #[test]
    fn formats_by_extension() {
        assert_eq!(
            AnimationFormat::of(Path::new("a.GIF")).unwrap(),
            AnimationFormat::Gif
        );
        assert_eq!(
            AnimationFormat::of(Path::new("a.apng")).unwrap(),
            AnimationFormat::Apng
        );
        let line = AnimationFormat::of(Path::new("a.mp4"))
            .unwrap_err()
            .to_string();
        assert_eq!(
            line,
            "a.mp4: an animation's name ends in .gif, .png or .apng"
        );
    }

    #[test]
    fn gif_reads_back() {
        for channels in [1, 3] {
            let frames = frames(channels);
            let bytes = encode_animation(&frames, AnimationFormat::Gif).unwrap();
            let mut options = gif::DecodeOptions::new();
            options.set_color_output(gif::ColorOutput::RGBA);
            let mut decoder = options.read_info(&bytes[..]).unwrap();
            let mut delays = Vec::new();
            while let Some(frame) = decoder.read_next_frame().unwrap() {
                let image = &frames[delays.len()];
                // Few colours: exact.
                for (i, rgba) in frame.buffer.chunks_exact(4).enumerate() {
                    let wanted = image.pixel(i % 6, i / 6);
                    assert_eq!(rgba[0], wanted[0]);
                    assert_eq!(rgba[2], wanted[channels - 1]);
                }
                delays.push(frame.delay);
            }
            assert_eq!(delays, [50, 50, HOLD]);
        }
    }

    #[test]
    fn apng_reads_back() {
        let frames = frames(3);
        let bytes = encode_animation(&frames, AnimationFormat::Apng).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        assert_eq!(reader.info().animation_control().unwrap().num_frames, 3);
        for frame in &frames {
            let mut back = vec![0; reader.output_buffer_size().unwrap()];
            reader.next_frame(&mut back).unwrap();
            assert_eq!(back, frame.pixels());
        }
    }

    #[test]
    fn nothing_and_mixed_shapes_are_refused() {
        assert!(encode_animation(&[], AnimationFormat::Gif).is_err());
        let mixed = [Image::filled(2, 2, 3, 0), Image::filled(2, 3, 3, 0)];
        assert!(encode_animation(&mixed, AnimationFormat::Apng).is_err());
        let wide = [Image::filled(70_000, 1, 3, 0)];
        assert!(encode_animation(&wide, AnimationFormat::Gif).is_err());
    }
}
