// Made of hw/isa.toml by `cargo run -p diffuser-isa --example generate`; do not edit.
//! What `hw/isa.toml` says, as Rust.

use crate::bits::{Field, Record, numbered, operations, parameters, record};

/// Words of 32 bits of a descriptor, which is aligned to its size.
pub const DESCRIPTOR_WORDS: usize = 16;

numbered! {
    /// What executes descriptors; the value is its bit in `waits`.
    Unit {
        /// Moves data between DDR and the on-chip memories.
        Dma "dma" 0
        /// Turns the channel sums of streams into one affine map a channel.
        Norm "norm" 1
        /// Makes operands of streams or of the state; resamples streams.
        Prep "prep" 2
        /// Multiply-accumulates, requantisation, residual, channel sums, softmax.
        Array "array" 3
        /// The sampler's update of the state.
        Sample "sample" 4
    }
}

numbered! {
    /// Memories that a transfer can reach.
    Space {
        /// Weight memory, words of O x I bytes.
        Weight "weight" 0
        /// Parameter memory, entries of 8 bytes.
        Param "param" 1
        /// Stream memory, words of O values of 16 bits.
        Stream "stream" 2
        /// State memory, words of 4 values of 32 bits, one a pixel.
        State "state" 3
        /// State memory as pixels (store only): 4 bytes a pixel, unused channels 0.
        Pixel "pixel" 4
        /// Weight memory (load only), from 4-bit weights: two in a byte, the lower half first, sign-extended.
        Weight4 "weight4" 5
    }
}

numbered! {
    /// Codes of the register `ERROR`.
    ErrorCode {
        /// No error.
        None "none" 0
        /// Unknown opcode.
        Opcode "opcode" 1
        /// A field out of its range, or an address outside of its memory.
        Field "field" 2
        /// A bus read answered SLVERR or DECERR.
        Read "read" 3
        /// A bus write answered SLVERR or DECERR.
        Write "write" 4
        /// Nothing retired for `TIMEOUT` cycles.
        Timeout "timeout" 5
        /// The program ran past `PROGRAM_LENGTH`.
        Length "length" 6
        /// A register holds a value that no program can run with.
        Register "register" 7
    }
}

/// What to do.
pub const OPCODE: Field = Field {
    name: "opcode",
    word: 0,
    lsb: 0,
    width: 8,
    min: 0,
    max: 255,
};

record! {
    /// Fields that every descriptor has, but for the opcode.
    Common "common" {
        /// For which units this waits: bit u for unit u, in the order of the units. The count of a unit that is not named is 0.
        waits: u32 = 0, 8, 5, 0..=31;
        /// Array: follow the `prep` descriptor that `wait_prep` names by its progress in pixels, instead of waiting for its end.
        chain: bool = 0, 13, 1, 0..=1;
        /// First descriptor of the loop's body: a pass begins here.
        first: bool = 0, 14, 1, 0..=1;
        /// Descriptors that `dma` must have retired, counted from the start of the present pass of the loop; negative: of the pass before.
        wait_dma: i32 = 1, 0, 16, -32768..=32767;
        /// The same for `norm`.
        wait_norm: i32 = 1, 16, 16, -32768..=32767;
        /// The same for `prep`.
        wait_prep: i32 = 2, 0, 16, -32768..=32767;
        /// The same for `array`.
        wait_array: i32 = 2, 16, 16, -32768..=32767;
        /// The same for `sample`.
        wait_sample: i32 = 3, 0, 16, -32768..=32767;
        /// Number of the graph's node (or 0xffff), for traces; the hardware only repeats it.
        tag: u32 = 3, 16, 16, 0..=65535;
    }
}

