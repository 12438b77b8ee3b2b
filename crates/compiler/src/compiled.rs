//! A finished program: its listing, records of other steps, and where a host finds what.

use std::ops::Range;

use diffuser_isa::{Descriptor, Op, Space};
use diffuser_model::graph::TensorId;
use diffuser_model::step::StepParams;
use diffuser_spec::sampler::Step;

use crate::allocate::Places;
use crate::error::CompileError;
use crate::layer::{Layers, Value};
use crate::listing::listing;
use crate::operations::home_pitch;
use crate::records::RecordLayout;
use crate::schedule::DataLayout;
use crate::target::{Memory, Target};

/// A program for one target, and its memory image.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// What it was compiled for.
    pub target: Target,
    /// Descriptors in order.
    pub program: Vec<Descriptor>,
    /// The same as bytes, 64 a descriptor.
    pub program_bytes: Vec<u8>,
    /// What lies at the data's base: room for the states and the pixels, then the weights.
    pub data: Vec<u8>,
    /// Where states and pixels lie in `data`.
    pub layout: DataLayout,
    /// The steps' records, one behind the other.
    pub records: Vec<u8>,
    /// Bytes from one record to the next.
    pub stride: usize,
    /// Number of steps.
    pub steps: usize,
    /// Images that one run makes.
    pub images: usize,
    /// Whether each has parameters of its own.
    pub own_conditions: bool,
    /// Rows, columns and channels of an image.
    pub image: [usize; 3],
    /// Names of the graph's nodes: a descriptor's tag is an index here.
    pub names: Vec<String>,
    /// Words of each memory that are taken at most.
    pub taken: Vec<(Memory, usize)>,
    /// Image of each descriptor.
    pub(crate) images_of: Vec<usize>,
    pub(crate) record_layout: RecordLayout,
    /// Numbers from a tensor of one image to that of the next.
    pub(crate) stride_of_tensors: usize,
    pub(crate) layers: Layers,
    pub(crate) places: Places,
}

impl Compiled {
    /// The program as text.
    #[must_use]
    pub fn listing(&self) -> String {
        listing(&self.program, &self.names)
    }

    /// Records of other steps of the same network: another class, another schedule. Steps of one class for all
    /// images, or of each image's. The program stays valid for them unless it adds no noise and they do.
    ///
    /// # Errors
    /// Where the steps do not fit the network, or there are steps of several images for a program whose
    /// images share parameters.
    pub fn encode_records(
        &self,
        images: &[&[StepParams]],
        sampling: &[Step],
    ) -> Result<Vec<u8>, CompileError> {
        let most = if self.own_conditions { self.images } else { 1 };
        if images.len() != 1 && images.len() != most {
            return Err(CompileError::mismatch(format!(
                "steps of {} images, the program has parameters of {most}",
                images.len()
            )));
        }
        self.record_layout.encode(images, sampling)
    }

    /// Bytes that each pass loads from DDR.
    #[must_use]
    pub fn bytes_per_pass(&self) -> usize {
        let body = self.program.iter().skip_while(|d| !d.common.first);
        let body = body.take_while(|d| !matches!(d.op, Op::Loop(_)));
        let bytes = |d: &Descriptor| match d.op {
            Op::Load(load) => {
                let word = match Space::from_value(load.space) {
                    Some(Space::Weight) => self.target.weight_bytes(),
                    Some(Space::Weight4) => self.target.weight_bytes() / 2,
                    Some(Space::Stream) => 2 * self.target.shape.outputs,
                    Some(Space::State) => 16,
                    _ => 8,
                };
                load.words as usize * word
            }
            _ => 0,
        };
        body.map(bytes).sum()
    }

    /// First word of an image's stream in the stream memory; none for one that is
    /// not there as a whole.
    #[must_use]
    pub fn stream_place(&self, tensor: TensorId, image: usize) -> Option<usize> {
        self.places
            .get(Value::Stream(tensor + image * self.stride_of_tensors))
    }

    /// Where a stream lies that lives in DDR: offset in `data` of its first word, and bytes from one block of
    /// channels to the next. Others take its place once nothing reads it any more.
    #[must_use]
    pub fn stream_home(&self, tensor: TensorId, image: usize) -> Option<[usize; 2]> {
        let stream = tensor + image * self.stride_of_tensors;
        let home = self.layers.homes.get(&stream)?;
        let word = 2 * self.target.shape.outputs;
        let pitch = home_pitch(&self.layers, &self.target, stream);
        Some([self.layout.streams + home * word, pitch * word])
    }

    /// Image that a descriptor of the program works on; 0 for what serves all.
    #[must_use]
    pub fn image_of(&self, index: usize) -> usize {
        self.images_of.get(index).copied().unwrap_or(0)
    }

    /// Where an image's start state lies in `data`.
    #[must_use]
    pub fn state_in(&self, image: usize) -> Range<usize> {
        self.of_image(self.layout.state_in, 16, image)
    }

    /// Where an image's last state lies.
    #[must_use]
    pub fn state_out(&self, image: usize) -> Range<usize> {
        self.of_image(self.layout.state_out, 16, image)
    }

    /// Where an image's pixels lie.
    #[must_use]
    pub fn pixels_out(&self, image: usize) -> Range<usize> {
        self.of_image(self.layout.pixels_out, 4, image)
    }

    fn of_image(&self, first: usize, bytes: usize, image: usize) -> Range<usize> {
        let first = first + image * bytes * self.layers.state_pitch();
        first..first + bytes * self.layers.state_pixels
    }

    /// A start state (height x width x channels, Q24) as it goes to [`Compiled::state_in`].
    ///
    /// # Panics
    /// When `state` has not the size of the image.
    #[must_use]
    pub fn state_bytes(&self, state: &[i32]) -> Vec<u8> {
        let [height, width, channels] = self.image;
        assert_eq!(
            state.len(),
            height * width * channels,
            "values of the state"
        );
        let mut bytes = Vec::with_capacity(16 * height * width);
        for pixel in state.chunks_exact(channels) {
            for c in 0..4 {
                let value = pixel.get(c).copied().unwrap_or(0);
                bytes.extend(value.to_le_bytes());
            }
        }
        bytes
    }

    /// The inverse of [`Compiled::state_bytes`].
    #[must_use]
    pub fn state_of(&self, bytes: &[u8]) -> Vec<i32> {
        let channels = self.image[2];
        let value = |b: &[u8]| i32::from_le_bytes([b[0], b[1], b[2], b[3]]);
        bytes
            .chunks_exact(16)
            .flat_map(|pixel| pixel.chunks_exact(4).take(channels).map(value))
            .collect()
    }

    /// Pixels (height x width x channels) of what lies at [`Compiled::pixels_out`].
    #[must_use]
    pub fn pixels_of(&self, bytes: &[u8]) -> Vec<u8> {
        let channels = self.image[2];
        bytes
            .chunks_exact(4)
            .flat_map(|pixel| pixel[..channels].to_vec())
            .collect()
    }
}
