//! Part of the pass `band`: which convolutions are cut, and where.

use std::ops::Range;

use diffuser_model::graph::{Resample, TensorId};

use super::{Cutter, STREAM_PARTS};
use crate::layer::{ConvWork, Dest, Layer, OperandForm, PrepKind, PrepWork, Value};

/// Bands of a layer that live at once take this part of the operand memory: one is read, one is made.
const OPERAND_PARTS: usize = 2;

/// Operands without a norm that a 1x1 convolution reads alone are made in bands of at most this part of the operand
/// memory, even where there is room for the whole: see [`Cutter::is_paced`].
const PACED_PARTS: usize = 4;

/// Rows of an operand that a band of a convolution reads, and the padding above them.
pub(super) struct Reads {
    pub(super) rows: Range<usize>,
    pub(super) pad_top: usize,
}

impl Cutter<'_> {
    /// Whether a convolution is a row of bands because it, or what it reads, is too large: each has its part of the
    /// operand made.
    pub(super) fn must_be_cut(&self, layer: &Layer, conv: &ConvWork, prep: &PrepWork) -> bool {
        if conv.dest != Dest::Stream {
            return false;
        }
        let state = prep.kind == PrepKind::StatePlanes;
        let from_ddr = if state {
            self.state_in_ddr
        } else {
            prep.inputs.iter().any(|&t| self.in_ddr(t))
        };
        let operand = self.layers.operands[&conv.input].rows(self.target.shape);
        from_ddr
            || self.in_ddr(conv.output)
            || operand > self.target.operand
            || self.banding.finer.contains_key(&layer.place)
    }

    /// Whether a convolution is a row of bands because `prep` is slow: it makes an operand in the time in which a 1x1 convolution
    /// to four tiles of channels multiplies it. In bands, the first is made while the array still works on
    /// something else, and each of the others while it multiplies the one before.
    pub(super) fn is_paced(&self, list: &[Layer], conv: &ConvWork, prep: &PrepWork) -> bool {
        let operand = &self.layers.operands[&conv.input];
        let reads = |l: &&Layer| l.reads().contains(&Value::Operand(conv.input));
        prep.output == conv.input
            && matches!(prep.kind, PrepKind::Single | PrepKind::StreamPlanes)
            && prep.resample.is_none()
            && (conv.kernel, conv.stride, conv.dest) == (1, 1, Dest::Stream)
            && operand.rows(self.target.shape) > self.target.operand / PACED_PARTS
            && list.iter().filter(reads).count() == 1
    }

    pub(super) fn reads(&self, conv: &ConvWork, rows: &Range<usize>) -> Reads {
        let height = self.layers.operands[&conv.input].size[0];
        let up = if conv.upsample { 2 } else { 1 };
        let pad = conv.padding[0];
        let (top, bottom) = (
            rows.start * conv.stride,
            (rows.end - 1) * conv.stride + conv.kernel,
        );
        let first = top.saturating_sub(pad) / up;
        let last = bottom
            .saturating_sub(pad)
            .div_ceil(up)
            .clamp(first + 1, height.max(first + 1));
        Reads {
            rows: first..last,
            pad_top: first * up + pad - top,
        }
    }

    /// Where a band may begin.
    fn may_begin(&self, conv: &ConvWork, row: usize, alignment: usize) -> bool {
        let height = self.layers.operands[&conv.input].size[0];
        let up = if conv.upsample { 2 } else { 1 };
        let top = row * conv.stride;
        // no padding above: the first row that it reads is the operand's
        top >= conv.padding[0]
            && (top - conv.padding[0]).is_multiple_of(up)
            && (top - conv.padding[0]) / up < height
            && (row * conv.scale()).is_multiple_of(alignment)
    }

    /// Bands of result rows, as few as there is room for; where there is room for all, those of a paced convolution.
    pub(super) fn bands(
        &self,
        layer: &Layer,
        conv: &ConvWork,
        prep: &PrepWork,
    ) -> Vec<Range<usize>> {
        let shape = self.target.shape;
        let height = conv.size[0];
        let halvings = self.banding.finer.get(&layer.place).copied().unwrap_or(0);
        let paced = !self.must_be_cut(layer, conv, prep);
        let operand = &self.layers.operands[&conv.input];
        let up = if conv.upsample { 2 } else { 1 };
        let fits = |rows: usize, parts: bool| {
            let read = ((rows - 1) * conv.stride + conv.kernel).div_ceil(up) + usize::from(up > 1);
            let read = read.min(operand.size[0]);
            let form = OperandForm {
                size: [read, operand.size[1]],
                ..operand.clone()
            };
            let source = match prep.resample {
                Some(Resample::AveragePool2x) => 2 * read,
                _ => read,
            };
            let words = |t: TensorId, rows: usize| {
                let mut form = self.layers.streams[&t];
                form.size[0] = rows;
                if self.in_ddr(t) { form.words(shape) } else { 0 }
            };
            let inputs = prep.inputs.iter();
            let inputs: usize = match prep.kind {
                PrepKind::StatePlanes => 0,
                _ => inputs.map(|&t| words(t, source)).sum(),
            };
            let residual = conv.residual.map_or(0, |t| words(t, rows));
            let streams = inputs + residual + words(conv.output, conv.scale() * rows);
            let state = match prep.kind {
                PrepKind::StatePlanes if self.state_in_ddr => source * prep.size[1],
                _ => 0,
            };
            let parts = match (paced, parts) {
                (true, _) => PACED_PARTS,
                (false, true) => OPERAND_PARTS,
                (false, false) => 1,
            };
            form.rows(shape) <= (self.target.operand / parts) >> halvings
                && streams <= (self.target.stream / STREAM_PARTS) >> halvings
                && state <= self.target.state / STREAM_PARTS
        };
        if fits(height, false) {
            return std::iter::once(0..height).collect();
        }
        let rows = (1..height)
            .rev()
            .find(|&rows| fits(rows, true))
            .unwrap_or(1);
        let mut alignment = 1;
        if self.in_ddr(conv.output) {
            alignment = self.stream_alignment(conv.output);
        }
        cut(height, rows, |row| self.may_begin(conv, row, alignment))
    }
}

/// `0..height` in ranges of about `rows` that begin where they may.
pub(super) fn cut(
    height: usize,
    rows: usize,
    may_begin: impl Fn(usize) -> bool,
) -> Vec<Range<usize>> {
    let mut bands = Vec::new();
    let mut first = 0;
    while first < height {
        let most = (first + rows).min(height);
        let ends = |row: usize| row == height || may_begin(row);
        let back = (first + 1..=most).rev().find(|&row| ends(row));
        let end = back.or_else(|| (most..=height).find(|&row| ends(row)));
        let end = end.unwrap_or(height);
        bands.push(first..end);
        first = end;
    }
    bands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_begin_where_they_may() {
        assert_eq!(cut(10, 4, |_| true), [0..4, 4..8, 8..10]);
        assert_eq!(cut(9, 4, |row| row % 2 == 1), [0..3, 3..7, 7..9]);
        assert_eq!(cut(8, 1, |row| row % 4 == 0), [0..4, 4..8]);
        assert_eq!(cut(3, 8, |_| false).len(), 1);
    }
}