operations! {
    /// Wait for all units, then raise the interrupt.
    End "end" 1 (None) {
    }
    /// Next time step: where the step plus one is below `STEPS`, add one and go on at `target`; else go on behind this.
    Loop "loop" 2 (None) {
        /// Index of the body's first descriptor, before this one; it has `first`.
        target: u32 = 4, 0, 24, 0..=16777215;
    }
    /// DDR to an on-chip memory.
    Load "load" 3 (Some(Unit::Dma)) {
        /// To where: `weight`, `param`, `stream`, `state` or `weight4`.
        space: u32 = 4, 0, 3, 0..=5;
        /// 0: `ddr` counts from the data's base; 1: from the present step's record; 2: from the next step's (the last step's at the end).
        per_step: u32 = 4, 3, 2, 0..=2;
        /// First word of the space.
        address: u32 = 5, 0, 24, 0..=16777215;
        /// Words of the space, at least 1.
        words: u32 = 6, 0, 24, 1..=16777215;
        /// Offset in DDR, in units of 64 bytes.
        ddr: u32 = 7, 0, 32, 0..=4294967295;
    }
    /// An on-chip memory to DDR.
    Store "store" 4 (Some(Unit::Dma)) {
        /// From where: `stream`, `state` or `pixel`.
        space: u32 = 4, 0, 3, 2..=4;
        /// First word of the space.
        address: u32 = 5, 0, 24, 0..=16777215;
        /// Words of the space, at least 1.
        words: u32 = 6, 0, 24, 1..=16777215;
        /// Offset from the data's base, in units of 64 bytes.
        ddr: u32 = 7, 0, 32, 0..=4294967295;
    }
    /// Affine maps of a range of groups of one group norm.
    Norm "norm" 5 (Some(Unit::Norm)) {
        /// First entry of the first stream's channel sums.
        sums_a: u32 = 4, 0, 16, 0..=65535;
        /// Channels of the first stream.
        channels_a: u32 = 4, 16, 16, 1..=65535;
        /// The same of the second stream.
        sums_b: u32 = 5, 0, 16, 0..=65535;
        /// Channels of the second stream, 0 for none.
        channels_b: u32 = 5, 16, 16, 0..=65535;
        /// Channels of a group.
        group_channels: u32 = 6, 0, 16, 1..=65535;
        /// First group of the range.
        first_group: u32 = 6, 16, 16, 0..=65535;
        /// Groups of the range, at least 1.
        groups: u32 = 7, 0, 16, 1..=65535;
        /// Entry of the affine memory for channel 0 of the norm.
        affine: u32 = 7, 16, 16, 0..=65535;
        /// Entry of the parameter memory: head, then a `norm_channel` for each channel of the norm.
        param: u32 = 8, 0, 16, 0..=65535;
        /// Values in a group: channels times pixels.
        count: u32 = 9, 0, 24, 1..=16777215;
    }
    /// Operand of one or two streams or of the state.
    Prep "prep" 6 (Some(Unit::Prep)) {
        /// 0 norm, 1 single plane, 2 stream in two planes, 3 state in two planes, 4 stream to stream (resampling).
        kind: u32 = 4, 0, 3, 0..=4;
        /// Norm: SiLU after the affine map.
        silu: bool = 4, 3, 1, 0..=1;
        /// 0 none, 1 nearest 2x, 2 mean of 2x2.
        resample: u32 = 4, 4, 2, 0..=2;
        /// Kind 4: keep channel sums of the result.
        sums: bool = 4, 6, 1, 0..=1;
        /// Kinds 0 to 3: the operand lies spread, for a `conv` of stride 2.
        spread: bool = 4, 7, 1, 0..=1;
        /// Their first entry.
        sums_base: u32 = 4, 16, 16, 0..=65535;
        /// First word of the first stream; of the state for kind 3.
        stream_a: u32 = 5, 0, 24, 0..=16777215;
        /// First word of the second stream.
        stream_b: u32 = 6, 0, 24, 0..=16777215;
        /// Channels of the first stream.
        channels_a: u32 = 7, 0, 16, 1..=65535;
        /// Channels of the second stream, 0 for none.
        channels_b: u32 = 7, 16, 16, 0..=65535;
        /// Columns of the streams.
        width: u32 = 8, 0, 12, 1..=4095;
        /// Rows of the streams.
        height: u32 = 8, 12, 12, 1..=4095;
        /// First row of the operand memory (of the stream memory for kind 4).
        dest: u32 = 9, 0, 24, 0..=16777215;
        /// Entry of the affine memory for the first stream's channel 0 (kind 0).
        affine: u32 = 10, 0, 16, 0..=65535;
        /// Entry of the parameter memory: head.
        param: u32 = 10, 16, 16, 0..=65535;
        /// Words from one channel block of the first stream to the next (its pixels, or those of the whole tensor where a band is read).
        plane_a: u32 = 11, 0, 24, 0..=16777215;
        /// The same of the second stream.
        plane_b: u32 = 12, 0, 24, 0..=16777215;
        /// Kind 4: the same of the result.
        plane_dest: u32 = 13, 0, 24, 0..=16777215;
    }
    /// Convolution or linear layer: some tiles of O output channels over all output pixels.
    Conv "conv" 7 (Some(Unit::Array)) {
        /// 0 stream, 1 operand (Q), 2 weight memory as K, 3 weight memory as V.
        dest_kind: u32 = 4, 0, 2, 0..=3;
        /// The operand has two planes.
        planes: bool = 4, 2, 1, 0..=1;
        /// 0: 1x1, 1: 3x3, 2: 2x2.
        kernel: u32 = 4, 3, 2, 0..=2;
        /// 0: 1, 1: 2.
        stride: u32 = 4, 5, 1, 0..=1;
        /// The input is read as if each pixel stood four times, nearest 2x.
        upsample: bool = 4, 6, 1, 0..=1;
        /// A stream is added.
        residual: bool = 4, 7, 1, 0..=1;
        /// Channel sums of the result are kept, beginning at zero.
        sums: bool = 4, 8, 1, 0..=1;
        /// With `sums`: they go on from where they are (a further band or phase of the same tensor).
        add_sums: bool = 4, 9, 1, 0..=1;
        /// `dest_kind` 0: the result is every second column of every second row of a tensor of twice its width.
        interleave: bool = 4, 10, 1, 0..=1;
        /// Rows of padding above; below and at the right it follows from the sizes.
        pad_top: u32 = 4, 11, 2, 0..=3;
        /// Columns of padding at the left.
        pad_left: u32 = 4, 13, 2, 0..=3;
        /// The operand lies spread, as `prep` with `spread` leaves it.
        spread: bool = 4, 15, 1, 0..=1;
        /// Blocks of I input channels in a plane.
        blocks: u32 = 4, 16, 16, 1..=65535;
        /// First row of the operand memory.
        operand: u32 = 5, 0, 24, 0..=16777215;
        /// Tiles of O output channels, at least 1.
        tiles: u32 = 6, 0, 8, 1..=255;
        /// First word of the weight memory.
        weights: u32 = 6, 8, 24, 0..=16777215;
        /// Columns of the operand, before upsampling.
        in_width: u32 = 7, 0, 12, 1..=4095;
        /// Rows of the operand, before upsampling.
        in_height: u32 = 7, 12, 12, 1..=4095;
        /// Columns of the result.
        out_width: u32 = 8, 0, 12, 1..=4095;
        /// Rows of the result.
        out_height: u32 = 8, 12, 12, 1..=4095;
        /// First word (row) of the result in its space.
        dest: u32 = 9, 0, 24, 0..=16777215;
        /// First word of the residual in the stream memory.
        residual_at: u32 = 10, 0, 24, 0..=16777215;
        /// Words from one channel block of the result and of the residual to the next (`dest_kind` 0).
        dest_plane: u32 = 11, 0, 24, 0..=16777215;
        /// Entry of the parameter memory: head, then a `conv_channel` for each output channel of the tiles.
        param: u32 = 12, 0, 16, 0..=65535;
        /// First entry of the channel sums.
        sums_base: u32 = 12, 16, 16, 0..=65535;
        /// `dest_kind` 1 to 3: number of the first tile in the whole result.
        first_tile: u32 = 13, 0, 8, 0..=255;
        /// `dest_kind` 2 and 3: blocks of I channels of one head.
        head_blocks: u32 = 13, 8, 8, 0..=255;
    }
    /// All heads of one attention, for all queries.
    Attention "attention" 8 (Some(Unit::Array)) {
        /// Heads, at least 1.
        heads: u32 = 4, 0, 8, 1..=255;
        /// Blocks of I channels of one head, padded.
        head_blocks: u32 = 4, 8, 8, 1..=255;
        /// Queries, and keys.
        pixels: u32 = 5, 0, 24, 1..=16777215;
        /// First row of Q in the operand memory.
        query: u32 = 6, 0, 24, 0..=16777215;
        /// First word of K in the weight memory.
        key: u32 = 7, 0, 24, 0..=16777215;
        /// First word of V in the weight memory.
        value: u32 = 8, 0, 24, 0..=16777215;
        /// First row of the result in the operand memory.
        dest: u32 = 9, 0, 24, 0..=16777215;
        /// Entry of the parameter memory: head.
        param: u32 = 10, 0, 16, 0..=65535;
    }
    /// One step of the sampler on the whole state.
    Sample "sample" 9 (Some(Unit::Sample)) {
        /// First word of the network's output in the stream memory.
        stream: u32 = 4, 0, 24, 0..=16777215;
        /// Channels, 1 to 4.
        channels: u32 = 5, 0, 3, 1..=4;
        /// Fresh noise is added (the last coefficient is not zero at some step).
        noise: bool = 5, 3, 1, 0..=1;
        /// Pixels.
        pixels: u32 = 6, 0, 24, 1..=16777215;
        /// First word of the state memory.
        state: u32 = 7, 0, 24, 0..=16777215;
        /// Entry of the parameter memory: head.
        param: u32 = 8, 0, 16, 0..=65535;
        /// Added to the register `IMAGE`: the image's place in a batch.
        image: u32 = 8, 16, 8, 0..=255;
    }
}

