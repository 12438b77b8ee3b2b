//! What the convolutions read: patches drawn along the calibration, and their moments.

use std::ops::Range;

use diffuser_model::graph::{Conv, Graph, Op, TensorId};
use diffuser_model::rewrite::Phase;
use diffuser_spec::philox::philox;
use rayon::prelude::*;

use super::Moments;

/// Most columns that are looked at together; more input channels than fit are cut in parts.
const MOST_COLUMNS: usize = 1152;

/// Bytes that the moments of all layers may take. Where they would take more, fewer columns are looked at
/// together: the sums grow with their square.
const MOST_BYTES: u64 = 1 << 30;

/// Patches to draw for a layer in all.
const PATCHES: u64 = 24_576;

/// Most patches to draw of one evaluation.
const MOST_AT_ONCE: u64 = 64;

/// Distinguishes these random numbers from those of noise.
const KEY: u32 = 0x7061_7463;

/// How a convolution reads its operand; several may read one in the same way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Site {
    operand: TensorId,
    kernel: usize,
    stride: usize,
    /// Above and at the left; phases have their own.
    padding: [usize; 2],
    /// What it consists of.
    phases: Vec<Option<Phase>>,
    /// Height, width and channels of the operand.
    source: [usize; 3],
    /// Number of output pixels (of a phase), and of those in a row.
    pub(super) pixels: [usize; 2],
}

/// Some input channels of a convolution, with all taps.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// How they are read, among all ways that there are.
    site: usize,
    /// The phase that reads them.
    phase: Option<Phase>,
    /// Its channels, counted from the node's first.
    pub channels: Range<usize>,
    /// Moments of its patches (`ky x kx x channels`).
    pub moments: Moments,
}

/// Moments of what every convolution reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs {
    sites: Vec<Site>,
    /// Site of each node that is a convolution.
    of_node: Vec<Option<usize>>,
    parts: Vec<Part>,
    seed: u64,
    per_evaluation: usize,
    images: u64,
}

/// Patches of one evaluation, for each part.
#[derive(Clone, Debug, PartialEq)]
pub struct Patches {
    place: [u32; 3],
    parts: Vec<Vec<f32>>,
}

impl Part {
    /// These channels of the first site, with patches of so many columns, none seen so far.
    #[cfg(test)]
    pub(crate) fn new(channels: Range<usize>, columns: usize) -> Self {
        Self {
            site: 0,
            phase: None,
            channels,
            moments: Moments::new(columns),
        }
    }
}

impl Inputs {
    /// For `evaluations` time steps of `images` images.
    #[must_use]
    pub fn new(graph: &Graph, seed: u64, images: u32, evaluations: usize) -> Self {
        let mut sites: Vec<Site> = vec![];
        let of_node = graph.nodes.iter().map(|node| match &node.op {
            Op::Conv(conv) => {
                let site = Site::new(graph, node.inputs[0], node.output, conv);
                Some(sites.iter().position(|s| *s == site).unwrap_or_else(|| {
                    sites.push(site);
                    sites.len() - 1
                }))
            }
            _ => None,
        });
        let of_node = of_node.collect();
        let parts = cut(&sites, MOST_BYTES)
            .into_iter()
            .map(|(site, phase, channels, columns)| Part {
                site,
                phase,
                moments: Moments::new(columns),
                channels,
            })
            .collect();
        let images = u64::from(images.max(1));
        let steps = evaluations.max(1) as u64;
        let per_evaluation = PATCHES.div_ceil(images * steps).min(MOST_AT_ONCE);
        Self {
            sites,
            of_node,
            parts,
            seed,
            per_evaluation: per_evaluation as usize,
            images: PATCHES.div_ceil(per_evaluation * steps),
        }
    }

    /// Number of images whose patches are best held at once.
    #[must_use]
    pub fn batch(&self) -> usize {
        (1024 / self.per_evaluation).max(1)
    }

    /// Nothing drawn yet of image `image` at step `step` of the sampler.
    #[must_use]
    pub fn patches(&self, image: u64, step: u32) -> Patches {
        Patches {
            place: [image as u32, (image >> 32) as u32, step],
            parts: vec![vec![]; self.parts.len()],
        }
    }

