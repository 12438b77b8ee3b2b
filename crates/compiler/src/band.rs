//! Pass `band`: what is larger than its memory goes through it in bands of rows.
//!
//! Before: each layer works on whole tensors. After: streams of many pixels live in DDR, and a layer that reads or makes one,
//! or whose operand is larger than the operand memory, is a row of bands. For each band of result rows the input's rows,
//! with those above and below that the kernel reads, are loaded and prepared, and the result's are stored:
//!
//! ```text
//! load 0  prep 0 | load 1  conv 0  prep 1 | load 2  store 0  conv 1  prep 2 | ...
//! ```
//!
//! Transfers and `prep` work ahead of the array. Channel sums are kept over all bands, so that a norm reads
//! every stream once for its sums, as it is made, and once more band by band. Attention is never cut: its
//! operands lie in memory as wholes.

mod resample;
mod rows;

use std::collections::BTreeMap;
use std::ops::Range;

use diffuser_model::graph::{Resample, TensorId};

use crate::error::CompileError;
use crate::layer::{
    ConvWork, Dest, Layer, Layers, OperandForm, PrepKind, PrepWork, Transfer, Work,
};
use crate::records::ALIGNMENT;
use crate::target::Target;
use rows::Reads;

/// What one band loads and makes takes this part of the stream memory: while one is worked on, the next is loaded
/// and the last is stored.
const STREAM_PARTS: usize = 2;

/// What is cut, and how finely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banding {
    /// Streams of at least so many pixels live in DDR.
    pub pixels: usize,
    /// How often the room for the bands of a layer, by its place, is halved.
    finer: BTreeMap<usize, u32>,
}

/// How often the room for bands is halved at most.
const MOST_HALVINGS: u32 = 8;

impl Banding {
    /// Nothing more than must be, with all streams of at least so many pixels in DDR.
    #[must_use]
    pub const fn new(pixels: usize) -> Self {
        Self {
            pixels,
            finer: BTreeMap::new(),
        }
    }

    /// Smaller bands at one place; false where they are as small as they get.
    pub fn reduce(&mut self, layers: &Layers, place: usize) -> bool {
        let at_place = |l: &&Layer| l.place == place && l.node.is_some();
        let made = layers
            .list
            .iter()
            .filter(at_place)
            .find_map(|l| match &l.work {
                Work::Prep(prep) => Some(prep.output),
                _ => None,
            });
        // the bands of an operand are those of the convolution that reads it
        let own = layers.list.iter().find(|l| match &l.work {
            Work::Conv(conv) => {
                conv.dest == Dest::Stream && (l.place == place || Some(conv.input) == made)
            }
            Work::Sample(_) => l.place == place,
            Work::Prep(prep) => l.place == place && prep.kind == PrepKind::Stream,
            _ => false,
        });
        let Some(own) = own else {
            return false;
        };
        let halvings = self.finer.entry(own.place).or_default();
        *halvings += 1;
        *halvings <= MOST_HALVINGS
    }
}

/// Run the pass.
///
/// # Errors
/// [`CompileError::Unsupported`] for what cannot be cut.
pub fn band(layers: &mut Layers, banding: &Banding, target: &Target) -> Result<(), CompileError> {
    let list = std::mem::take(&mut layers.list);
    let next = layers.next_tensor();
    let state_in_ddr = layers.images * layers.state_pixels > target.state;
    layers.state_in_ddr = state_in_ddr;
    let mut cutter = Cutter {
        layers,
        banding,
        target,
        next,
        state_in_ddr,
        begun: None,
        first: BTreeMap::new(),
        made: vec![],
    };
    for (i, layer) in list.iter().enumerate() {
        cutter.layer(&list, i, layer)?;
    }
    let made = cutter.made;
    layers.list = made;
    Ok(())
}

struct Cutter<'a> {
    layers: &'a mut Layers,
    banding: &'a Banding,
    target: &'a Target,
    /// The next number for a tensor.
    next: TensorId,
    state_in_ddr: bool,
    /// The band of a result whose first half of phases is made.
    begun: Option<TensorId>,
    /// First bands of operands that are made where the whole was, by the whole: the operand, and the padding above it.
    first: BTreeMap<TensorId, (TensorId, usize)>,
    made: Vec<Layer>,
}