parameters! {
    /// Head of a parameter block. Then one `conv_channel` for each output channel of the tiles.
    ConvHead "conv" 1 {
        /// Operand that pads the input.
        zero_point: i32 = 0, 0, 8, -127..=127;
        /// Residual: right by this much, rounded; left where negative.
        residual_shift: i32 = 0, 8, 8, -62..=62;
    }
}

parameters! {
    /// Head of a parameter block. Gain and zero point for kinds 0 and 1, shift for kind 3.
    PrepHead "prep" 1 {
        /// Q15.
        gain: i32 = 0, 0, 16, 0..=32767;
        /// Operand that stands for zero.
        zero_point: i32 = 0, 16, 8, -127..=127;
        /// State to planes: right by this much.
        shift: u32 = 0, 24, 8, 0..=31;
    }
}

parameters! {
    /// Head of a parameter block. Then one `norm_channel` for each channel of the norm.
    NormHead "norm" 2 {
        /// Q40.
        eps: u64 = 0, 0, 64, 0..=18446744073709551615;
        /// Of the finest stream.
        exponent: i32 = 1, 0, 8, -16..=24;
        /// By how many powers of two the first stream is coarser.
        gap_a: u32 = 1, 8, 8, 0..=7;
        /// The same of the second stream.
        gap_b: u32 = 1, 16, 8, 0..=7;
    }
}

