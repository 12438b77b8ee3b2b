//! The quantised model's file: safetensors, with versioned JSON in its metadata.
//!
//! `docs/format.md` describes it. The layout is canonical (rows of `out x ky x kx x in`), no
//! kernel's; whatever an engine packs for itself is made when it loads.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use diffuser_spec::{Scale, weight4};
use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use crate::config::UnetConfig;
use crate::graph::{Graph, Op, TensorKind};
use crate::quantised::{
    ConvWeights, EmbeddingParams, Intervals, NodeParams, Provenance, QuantisedModel, TensorTable,
    WeightBits, WideLinear,
};
use crate::rewrite::Rewrites;

/// Version of a file whose weights all have 8 bits. A reader takes any file of a major version it knows.
pub const VERSION: &str = "1.0";

/// Version of a file with 4-bit weights. The major one, because readers of 1.0 take any minor version
/// and cannot execute these weights.
pub const VERSION_WEIGHT4: &str = "2.0";

/// Version of a file with convolutions in phases ([`Rewrites::phases_from`]), of either width: a reader that does
/// not know of rewrites would build another graph.
pub const VERSION_PHASES: &str = "3.0";

/// Version of a file with split blocks ([`Rewrites::split_from`]), in phases or not, of either width.
pub const VERSION_SPLIT: &str = "4.0";

/// Version of a file with a 4-bit weight of -8, rewritten or not: readers of the versions before refuse that weight.
pub const VERSION_LEAST_WEIGHT4: &str = "5.0";

/// All versions that are read.
const VERSIONS: [&str; 5] = [
    VERSION,
    VERSION_WEIGHT4,
    VERSION_PHASES,
    VERSION_SPLIT,
    VERSION_LEAST_WEIGHT4,
];

/// The metadata's one key. (One, because safetensors writes several in no fixed order, and the same
/// model must give the same bytes.)
const KEY: &str = "diffuser-quantised";

/// Why a quantised file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Reading or writing failed.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The content is not what it should be.
    #[error("{path}: {what}")]
    Content {
        /// The file.
        path: String,
        /// What is wrong, and what was expected.
        what: String,
    },
}

/// JSON in the metadata.
#[derive(Serialize, Deserialize)]
struct Metadata {
    version: String,
    config: UnetConfig,
    #[serde(default, skip_serializing_if = "Rewrites::is_none")]
    rewrites: Rewrites,
    scheduler: Option<serde_json::Value>,
    class_names: Vec<String>,
    provenance: Provenance,
    calibrated: Vec<u32>,
    intervals: Vec<u32>,
}

/// One array of the file.
struct Array {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl View for &Array {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }
    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// A number as it lies in the file, little-endian.
trait Element: Sized + Copy {
    const DTYPE: Dtype;
    const SIZE: usize;
    fn put(self, out: &mut Vec<u8>);
    fn get(bytes: &[u8]) -> Self;
}

macro_rules! element {
    ($($t:ty => $d:ident),*) => {$(
        impl Element for $t {
            const DTYPE: Dtype = Dtype::$d;
            const SIZE: usize = size_of::<$t>();
            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
            fn get(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().expect("chunks have this size"))
            }
        }
    )*};
}
element!(i8 => I8, u8 => U8, i16 => I16, u16 => U16, i32 => I32);

#[derive(Default)]
struct Writer {
    arrays: BTreeMap<String, Array>,
}

impl Writer {
    fn put<T: Element>(
        &mut self,
        name: String,
        shape: &[usize],
        values: impl IntoIterator<Item = T>,
    ) {
        let mut data = Vec::new();
        values.into_iter().for_each(|v| v.put(&mut data));
        debug_assert_eq!(data.len(), shape.iter().product::<usize>() * T::SIZE);
        self.arrays.insert(
            name,
            Array {
                dtype: T::DTYPE,
                shape: shape.to_vec(),
                data,
            },
        );
    }

