//! Part of the pass `band`: streams resampled to streams, and the sampler's update.

use super::rows::cut;
use super::{Cutter, STREAM_PARTS};
use crate::error::CompileError;
use crate::layer::{Layer, PrepWork, SampleWork, Transfer, Work};

impl Cutter<'_> {
    /// A stream resampled to a stream.
    pub(super) fn resample(&mut self, layer: &Layer, prep: &PrepWork) -> Result<(), CompileError> {
        let input = prep.inputs[0];
        if !self.in_ddr(input) && !self.in_ddr(prep.output) {
            self.push(layer, Work::Prep(prep.clone()));
            return Ok(());
        }
        let form = self.layers.streams[&prep.output];
        let halvings = self.banding.finer.get(&layer.place).copied().unwrap_or(0);
        let blocks = form.channels.div_ceil(self.target.shape.outputs);
        let room = (self.target.stream / STREAM_PARTS) >> halvings;
        // result and source together: the larger of both has at most four times the other's pixels
        let largest = form.size[1].max(prep.size[1]) * blocks * 4;
        let rows = (room / largest.max(1)).max(1).next_multiple_of(2);
        let alignment = self.stream_alignment(prep.output);
        let begins = |row: usize| row.is_multiple_of(alignment) && row.is_multiple_of(2);
        let bands = cut(form.size[0], rows, begins);
        if prep.sums && bands.len() > 1 {
            return Err(CompileError::unsupported(
                &layer.name,
                format!(
                    "a norm of a resampled stream of {} x {} pixels, which takes {} bands: expected one",
                    form.size[0],
                    form.size[1],
                    bands.len()
                ),
            ));
        }
        for rows in bands {
            let into = self.in_ddr(prep.output).then(|| self.number());
            let Work::Prep(mut work) = self.prepared(layer, prep, rows.clone(), into)? else {
                unreachable!("a prep is prepared");
            };
            match into {
                Some(band) => {
                    let mut form = form;
                    form.size[0] = rows.len();
                    self.layers.streams.insert(band, form);
                    self.push(layer, Work::Prep(work));
                    let store = Transfer {
                        stream: band,
                        home: prep.output,
                        row: rows.start,
                    };
                    self.push(layer, Work::Store(store));
                }
                None => {
                    work.to_row = rows.start;
                    self.push(layer, Work::Prep(work));
                }
            }
        }
        Ok(())
    }

    pub(super) fn sample(&mut self, layer: &Layer, sample: &SampleWork) {
        let form = self.layers.streams[&sample.stream];
        if !self.in_ddr(sample.stream) && !self.state_in_ddr {
            self.push(layer, Work::Sample(sample.clone()));
            return;
        }
        let width = form.size[1];
        let words = form.words(self.target.shape) / form.size[0];
        let of_stream = self.target.stream / STREAM_PARTS / words;
        let of_state = self.target.state / STREAM_PARTS / width;
        let rows = if self.state_in_ddr {
            of_stream.min(of_state)
        } else {
            of_stream
        };
        let halvings = self.banding.finer.get(&layer.place).copied().unwrap_or(0);
        let alignment = self.row_alignment(16 * width);
        let begins = |row: usize| row.is_multiple_of(alignment);
        for rows in cut(form.size[0], (rows >> halvings).max(1), begins) {
            let (stream, stream_row) = self.rows_of(layer, sample.stream, &rows);
            let mut work = SampleWork {
                stream,
                stream_row,
                row: rows.start,
                rows: rows.len(),
                state: None,
            };
            if !self.state_in_ddr {
                self.push(layer, Work::Sample(work));
                continue;
            }
            let (state, _) = self.state_rows(layer, &rows, width);
            (work.state, work.row) = (Some(state), 0);
            self.push(layer, Work::Sample(work));
            let store = Transfer {
                stream: state,
                home: state,
                row: rows.start,
            };
            self.push(layer, Work::StoreState(store));
        }
    }
}
