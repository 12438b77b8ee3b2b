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

/// Rates and latencies, in cycles where nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Descriptors that a unit's queue holds, its head included.
    pub queue: usize,
    /// Descriptors of `dma` that may have started and not retired.
    pub dma_in_flight: usize,
    /// Sequencer: from one descriptor to the next.
    pub dispatch: u64,
    /// Sequencer: from `start` or a taken `loop` to its first descriptor.
    pub fetch: u64,
    /// Sequencer: from the last retirement to `done`.
    pub settle: u64,
    /// From a descriptor's start to its error, where it is wrong.
    pub refuse: u64,
    /// `load`: bytes a cycle, of all read ports.
    pub dma_bytes: u64,
    /// `store`: bytes a cycle, of the one write port.
    pub store_bytes: u64,
    /// Of 256 cycles, in how many DDR gives nothing: refreshes (70 of 1,560), beats that a port holds back (8 of 256), as in
    /// `crates/cosim`.
    pub dma_lost: u64,
    /// `load`: from start to the first data.
    pub load_latency: u64,
    /// `load`: the same in addition where the address depends on the step.
    pub step_latency: u64,
    /// `store`: from start to the first data.
    pub store_start: u64,
    /// `store`: from the last data to the last response.
    pub store_latency: u64,
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
    /// Array: from a group's last issue to its accumulators.
    pub mac_latency: u64,
    /// `conv`: groups of P pixels whose accumulators wait for requantisation.
    pub drain_groups: usize,
    /// `conv`: cycles that the drain loses between two tiles.
    pub drain_tile: u64,
    /// `conv`: from a drained accumulator to its word in memory.
    pub drain_latency: u64,
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
            fetch: 75,
            settle: 8,
            refuse: 4,
            dma_bytes: 64,
            store_bytes: 16,
            dma_lost: 19,
            load_latency: 99,
            step_latency: 22,
            store_start: 20,
            store_latency: 78,
            norm_group: 10,
            norm_latency: 161,
            prep_start: 16,
            prep_latency: 30,
            array_start: 20,
            mac_latency: 18,
            drain_groups: 8,
            drain_tile: 1,
            drain_latency: 20,
            attention_latency: 23,
            attention_softmax: 90,
            attention_group: 38,
            sample_latency: 60,
            noise_latency: 60,
            sample_value: 1,
        }
    }
}

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
    /// `conv`: when its last accumulators left for requantisation.
    pub drained: u64,
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