    fn scales(&mut self, name: &str, scales: &[Scale]) {
        self.put(
            format!("{name}.mantissa"),
            &[scales.len()],
            scales.iter().map(|s| s.mantissa()),
        );
        self.put(
            format!("{name}.exponent"),
            &[scales.len()],
            scales.iter().map(|s| s.exponent()),
        );
    }

    /// Weights in their width: `weight`, or `weight4` with two input channels in a byte.
    fn weights(&mut self, name: &str, [out, ky, kx, channels]: [usize; 4], c: &ConvWeights) {
        match c.bits {
            WeightBits::Eight => self.put(
                format!("{name}.weight"),
                &[out, ky, kx, channels],
                c.weight.iter().copied(),
            ),
            WeightBits::Four => {
                let row = |row: &[i8]| -> Vec<u8> {
                    let pair = |w: &[i8]| weight4::pack(w[0], w.get(1).copied().unwrap_or(0));
                    row.chunks(2).map(pair).collect()
                };
                self.put(
                    format!("{name}.weight4"),
                    &[out, ky, kx, channels.div_ceil(2)],
                    c.weight.chunks_exact(channels).flat_map(row),
                );
            }
        }
    }

    fn wide(&mut self, name: &str, layer: &WideLinear) {
        let rows = layer.bias.len();
        self.put(
            format!("{name}.weight"),
            &[rows, layer.weight.len() / rows],
            layer.weight.iter().copied(),
        );
        self.scales(&format!("{name}.scale"), &layer.scale);
        self.put(format!("{name}.bias"), &[rows], layer.bias.iter().copied());
    }
}

/// Name of a node's or tensor's arrays: its number keeps them in order and apart.
fn key(kind: &str, index: usize, name: &str) -> String {
    format!("{kind}.{index:03}.{name}")
}

