//! How long descriptors take, from what the units do in a cycle.
//!
//! A model of its own, not of the RTL's registers: issue cycles and bank conflicts of the array are
//! counted exactly from the loops of `docs/isa.md`, the rest is rates and constants in [`Timing`].
//! Not modelled: several readers of the stream memory or writers of the operand memory at once, and DDR's banks.

pub(crate) mod array;
pub(crate) mod dma;
pub(crate) mod norm;
pub(crate) mod prep;
pub(crate) mod sample;

/// DDR, as the cycle model sees it: reads come before writes, a display before both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DdrTiming {
    /// Bytes a cycle that it gives to all, between refreshes.
    pub rate: u64,
    /// Bytes a cycle that a display reads, in 1/256.
    pub background: u64,
    /// Of 256 cycles, in how many a port holds a beat back.
    pub held: u64,
    /// Cycles from an address to its data, in the mean.
    pub latency: u64,
    /// Cycles that a refresh takes, of so many.
    pub refresh: [u64; 2],
}

impl Default for DdrTiming {
    /// That of `crates/cosim`: 75 % of DDR4-2400 x64 at 200 MHz, and 92 MB/s of a display.
    fn default() -> Self {
        Self {
            rate: 72,
            background: 118,
            held: 8,
            latency: 70,
            refresh: [70, 1560],
        }
    }
}