    /// Draw from one tensor of an evaluation, if any convolution reads it.
    pub fn draw(&self, patches: &mut Patches, id: TensorId, values: &[f32]) {
        let [image, ..] = patches.place;
        if u64::from(image) >= self.images {
            return;
        }
        for (i, site) in self.sites.iter().enumerate() {
            if site.operand != id {
                continue;
            }
            let count = self.per_evaluation.min(site.pixels[0]);
            let [low, high, step] = patches.place;
            let key = [self.seed as u32 ^ KEY, (self.seed >> 32) as u32];
            let random = |k: usize| philox([(i << 16 | k) as u32, low, high, step], key)[0];
            let pixels: Vec<usize> = stretches(site.pixels[0], count, random).collect();
            for (part, drawn) in self.parts.iter().zip(&mut patches.parts) {
                if part.site == i {
                    for &pixel in &pixels {
                        site.gather(values, pixel, part.phase, part.channels.clone(), drawn);
                    }
                }
            }
        }
    }

    /// Take in patches of several evaluations, in this order.
    pub fn add(&mut self, patches: &[Patches]) {
        self.parts.par_iter_mut().enumerate().for_each(|(i, part)| {
            let all: Vec<&[f32]> = patches.iter().map(|p| p.parts[i].as_slice()).collect();
            part.moments.add(&all.concat());
        });
    }

    /// All parts.
    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// All parts, to be filled.
    pub(crate) fn parts_mut(&mut self) -> &mut [Part] {
        &mut self.parts
    }

    /// The parts of a node's input channels, as a phase reads them if it has any; none for a node that is no
    /// convolution.
    pub fn of_node(&self, node: usize, phase: Option<Phase>) -> impl Iterator<Item = &Part> {
        let site = self.of_node[node];
        let own = move |p: &&Part| Some(p.site) == site && p.phase == phase;
        self.parts.iter().filter(own)
    }
}

/// One of each of `count` stretches of `pixels`, by random numbers of the stretches.
pub(super) fn stretches(
    pixels: usize,
    count: usize,
    random: impl Fn(usize) -> u32,
) -> impl Iterator<Item = usize> {
    (0..count).map(move |k| {
        let stretch = pixels * k / count..pixels * (k + 1) / count;
        stretch.start + random(k) as usize % stretch.len()
    })
}

/// Cut the input channels of all sites so that the moments of the parts stay within `bytes` in all: for each
/// part its site, phase, channels and number of columns.
fn cut(sites: &[Site], bytes: u64) -> Vec<(usize, Option<Phase>, Range<usize>, usize)> {
    let mut most = MOST_COLUMNS;
    loop {
        let parts: Vec<_> = (sites.iter().enumerate())
            .flat_map(|(i, site)| {
                let taps = site.kernel * site.kernel;
                let channels = site.source[2];
                let count = channels.div_ceil((most / taps).max(1));
                let ranges = move |&phase: &Option<Phase>| {
                    (0..count).map(move |k| {
                        let range = channels * k / count..channels * (k + 1) / count;
                        let columns = range.len() * taps;
                        (i, phase, range, columns)
                    })
                };
                site.phases.iter().flat_map(ranges)
            })
            .collect();
        let taken: u64 = parts.iter().map(|(.., c)| Moments::bytes(*c)).sum();
        if taken <= bytes || most == 1 {
            return parts;
        }
        most /= 2;
    }
}

impl Site {
    pub(super) fn new(graph: &Graph, operand: TensorId, output: TensorId, conv: &Conv) -> Self {
        let source = &graph.tensors[operand];
        // a phase makes as many pixels as it reads
        let target = &graph.tensors[if conv.phases { operand } else { output }];
        Self {
            operand,
            kernel: conv.kernel,
            stride: conv.stride,
            padding: [conv.padding[0], conv.padding[1]],
            phases: conv.parts().collect(),
            source: [source.height, source.width, source.channels],
            pixels: [target.height * target.width, target.width],
        }
    }