impl Cutter<'_> {
    fn in_ddr(&self, stream: TensorId) -> bool {
        let form = self.layers.streams[&stream];
        // one block of channels is little: the network's output
        let small = form.channels <= self.target.shape.outputs
            && !self.state_in_ddr
            && form.pixels() <= self.target.stream / STREAM_PARTS;
        form.pixels() >= self.banding.pixels && !small
    }

    fn number(&mut self) -> TensorId {
        self.next += 1;
        self.next - 1
    }

    fn push(&mut self, of: &Layer, work: Work) {
        let layer = Layer { work, ..of.clone() };
        self.made.push(layer);
    }

    fn layer(&mut self, list: &[Layer], index: usize, layer: &Layer) -> Result<(), CompileError> {
        match &layer.work {
            Work::Prep(prep) if prep.kind == PrepKind::Stream => self.resample(layer, prep),
            Work::Prep(prep) => {
                // who reads bands has them made; the first of paced ones is made where the whole was
                let mut paced = None;
                for reader in list {
                    let Work::Conv(conv) = &reader.work else {
                        continue;
                    };
                    if conv.input != prep.output || self.must_be_cut(reader, conv, prep) {
                        continue;
                    }
                    if !self.is_paced(list, conv, prep) {
                        let rows = 0..self.layers.operands[&prep.output].size[0];
                        let work = self.prepared(layer, prep, rows, None)?;
                        self.push(layer, work);
                        return Ok(());
                    }
                    paced = Some((reader, conv));
                }
                if let Some((reader, conv)) = paced {
                    let rows = self.bands(reader, conv, prep).swap_remove(0);
                    let (operand, reads) = self.operand(conv, &rows);
                    self.first.insert(conv.input, (operand, reads.pad_top));
                    let work = self.prepared(layer, prep, reads.rows, Some(operand))?;
                    self.push(layer, work);
                }
                Ok(())
            }
            Work::Conv(conv) => {
                let prep = list[..index].iter().rev().find_map(|l| match &l.work {
                    Work::Prep(prep) if prep.output == conv.input => Some((l, prep)),
                    _ => None,
                });
                let cut = prep.filter(|(_, prep)| {
                    self.must_be_cut(layer, conv, prep) || self.is_paced(list, conv, prep)
                });
                if let Some((of, prep)) = cut {
                    return self.conv(layer, conv, of, prep);
                }
                let rows = 0..conv.size[0];
                let (work, store) = self.convolved(layer, conv, rows, None);
                self.push(layer, work);
                self.made.extend(store);
                Ok(())
            }
            Work::Sample(sample) => {
                self.sample(layer, sample);
                Ok(())
            }
            _ => {
                self.push(layer, layer.work.clone());
                Ok(())
            }
        }
    }

    /// Rows that a transfer begins at a multiple of: rows of so many bytes, 64 in a transfer's unit.
    fn row_alignment(&self, bytes: usize) -> usize {
        let mut rows = 1;
        while !(rows * bytes).is_multiple_of(ALIGNMENT) {
            rows *= 2;
        }
        rows
    }

    fn stream_alignment(&self, stream: TensorId) -> usize {
        let width = self.layers.streams[&stream].size[1];
        self.row_alignment(2 * self.target.shape.outputs * width)
    }

    /// Rows of a stream, loaded where it lives in DDR: the stream that holds them, and where they begin in it.
    fn rows_of(&mut self, of: &Layer, stream: TensorId, rows: &Range<usize>) -> (TensorId, usize) {
        if !self.in_ddr(stream) {
            return (stream, rows.start);
        }
        let alignment = self.stream_alignment(stream);
        let first = rows.start - rows.start % alignment;
        let band = self.number();
        let mut form = self.layers.streams[&stream];
        form.size[0] = rows.end - first;
        self.layers.streams.insert(band, form);
        let transfer = Transfer {
            stream: band,
            home: stream,
            row: first,
        };
        self.push(of, Work::Load(transfer));
        (band, rows.start - first)
    }

    /// Rows of an image's state; where that lives in DDR, they are loaded.
    fn state_rows(&mut self, of: &Layer, rows: &Range<usize>, width: usize) -> (TensorId, usize) {
        let alignment = self.row_alignment(16 * width);
        let first = rows.start - rows.start % alignment;
        let band = self.number();
        self.layers.states.insert(band, [rows.end - first, width]);
        let transfer = Transfer {
            stream: band,
            home: band,
            row: first,
        };
        self.push(of, Work::LoadState(transfer));
        (band, rows.start - first)
    }

    /// The `prep` of some rows of its result, after the loads of what it reads; `into` an operand of these rows alone.
    fn prepared(
        &mut self,
        of: &Layer,
        prep: &PrepWork,
        rows: Range<usize>,
        into: Option<TensorId>,
    ) -> Result<Work, CompileError> {
        let source = match prep.resample {
            None => rows,
            Some(Resample::AveragePool2x) => 2 * rows.start..2 * rows.end,
            Some(Resample::Nearest2x) => rows.start / 2..rows.end.div_ceil(2),
        };
        let mut work = prep.clone();
        work.size[0] = source.len();
        work.output = into.unwrap_or(prep.output);
        if prep.kind == PrepKind::StatePlanes {
            if self.state_in_ddr {
                let (band, row) = self.state_rows(of, &source, prep.size[1]);
                (work.inputs[0], work.from_rows[0]) = (band, row);
                work.state_band = true;
            } else {
                work.from_rows[0] = source.start;
            }
        } else {
            for (i, &stream) in prep.inputs.iter().enumerate() {
                let (band, row) = self.rows_of(of, stream, &source);
                (work.inputs[i], work.from_rows[i]) = (band, row);
            }
        }
        Ok(Work::Prep(work))
    }

    /// The convolution of some rows of its result, after the load of a residual, and the store of what it makes.
    fn convolved(
        &mut self,
        of: &Layer,
        conv: &ConvWork,
        rows: Range<usize>,
        operand: Option<(TensorId, usize)>,
    ) -> (Work, Option<Layer>) {
        let mut work = conv.clone();
        work.size[0] = rows.len();
        if let Some((operand, pad_top)) = operand {
            (work.input, work.padding[0]) = (operand, pad_top);
        }
        let scale = conv.scale();
        work.add_sums = conv.sums && (rows.start > 0 || conv.half == Some(1));
        if let Some(residual) = conv.residual {
            let (band, row) = self.rows_of(of, residual, &rows);
            (work.residual, work.residual_row) = (Some(band), row);
        }
        if conv.dest != Dest::Stream || !self.in_ddr(conv.output) {
            work.to_row = scale * rows.start;
            return (Work::Conv(work), None);
        }
        // the second half of the phases fills up what the first has begun
        let begun = conv.half == Some(1);
        let band = self.begun.take().filter(|_| begun);
        let band = band.unwrap_or_else(|| self.number());
        let mut form = self.layers.streams[&conv.output];
        form.size[0] = scale * rows.len();
        self.layers.streams.insert(band, form);
        work.output = band;
        if conv.half == Some(0) {
            self.begun = Some(band);
            return (Work::Conv(work), None);
        }
        let store = Transfer {
            stream: band,
            home: conv.output,
            row: scale * rows.start,
        };
        let store = Layer {
            work: Work::Store(store),
            ..of.clone()
        };
        (Work::Conv(work), Some(store))
    }

    /// An operand of the rows that a band of a result reads.
    fn operand(&mut self, conv: &ConvWork, rows: &Range<usize>) -> (TensorId, Reads) {
        let reads = self.reads(conv, rows);
        let form = OperandForm {
            size: [reads.rows.len(), self.layers.operands[&conv.input].size[1]],
            ..self.layers.operands[&conv.input].clone()
        };
        let operand = self.number();
        self.layers.operands.insert(operand, form);
        (operand, reads)
    }

    fn conv(
        &mut self,
        layer: &Layer,
        conv: &ConvWork,
        of: &Layer,
        prep: &PrepWork,
    ) -> Result<(), CompileError> {
        let of = &Layer {
            place: layer.place,
            ..of.clone()
        };
        // phases of the upper and of the lower rows of the result begin at different rows of the operand
        let halves: &[Option<usize>] = if conv.phases {
            &[Some(0), Some(1)]
        } else {
            &[None]
        };
        let half = |&half: &Option<usize>| ConvWork {
            half,
            padding: half.map_or(conv.padding, |row| [1 - row, conv.padding[1]]),
            ..conv.clone()
        };
        let convs: Vec<ConvWork> = halves.iter().map(half).collect();
        let rows = self.bands(layer, &convs[0], prep);
        let bands: Vec<(&ConvWork, Range<usize>)> = rows
            .into_iter()
            .flat_map(|rows| convs.iter().map(move |conv| (conv, rows.clone())))
            .collect();
        let mut operands: Vec<(TensorId, usize)> = Vec::new();
        let mut preps: Vec<Option<Work>> = Vec::new();
        let mut stored: Option<Layer> = None;
        for (b, (conv, rows)) in bands.iter().enumerate() {
            // the first band is prepared in front of all, the others one ahead
            let behind = bands.iter().enumerate().take(b + 2).skip(preps.len());
            for (ahead, (conv, rows)) in behind {
                if let Some(first) = self.first.remove(&conv.input) {
                    operands.push(first);
                    preps.push(None);
                    continue;
                }
                let (operand, reads) = self.operand(conv, rows);
                let work = self.prepared(of, prep, reads.rows, Some(operand))?;
                operands.push((operand, reads.pad_top));
                if ahead == 0 {
                    self.push(of, work);
                    preps.push(None);
                } else {
                    preps.push(Some(work));
                }
            }
            // what is loaded does not wait behind what is stored
            let (work, store) = self.convolved(layer, conv, rows.clone(), Some(operands[b]));
            self.made.extend(stored.take());
            self.push(layer, work);
            stored = store;
            if let Some(work) = preps.get_mut(b + 1).and_then(Option::take) {
                self.push(of, work);
            }
        }
        self.made.extend(stored);
        Ok(())
    }
}