/// Rates and latencies, in cycles where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Descriptors that a unit's queue holds, its head included.
    pub queue: usize,
    /// Descriptors of `dma` that may have started and not retired.
    pub dma_in_flight: usize,
    /// Sequencer: from one descriptor to the next.
    pub dispatch: u64,
    /// Sequencer: from `start` or a taken `loop` to its first descriptor, besides DDR's latency.
    pub fetch: u64,
    /// Sequencer: descriptors that are read ahead.
    pub fetch_ahead: usize,
    /// Sequencer: bytes a cycle of its read port.
    pub fetch_bytes: u64,
    /// Sequencer: from the last retirement to `done`.
    pub settle: u64,
    /// From a retirement to the start of a descriptor that waits for it.
    pub wait: u64,
    /// From a descriptor's start to its error, where it is wrong.
    pub refuse: u64,
    /// DDR behind the ports.
    pub ddr: DdrTiming,
    /// `load`: bytes a cycle, of all read ports.
    pub dma_bytes: u64,
    /// `store`: bytes a cycle, of the one write port.
    pub store_bytes: u64,
    /// `load`: bytes on their way or waiting for their memory, of all read ports.
    pub load_room: u64,
    /// `store`: bytes on their way or waiting for their answer.
    pub store_room: u64,
    /// `load`, `store`: from one descriptor's start to the next one's, at least.
    pub dma_set_up: u64,
    /// `load`: from the last word of one to the first of the next, at least.
    pub load_gap: u64,
    /// `load`: from start to its data in memory, besides DDR's latency.
    pub load_start: u64,
    /// `load`: the same in addition where the address depends on the step.
    pub step_latency: u64,
    /// `store`: from start to the first data.
    pub store_start: u64,
    /// `store`: from the last data to the last response, besides DDR's latency.
    pub store_end: u64,
    /// `norm`: the least from one group to the next; else a channel a cycle.
    pub norm_group: u64,
    /// `norm`: all that a descriptor costs besides its groups.
    pub norm_latency: u64,
    /// `prep`: from start to its first read.
    pub prep_start: u64,
    /// `prep`: from a group's last read to its place in memory.
    pub prep_latency: u64,
    /// Array: from start to the first issue.
    pub array_start: u64,
    /// Array: from the first tile of a `conv` with `chain` to the next one's start.
    pub chain_end: u64,
    /// Array: from a group's last issue to its accumulators.
    pub mac_latency: u64,
    /// `conv`: groups of P pixels whose accumulators wait for requantisation.
    pub drain_groups: usize,
    /// `conv`: cycles that the drain loses between two tiles.
    pub drain_tile: u64,
    /// `conv`: from the request for a tile's last channel to the first pixel that it lets go.
    pub param_latency: u64,
    /// `conv`: from a descriptor's last channel to the first product of the next one, whose head comes then.
    pub head_latency: u64,
    /// `conv`: from a tile's last pixel that leaves to its channels' bank being free.
    pub drain_channels: u64,
    /// `conv`: from a tile's last pixel that leaves to its sums being written, besides a cycle a channel.
    pub sums_latency: u64,
    /// `conv`: from a retirement to the first pixel of the next descriptor that leaves with a residual.
    pub residual_latency: u64,
    /// `conv`: from a pixel that leaves to its turn at the memory's port.
    pub requantise: u64,
    /// `conv`: pixels that have left and wait for that, at most.
    pub drain_pixels: u64,
    /// `conv`: from the last word's turn to its place in memory.
    pub write_latency: u64,
    /// `attention`: all that a descriptor costs besides its groups of queries and the first one's softmax.
    pub attention_latency: u64,
    /// `attention`: a softmax besides its passes over the logits.
    pub attention_softmax: u64,
    /// `attention`: of two groups that are between softmax and result at once, half of what one takes, besides a cycle for each logit tile of
    /// a query.
    pub attention_group: u64,
    /// `sample`: all that a descriptor costs besides its values.
    pub sample_latency: u64,
    /// `sample`: the same in addition where noise is drawn.
    pub noise_latency: u64,
    /// `sample`: each value.
    pub sample_value: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            queue: 5,
            dma_in_flight: 8,
            dispatch: 6,
            fetch: 5,
            fetch_ahead: 16,
            fetch_bytes: 16,
            settle: 8,
            wait: 4,
            refuse: 4,
            ddr: DdrTiming::default(),
            dma_bytes: 64,
            store_bytes: 16,
            load_room: 8192,
            store_room: 2048,
            dma_set_up: 12,
            load_gap: 4,
            load_start: 29,
            step_latency: 22,
            store_start: 20,
            store_end: 8,
            norm_group: 10,
            norm_latency: 161,
            prep_start: 16,
            prep_latency: 30,
            array_start: 20,
            chain_end: 7,
            mac_latency: 18,
            drain_groups: 8,
            drain_tile: 1,
            param_latency: 5,
            head_latency: 9,
            drain_channels: 11,
            sums_latency: 20,
            residual_latency: 8,
            requantise: 12,
            drain_pixels: 32,
            write_latency: 8,
            attention_latency: 23,
            attention_softmax: 90,
            attention_group: 38,
            sample_latency: 60,
            noise_latency: 60,
            sample_value: 1,
        }
    }
}

impl Timing {
    /// Bytes a cycle of ports that give so many, with so many on their way at the most, where DDR has `left` for them; all in 1/256 of a
    /// byte.
    fn rate(&self, ports: u64, room: u64, left: u64) -> u64 {
        let held = ports * (256 - self.ddr.held);
        let on_their_way = 256 * room / self.round_trip();
        held.min(on_their_way).min(left).max(1)
    }

    /// The part of a rate that refreshes leave.
    fn refreshed(&self, rate: u64) -> u64 {
        let [takes, of] = self.ddr.refresh;
        (rate * (of - takes) / of).max(1)
    }

    /// What DDR gives in a cycle between refreshes, besides the display's, and what loads take of it.
    fn shares(&self) -> [u64; 2] {
        let all = (256 * self.ddr.rate).saturating_sub(self.ddr.background);
        [all, self.rate(self.dma_bytes, self.load_room, all)]
    }

    /// Cycles that `bytes` take on the read ports.
    pub(crate) fn read_cycles(&self, bytes: u64) -> u64 {
        (256 * bytes).div_ceil(self.refreshed(self.shares()[1]))
    }