    /// What an output pixel reads of some channels, zeros outside the image.
    pub(super) fn gather(
        &self,
        values: &[f32],
        pixel: usize,
        phase: Option<Phase>,
        channels: Range<usize>,
        out: &mut Vec<f32>,
    ) {
        let [height, width, all] = self.source;
        let padding = phase.map_or(self.padding, Phase::padding);
        let (y, x) = (pixel / self.pixels[1], pixel % self.pixels[1]);
        for ky in 0..self.kernel {
            for kx in 0..self.kernel {
                let row = (y * self.stride + ky).wrapping_sub(padding[0]);
                let column = (x * self.stride + kx).wrapping_sub(padding[1]);
                if row < height && column < width {
                    let at = (row * width + column) * all;
                    out.extend(&values[at + channels.start..at + channels.end]);
                } else {
                    out.extend(channels.clone().map(|_| 0.0));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(stride: usize, padding: [usize; 2], pixels: [usize; 2]) -> Site {
        Site {
            operand: 0,
            kernel: 3,
            stride,
            padding,
            phases: vec![None],
            source: [4, 6, 5],
            pixels,
        }
    }

    #[test]
    fn parts_hold_every_channel_once_within_the_memory() {
        let wide = |channels| Site {
            source: [4, 6, channels],
            ..site(1, [1; 2], [24, 6])
        };
        let phases = Site {
            kernel: 2,
            phases: Phase::ALL.map(Some).to_vec(),
            ..wide(300)
        };
        let sites = [wide(512), wide(3), wide(200), phases];
        let mut counts = vec![];
        for bytes in [u64::MAX, 20 << 20, 5 << 20] {
            let parts = cut(&sites, bytes);
            assert!(parts.iter().map(|p| Moments::bytes(p.3)).sum::<u64>() <= bytes);
            for (i, site) in sites.iter().enumerate() {
                for &phase in &site.phases {
                    let own = parts.iter().filter(|p| p.0 == i && p.1 == phase);
                    let channels: Vec<usize> = own.flat_map(|p| p.2.clone()).collect();
                    assert!(channels.into_iter().eq(0..site.source[2]));
                }
            }
            counts.push(parts.len());
        }
        assert!(counts.windows(2).all(|w| w[0] < w[1]), "{counts:?}");
    }

    /// A patch is what the convolution's definition multiplies.
    #[test]
    fn patches_agree_with_the_definition() {
        let values: Vec<f32> = (1..=4 * 6 * 5).map(|i| i as f32).collect();
        let sites = [
            site(1, [1; 2], [24, 6]),
            site(2, [1; 2], [6, 3]),
            site(2, [0, 0], [6, 3]),
        ];
        for site in &sites {
            for pixel in 0..site.pixels[0] {
                let mut got = vec![];
                site.gather(&values, pixel, None, 1..4, &mut got);
                let mut want = vec![];
                for (ky, kx, c) in (0..27).map(|i| (i / 9, i / 3 % 3, 1 + i % 3)) {
                    let y = (pixel / site.pixels[1] * site.stride + ky) as isize;
                    let x = (pixel % site.pixels[1] * site.stride + kx) as isize;
                    let y = y - site.padding[0] as isize;
                    let x = x - site.padding[1] as isize;
                    let inside = (0..4).contains(&y) && (0..6).contains(&x);
                    want.push(if inside {
                        values[(y as usize * 6 + x as usize) * 5 + c]
                    } else {
                        0.0
                    });
                }
                assert_eq!(got, want, "{site:?} at {pixel}");
            }
        }
    }

    /// The patch of a phase holds what the 3x3 reads of the upsampled image, each pixel once.
    #[test]
    fn patches_of_phases_are_those_of_the_upsampled_image() {
        let small: Vec<f32> = (1..=4 * 6).map(|i| i as f32).collect();
        let large: Vec<f32> = (0..8 * 12)
            .map(|i| small[i / 12 / 2 * 6 + i % 12 / 2])
            .collect();
        let whole = Site {
            source: [8, 12, 1],
            ..site(1, [1; 2], [96, 12])
        };
        let phases = Site {
            kernel: 2,
            phases: Phase::ALL.map(Some).to_vec(),
            source: [4, 6, 1],
            ..site(1, [1; 2], [24, 6])
        };
        for phase in Phase::ALL {
            for pixel in 0..24 {
                let (mut got, mut want) = (vec![], vec![]);
                phases.gather(&small, pixel, Some(phase), 0..1, &mut got);
                whole.gather(&large, phase.pixel(pixel, 6), None, 0..1, &mut want);
                // the corners are all different, and two rows or columns of the three are the same
                let corners = [0, 2, 6, 8].map(|i: usize| want[i]);
                assert_eq!(got, corners, "{phase:?} {pixel}");
                let [a, b] = [phase.row, phase.column].map(|p| if p == 0 { 2 } else { 0 });
                assert_eq!(want[4], want[3 * a + b]);
            }
        }
    }
}