parameters! {
    /// Head of a parameter block. Scales of the softmax and of its result.
    AttentionHead "attention" 1 {
        /// Differences of logits to 2^-8 of a power of two: mantissa.
        mantissa: u32 = 0, 0, 16, 32768..=65535;
        /// And shift.
        shift: u32 = 0, 16, 8, 1..=62;
        /// Weighted mean to operand, Q15.
        gain: i32 = 0, 24, 16, 0..=32767;
    }
}

parameters! {
    /// Head of a parameter block. The three linear forms of docs/numerics.md, coefficients in Q32.
    SampleHead "sample" 11 {
        /// `a`: state to x0.
        x0_state: i64 = 0, 0, 64, -281474976710656..=281474976710656;
        /// `b`: network's output to x0.
        x0_stream: i64 = 1, 0, 64, -281474976710656..=281474976710656;
        /// Largest magnitude of x0, Q24; 2^47 where nothing is clipped.
        clip: i64 = 2, 0, 64, 0..=140737488355328;
        /// `c`: state to eps.
        eps_state: i64 = 3, 0, 64, -281474976710656..=281474976710656;
        /// `d`: network's output to eps.
        eps_stream: i64 = 4, 0, 64, -281474976710656..=281474976710656;
        /// `p`: state to the next state.
        next_state: i64 = 5, 0, 64, -281474976710656..=281474976710656;
        /// `q`: x0 to the next state.
        next_x0: i64 = 6, 0, 64, -281474976710656..=281474976710656;
        /// `r`: eps to the next state.
        next_eps: i64 = 7, 0, 64, -281474976710656..=281474976710656;
        /// `u`: the step before's x0 to the next state.
        next_previous: i64 = 8, 0, 64, -281474976710656..=281474976710656;
        /// `w`: noise to the next state.
        next_noise: i64 = 9, 0, 64, -281474976710656..=281474976710656;
        /// Of the network's output.
        exponent: i32 = 10, 0, 8, -16..=24;
    }
}