    /// Cycles that `bytes` take on the write port where nothing is read.
    pub(crate) fn write_cycles(&self, bytes: u64) -> u64 {
        (256 * bytes).div_ceil(self.write_rates()[0])
    }

    /// Cycles that `bytes` of the program take on its port.
    pub(crate) fn fetch_cycles(&self, bytes: u64) -> u64 {
        let room = self.fetch_ahead as u64 * bytes;
        let rate = self.rate(self.fetch_bytes, room, self.shares()[0]);
        256 * bytes / self.refreshed(rate)
    }

    /// From a place for data that is free to what comes there.
    pub(crate) const fn round_trip(&self) -> u64 {
        self.ddr.latency + ROUND
    }

    /// Bytes a cycle, in 1/256, of the write port: alone, and beside loads, which come first.
    pub(crate) fn write_rates(&self) -> [u64; 2] {
        let [all, reads] = self.shares();
        [all, all.saturating_sub(reads)]
            .map(|left| self.refreshed(self.rate(self.store_bytes, self.store_room, left)))
    }

    /// Cycles by which data come before their memory takes them, at most: there is room for them, and for those on their way.
    pub(crate) fn read_ahead(&self) -> u64 {
        self.read_cycles(self.load_room)
            .saturating_sub(self.round_trip())
    }
}

/// From a place that is free to the address of what comes there, and from its data to the place.
const ROUND: u64 = 15;

/// What one descriptor costs; times in cycles since `start` of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Retired.
    pub end: u64,
    /// Cycles in which the unit's datapath worked; of the array: multiplied.
    pub busy: u64,
    /// Array: cycles lost to bank conflicts.
    pub stall_bank: u64,
    /// Array: cycles that waited for the drain.
    pub stall_store: u64,
    /// Array: cycles of a chained `conv` that waited for its `prep`.
    pub stall_operand: u64,
    /// Bytes read from DDR.
    pub read_bytes: u64,
    /// `prep`: when its groups are finished.
    pub progress: Option<Progress>,
    /// `conv`: when the array could begin with the next one.
    pub issued: u64,
    /// `conv`: when its first tile has been multiplied.
    pub open: u64,
    /// `conv`: what it leaves to the drain.
    pub drain: Option<array::Drain>,
}

impl Cost {
    /// A `prep` takes longer, evenly.
    pub(crate) fn delay(&mut self, cycles: u64) {
        self.end += cycles;
        if let Some(progress) = &mut self.progress {
            let groups = (self.busy / progress.each.max(1)).max(1);
            progress.each += cycles / groups;
        }
    }
}

/// Writes that come evenly over some cycles to a port that takes one a cycle, and others' in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writes {
    /// How many.
    pub count: u64,
    /// In how many cycles, where nothing else is written.
    pub cycles: u64,
}

impl Writes {
    /// Cycles that each of two takes longer, where they begin at the same time.
    pub(crate) fn beside(self, other: Self) -> [u64; 2] {
        const ALL: u64 = 1 << 16;
        let rate = |w: Self| (ALL * w.count).div_ceil(w.cycles.max(1)).clamp(1, ALL);
        let (own, its) = (rate(self), rate(other));
        if own + its <= ALL {
            return [0; 2];
        }
        // one that wants more than half gets what the other leaves, but half at least
        let given = |own: u64, other: u64| own.min((ALL - other).max(ALL / 2));
        let (slow, its_slow) = (given(own, its), given(its, own));
        let together = (ALL * self.count / slow).min(ALL * other.count / its_slow);
        [
            together - together * slow / own,
            together - together * its_slow / its,
        ]
    }
}

/// When the groups of P pixels of a `prep` are finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The first.
    pub first: u64,
    /// From one to the next.
    pub each: u64,
}

impl Progress {
    /// When group `g` is finished.
    pub(crate) const fn at(&self, g: u64) -> u64 {
        self.first + g * self.each
    }
}