impl QuantisedModel {
    /// The version that its file has: the oldest that can hold it.
    #[must_use]
    pub fn format_version(&self) -> &'static str {
        let of_four = |n: &'_ NodeParams| match n {
            NodeParams::Conv(c) if c.bits == WeightBits::Four => {
                Some(c.weight.iter().min().copied())
            }
            _ => None,
        };
        let least: Vec<Option<i8>> = self.nodes.iter().filter_map(of_four).collect();
        let rewrites = self.rewrites.used(&self.graph);
        if least
            .iter()
            .flatten()
            .any(|&w| i32::from(w) < -weight4::WEIGHT4_MAX)
        {
            VERSION_LEAST_WEIGHT4
        } else if rewrites.split_from.is_some() {
            VERSION_SPLIT
        } else if rewrites.phases_from.is_some() {
            VERSION_PHASES
        } else if !least.is_empty() {
            VERSION_WEIGHT4
        } else {
            VERSION
        }
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// When the header cannot be written (a name or size that safetensors does not take).
    pub fn to_bytes(&self) -> Result<Vec<u8>, FileError> {
        let mut w = Writer::default();
        for (i, (table, info)) in self.tensors.iter().zip(&self.graph.tensors).enumerate() {
            let name = key("tensor", i, &info.name);
            match table {
                TensorTable::State { shift } => w.put(
                    format!("{name}.shift"),
                    &[shift.len()],
                    shift.iter().copied(),
                ),
                TensorTable::Stream { exponent } => {
                    w.put(
                        format!("{name}.exponent"),
                        &[exponent.len()],
                        exponent.iter().copied(),
                    );
                }
                TensorTable::Gain { gain, zero_point } => {
                    w.put(format!("{name}.gain"), &[gain.len()], gain.iter().copied());
                    w.put(
                        format!("{name}.zero_point"),
                        &[zero_point.len()],
                        zero_point.iter().copied(),
                    );
                }
                TensorTable::Planes => {}
                TensorTable::Step { step } => w.scales(&format!("{name}.step"), step),
            }
        }
        for (i, (params, node)) in self.nodes.iter().zip(&self.graph.nodes).enumerate() {
            let name = key("node", i, &node.name);
            match params {
                NodeParams::Norm { gamma, beta } => {
                    w.put(
                        format!("{name}.gamma"),
                        &[gamma.len()],
                        gamma.iter().copied(),
                    );
                    w.put(format!("{name}.beta"), &[beta.len()], beta.iter().copied());
                }
                NodeParams::Conv(c) => {
                    let Op::Conv(conv) = &node.op else { continue };
                    let shape = [
                        conv.weight_rows(),
                        conv.kernel,
                        conv.kernel,
                        conv.input_channels.len(),
                    ];
                    w.weights(&name, shape, c);
                    w.scales(&format!("{name}.scale"), &c.scale);
                    w.put(
                        format!("{name}.bias"),
                        &[c.bias.len()],
                        c.bias.iter().copied(),
                    );
                }
                NodeParams::None => {}
            }
        }
        let e = &self.embedding;
        w.wide("embedding.time.0", &e.time[0]);
        w.wide("embedding.time.1", &e.time[1]);
        if !e.classes.is_empty() {
            let width = e.time[1].bias.len();
            w.put(
                "embedding.classes".into(),
                &[e.classes.len() / width, width],
                e.classes.iter().copied(),
            );
        }
        for (i, p) in e.projections.iter().enumerate() {
            w.wide(&format!("embedding.projection.{i:03}"), p);
        }
        let metadata = Metadata {
            version: self.format_version().into(),
            config: self.config.clone(),
            rewrites: self.rewrites,
            scheduler: self.scheduler.clone(),
            class_names: self.class_names.clone(),
            provenance: self.provenance.clone(),
            calibrated: self.calibrated.clone(),
            intervals: self.intervals.starts.clone(),
        };
        let json = serde_json::to_string(&metadata).map_err(|e| content("quantised model", e))?;
        let info = HashMap::from([(KEY.to_owned(), json)]);
        safetensors::serialize(w.arrays.iter().map(|(k, v)| (k.as_str(), v)), Some(info))
            .map_err(|e| content("quantised model", e))
    }

    /// Read a file.
    ///
    /// # Errors
    /// When it cannot be read, or is not a quantised model of a version that this code knows.
    pub fn load(path: &Path) -> Result<Self, FileError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| FileError::Io {
            path: name.clone(),
            source,
        })?;
        Self::from_bytes(&bytes, &name)
    }

    /// Read a file's bytes; `name` stands in error messages.
    ///
    /// # Errors
    /// As [`QuantisedModel::load`].
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Self, FileError> {
        let r = Reader::open(bytes, name)?;
        let m = &r.metadata;
        let graph = crate::build_graph::build_graph_with(&m.config, m.rewrites)
            .map_err(|e| content(name, e))?;
        check_intervals(&m.intervals).map_err(|what| content(name, what))?;
        let rows = m.intervals.len();
        let tensors = (0..graph.tensors.len())
            .map(|i| r.table(&graph, i, rows))
            .collect::<Result<Vec<_>, _>>()?;
        let nodes = (0..graph.nodes.len())
            .map(|i| r.node(&graph, i))
            .collect::<Result<Vec<_>, _>>()?;
        let embedding = r.embedding(&graph, &m.config)?;
        Ok(Self {
            graph,
            tensors,
            nodes,
            embedding,
            intervals: Intervals {
                starts: r.metadata.intervals,
            },
            config: r.metadata.config,
            rewrites: r.metadata.rewrites,
            scheduler: r.metadata.scheduler,
            class_names: r.metadata.class_names,
            provenance: r.metadata.provenance,
            calibrated: r.metadata.calibrated,
        })
    }
}

fn content(path: &str, what: impl std::fmt::Display) -> FileError {
    FileError::Content {
        path: path.to_owned(),
        what: what.to_string(),
    }
}

fn check_intervals(starts: &[u32]) -> Result<(), String> {
    if starts.first() != Some(&0) || starts.windows(2).any(|w| w[0] >= w[1]) {
        return Err("the intervals of its tables must start at 0 and ascend".into());
    }
    Ok(())
}