parameters! {
    /// Entry of a parameter block. One output channel of a convolution.
    ConvChannel "conv_channel" 1 {
        /// Added to the accumulator.
        bias: i32 = 0, 0, 32, -2147483648..=2147483647;
        /// Multiplier; 0 for lanes past the tensor's end.
        mantissa: u32 = 0, 32, 16, 0..=65535;
        /// And shift, 1 to 62; 0 for lanes past the tensor's end.
        shift: u32 = 0, 48, 8, 0..=62;
    }
}

parameters! {
    /// Entry of a parameter block. One channel of a group norm.
    NormChannel "norm_channel" 1 {
        /// Q16.
        gamma: i32 = 0, 0, 32, -2147483648..=2147483647;
        /// Q16.
        beta: i32 = 0, 32, 32, -2147483648..=2147483647;
    }
}

/// Registers: byte offsets, values at reset, fields as lowest bit and width.
pub mod register {
    /// `DIFF`.
    pub const ID: u32 = 0x000;
    /// `ID` at reset.
    pub const ID_RESET: u32 = 0x44494646;
    /// Version of this file's layout.
    pub const VERSION: u32 = 0x004;
    /// `VERSION` at reset.
    pub const VERSION_RESET: u32 = 0x00000002;
    /// The array.
    pub const SHAPE: u32 = 0x008;
    /// `SHAPE.pixels`: P.
    pub const SHAPE_PIXELS: (u32, u32) = (0, 8);
    /// `SHAPE.outputs`: O.
    pub const SHAPE_OUTPUTS: (u32, u32) = (8, 8);
    /// `SHAPE.inputs`: I.
    pub const SHAPE_INPUTS: (u32, u32) = (16, 8);
    /// Writes that do something.
    pub const CONTROL: u32 = 0x010;
    /// `CONTROL.start`: Run the program; ignored while busy.
    pub const CONTROL_START: (u32, u32) = (0, 1);
    /// `CONTROL.reset`: Stop issuing, let outstanding bus transactions end, clear the units and the error.
    pub const CONTROL_RESET: (u32, u32) = (1, 1);
    /// What the accelerator does.
    pub const STATUS: u32 = 0x014;
    /// `STATUS.busy`: A program runs or drains.
    pub const STATUS_BUSY: (u32, u32) = (0, 1);
    /// `STATUS.done`: The last program reached `end`.
    pub const STATUS_DONE: (u32, u32) = (1, 1);
    /// `STATUS.error`: The last program stopped with `ERROR`.
    pub const STATUS_ERROR: (u32, u32) = (2, 1);
    /// Which events raise the interrupt line.
    pub const INTERRUPT_ENABLE: u32 = 0x018;
    /// `INTERRUPT_ENABLE.done`: A program reached `end`.
    pub const INTERRUPT_ENABLE_DONE: (u32, u32) = (0, 1);
    /// `INTERRUPT_ENABLE.error`: A program stopped with `ERROR`.
    pub const INTERRUPT_ENABLE_ERROR: (u32, u32) = (1, 1);
    /// Events since they were last cleared; writing a one clears it.
    pub const INTERRUPT: u32 = 0x01c;
    /// `INTERRUPT.done`: A program reached `end`.
    pub const INTERRUPT_DONE: (u32, u32) = (0, 1);
    /// `INTERRUPT.error`: A program stopped with `ERROR`.
    pub const INTERRUPT_ERROR: (u32, u32) = (1, 1);
    /// The first error.
    pub const ERROR: u32 = 0x020;
    /// `ERROR.code`: See the codes.
    pub const ERROR_CODE: (u32, u32) = (0, 4);
    /// `ERROR.unit`: Unit, 7 for the sequencer.
    pub const ERROR_UNIT: (u32, u32) = (4, 3);
    /// `ERROR.descriptor`: Index of the descriptor.
    pub const ERROR_DESCRIPTOR: (u32, u32) = (8, 24);
    /// Address of the program, 64-byte aligned, low half.
    pub const PROGRAM_LOW: u32 = 0x030;
    /// High half (at least 40 bits in all).
    pub const PROGRAM_HIGH: u32 = 0x034;
    /// Descriptors of the program; running past it is an error.
    pub const PROGRAM_LENGTH: u32 = 0x038;
    /// The data's base, 64-byte aligned, low half.
    pub const DATA_LOW: u32 = 0x040;
    /// High half.
    pub const DATA_HIGH: u32 = 0x044;
    /// The first step's record, 64-byte aligned, low half.
    pub const STEP_LOW: u32 = 0x048;
    /// High half.
    pub const STEP_HIGH: u32 = 0x04c;
    /// Bytes from one step's record to the next, a multiple of 64.
    pub const STEP_STRIDE: u32 = 0x050;
    /// Time steps, at least 1.
    pub const STEPS: u32 = 0x054;
    /// Seed of the noise, low half.
    pub const SEED_LOW: u32 = 0x058;
    /// High half.
    pub const SEED_HIGH: u32 = 0x05c;
    /// Number of the first image, low half.
    pub const IMAGE_LOW: u32 = 0x060;
    /// High half.
    pub const IMAGE_HIGH: u32 = 0x064;
    /// Cycles without a retirement after which the program stops with an error; 0: never.
    pub const TIMEOUT: u32 = 0x068;
    /// `TIMEOUT` at reset.
    pub const TIMEOUT_RESET: u32 = 0x01000000;
    /// The present time step, from 0.
    pub const STEP: u32 = 0x06c;
    /// Cycles since start, low half; reading it latches the high half.
    pub const CYCLES_LOW: u32 = 0x080;
    /// High half.
    pub const CYCLES_HIGH: u32 = 0x084;
    /// Cycles in which the array multiplied.
    pub const ARRAY_BUSY_LOW: u32 = 0x088;
    /// High half.
    pub const ARRAY_BUSY_HIGH: u32 = 0x08c;
    /// Cycles in which the array waited for `dma`.
    pub const STALL_WEIGHT: u32 = 0x090;
    /// Cycles in which the array waited for `prep` or `norm`.
    pub const STALL_OPERAND: u32 = 0x094;
    /// Cycles lost to bank conflicts.
    pub const STALL_BANK: u32 = 0x098;
    /// Cycles in which the array waited for its accumulators to drain.
    pub const STALL_STORE: u32 = 0x09c;
    /// Bytes read from DDR.
    pub const READ_BYTES_LOW: u32 = 0x0a0;
    /// High half.
    pub const READ_BYTES_HIGH: u32 = 0x0a4;
}

pub mod display;