/// The file's arrays, each checked for type and shape as it is read.
struct Reader<'a> {
    name: &'a str,
    arrays: SafeTensors<'a>,
    metadata: Metadata,
}

impl<'a> Reader<'a> {
    fn open(bytes: &'a [u8], name: &'a str) -> Result<Self, FileError> {
        let not_ours = |e| content(name, format!("not a safetensors file: {e}"));
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(not_ours)?;
        let arrays = SafeTensors::deserialize(bytes).map_err(not_ours)?;
        let entries = header.metadata().clone().unwrap_or_default();
        let Some(json) = entries.get(KEY) else {
            let what = format!("not a quantised model (no `{KEY}` in its metadata)");
            return Err(content(name, what));
        };
        // the version first: of another major version nothing else can be relied on
        let version = serde_json::from_str::<serde_json::Value>(json)
            .ok()
            .and_then(|v| Some(v.get("version")?.as_str()?.to_owned()))
            .unwrap_or_default();
        let major = |version: &str| version.split('.').next().map(str::to_owned);
        if VERSIONS.iter().all(|known| major(known) != major(&version)) {
            let known = VERSIONS.join(", ");
            let what =
                format!("format version `{version}` is not known; this program reads {known}");
            return Err(content(name, what));
        }
        let metadata = serde_json::from_str(json)
            .map_err(|e| content(name, format!("metadata `{KEY}`: {e}")))?;
        Ok(Self {
            name,
            arrays,
            metadata,
        })
    }

    fn get<T: Element>(&self, key: &str, shape: &[usize]) -> Result<Vec<T>, FileError> {
        let view = self
            .arrays
            .tensor(key)
            .map_err(|_| content(self.name, format!("tensor `{key}` is missing")))?;
        if view.dtype() != T::DTYPE || view.shape() != shape {
            let (d, s) = (view.dtype(), view.shape());
            let what = format!(
                "tensor `{key}` is {d:?} {s:?}, expected {:?} {shape:?}",
                T::DTYPE
            );
            return Err(content(self.name, what));
        }
        Ok(view.data().chunks_exact(T::SIZE).map(T::get).collect())
    }

    /// As [`Reader::get`], each value checked.
    fn get_in<T: Element + PartialOrd + std::fmt::Display>(
        &self,
        key: &str,
        shape: &[usize],
        low: T,
        high: T,
    ) -> Result<Vec<T>, FileError> {
        let values = self.get::<T>(key, shape)?;
        match values.iter().find(|&&v| v < low || v > high) {
            Some(v) => Err(content(
                self.name,
                format!("tensor `{key}` holds {v}, expected {low} to {high}"),
            )),
            None => Ok(values),
        }
    }

    fn scales(&self, key: &str, n: usize) -> Result<Vec<Scale>, FileError> {
        let mantissa = self.get::<u16>(&format!("{key}.mantissa"), &[n])?;
        let exponent = self.get_in::<i16>(&format!("{key}.exponent"), &[n], -150, 150)?;
        mantissa
            .iter()
            .zip(exponent)
            .map(|(&m, e)| {
                Scale::new(m, e).map_err(|e| content(self.name, format!("tensor `{key}`: {e}")))
            })
            .collect()
    }

    fn table(&self, graph: &Graph, i: usize, rows: usize) -> Result<TensorTable, FileError> {
        let info = &graph.tensors[i];
        let name = key("tensor", i, &info.name);
        let has = |suffix: &str| self.arrays.tensor(&format!("{name}.{suffix}")).is_ok();
        let node = graph.nodes.iter().find(|n| n.output == i);
        let of_state = node.is_some_and(|n| n.inputs.contains(&Graph::INPUT));
        let producer = node.map(|n| &n.op);
        Ok(match (info.kind, producer) {
            (TensorKind::Input, _) => TensorTable::State {
                shift: self.get_in(&format!("{name}.shift"), &[rows], 0, 24)?,
            },
            (TensorKind::Stream, _) => TensorTable::Stream {
                exponent: self.get_in(&format!("{name}.exponent"), &[rows], -16, 20)?,
            },
            (TensorKind::Operand, Some(Op::Conv(_))) => TensorTable::Step {
                step: self.scales(&format!("{name}.step"), rows)?,
            },
            // the state has no form of one plane
            (TensorKind::Operand, Some(Op::Quantise { .. })) if of_state || !has("gain") => {
                TensorTable::Planes
            }
            (TensorKind::Operand, _) => TensorTable::Gain {
                gain: self.get_in(&format!("{name}.gain"), &[rows], 1, i16::MAX)?,
                zero_point: self.get_in(&format!("{name}.zero_point"), &[rows], -127, 127)?,
            },
        })
    }

    fn node(&self, graph: &Graph, i: usize) -> Result<NodeParams, FileError> {
        let node = &graph.nodes[i];
        let name = key("node", i, &node.name);
        Ok(match &node.op {
            Op::Norm(_) => {
                let channels = node.inputs.iter().map(|&t| graph.tensors[t].channels).sum();
                NodeParams::Norm {
                    gamma: self.get(&format!("{name}.gamma"), &[channels])?,
                    beta: self.get(&format!("{name}.beta"), &[channels])?,
                }
            }
            Op::Conv(c) => {
                let shape = [c.weight_rows(), c.kernel, c.kernel, c.input_channels.len()];
                let (weight, bits) = self.weights(&name, shape)?;
                NodeParams::Conv(ConvWeights {
                    weight,
                    bits,
                    scale: self.scales(&format!("{name}.scale"), c.weight_rows())?,
                    bias: self.get(&format!("{name}.bias"), &[c.weight_rows()])?,
                })
            }
            _ => NodeParams::None,
        })
    }

    /// Weights of 4 bits if the file has them for this layer, else of 8.
    fn weights(&self, name: &str, shape: [usize; 4]) -> Result<(Vec<i8>, WeightBits), FileError> {
        let four = format!("{name}.weight4");
        if self.arrays.tensor(&four).is_err() {
            let weights = self.get_in(&format!("{name}.weight"), &shape, -127, 127)?;
            return Ok((weights, WeightBits::Eight));
        }
        let [out, ky, kx, channels] = shape;
        let row = channels.div_ceil(2);
        let bytes = self.get::<u8>(&four, &[out, ky, kx, row])?;
        let mut weights = Vec::with_capacity(out * ky * kx * channels);
        for row in bytes.chunks_exact(row.max(1)) {
            let mut pairs = row.iter().flat_map(|&b| weight4::unpack(b));
            weights.extend(pairs.by_ref().take(channels));
            if pairs.any(|w| w != 0) {
                let what = format!(
                    "tensor `{four}` holds a weight beyond its {channels} channels, expected 0"
                );
                return Err(content(self.name, what));
            }
        }
        Ok((weights, WeightBits::Four))
    }

    fn wide(&self, name: &str, outputs: usize, inputs: usize) -> Result<WideLinear, FileError> {
        Ok(WideLinear {
            weight: self.get(&format!("{name}.weight"), &[outputs, inputs])?,
            scale: self.scales(&format!("{name}.scale"), outputs)?,
            bias: self.get(&format!("{name}.bias"), &[outputs])?,
        })
    }

    fn embedding(&self, graph: &Graph, config: &UnetConfig) -> Result<EmbeddingParams, FileError> {
        let width = config.embedding();
        let projections = graph
            .projections
            .iter()
            .enumerate()
            .map(|(i, p)| self.wide(&format!("embedding.projection.{i:03}"), p.outputs, width))
            .collect::<Result<_, _>>()?;
        let classes = match config.num_class_embeds {
            Some(n) => self.get("embedding.classes", &[n, width])?,
            None => Vec::new(),
        };
        let time = [
            self.wide("embedding.time.0", width, config.block_out_channels[0])?,
            self.wide("embedding.time.1", width, width)?,
        ];
        Ok(EmbeddingParams {
            time,
            classes,
            projections,
        })
    }
}
