// Made of hw/isa.toml by `cargo run -p diffuser-isa --example generate`; do not edit.
// Descriptors and registers of the accelerator; meanings are in docs/isa.md.

package diffuser_isa_pkg;

  localparam int unsigned DescriptorWords = 16;
  localparam int unsigned DescriptorBits = 512;
  localparam int unsigned NumUnits = 5;

  typedef enum logic [2:0] {
    UnitDma = 3'd0,
    UnitNorm = 3'd1,
    UnitPrep = 3'd2,
    UnitArray = 3'd3,
    UnitSample = 3'd4,
    UnitSequencer = 3'd7
  } unit_e;

  typedef enum logic [7:0] {
    OpcodeEnd = 8'd1,
    OpcodeLoop = 8'd2,
    OpcodeLoad = 8'd3,
    OpcodeStore = 8'd4,
    OpcodeNorm = 8'd5,
    OpcodePrep = 8'd6,
    OpcodeConv = 8'd7,
    OpcodeAttention = 8'd8,
    OpcodeSample = 8'd9
  } opcode_e;

  typedef enum logic [2:0] {
    SpaceWeight = 3'd0,
    SpaceParam = 3'd1,
    SpaceStream = 3'd2,
    SpaceState = 3'd3,
    SpacePixel = 3'd4,
    SpaceWeight4 = 3'd5
  } space_e;

  typedef enum logic [3:0] {
    ErrorNone = 4'd0,
    ErrorOpcode = 4'd1,
    ErrorField = 4'd2,
    ErrorRead = 4'd3,
    ErrorWrite = 4'd4,
    ErrorTimeout = 4'd5,
    ErrorLength = 4'd6,
    ErrorRegister = 4'd7
  } error_e;

  // Fields that every descriptor has.
  typedef struct packed {
    logic [383:0] reserved_128;
    logic [15:0] tag;
    logic signed [15:0] wait_sample;
    logic signed [15:0] wait_array;
    logic signed [15:0] wait_prep;
    logic signed [15:0] wait_norm;
    logic signed [15:0] wait_dma;
    logic [16:0] reserved_15;
    logic first;
    logic chain;
    logic [4:0] waits;
    logic [7:0] opcode;
  } common_t;

  // Wait for all units, then raise the interrupt.
  typedef struct packed {
    logic [383:0] reserved_128;
    logic [15:0] tag;
    logic signed [15:0] wait_sample;
    logic signed [15:0] wait_array;
    logic signed [15:0] wait_prep;
    logic signed [15:0] wait_norm;
    logic signed [15:0] wait_dma;
    logic [16:0] reserved_15;
    logic first;
    logic chain;
    logic [4:0] waits;
    logic [7:0] opcode;
  } end_desc_t;

  localparam logic [511:0] EndDescReserved =
    512'hffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff000000000000000000000000ffff8000;

  // Next time step: where the step plus one is below `STEPS`, add one and go on at `target`; else go on behind this.
  typedef struct packed {
    logic [359:0] reserved_152;
    logic [23:0] target;
    logic [15:0] tag;
    logic signed [15:0] wait_sample;
    logic signed [15:0] wait_array;
    logic signed [15:0] wait_prep;
    logic signed [15:0] wait_norm;
    logic signed [15:0] wait_dma;
    logic [16:0] reserved_15;
    logic first;
    logic chain;
    logic [4:0] waits;
    logic [7:0] opcode;
  } loop_desc_t;

  localparam logic [511:0] LoopDescReserved =
    512'hffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff000000000000000000000000000000ffff8000;

  // DDR to an on-chip memory.
  typedef struct packed {
    logic [255:0] reserved_256;
    logic [31:0] ddr;
    logic [7:0] reserved_216;
    logic [23:0] words;
    logic [7:0] reserved_184;
    logic [23:0] address;
    logic [26:0] reserved_133;
    logic [1:0] per_step;
    logic [2:0] space;
    logic [15:0] tag;
    logic signed [15:0] wait_sample;
    logic signed [15:0] wait_array;
    logic signed [15:0] wait_prep;
    logic signed [15:0] wait_norm;
    logic signed [15:0] wait_dma;
    logic [16:0] reserved_15;
    logic first;
    logic chain;
    logic [4:0] waits;
    logic [7:0] opcode;
  } load_desc_t;

  localparam logic [511:0] LoadDescReserved =
    512'hffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff00000000ff000000ff000000ffffffe0000000000000000000000000ffff8000;

  // Every field of the operation is in its range.
  function automatic logic load_desc_in_range(load_desc_t d);
    return d.space <= 3'd5
        && d.per_step <= 2'd2
        && d.words >= 24'd1;
  endfunction

  // An on-chip memory to DDR.
  typedef struct packed {
    logic [255:0] reserved_256;
    logic [31:0] ddr;
    logic [7:0] reserved_216;
    logic [23:0] words;
    logic [7:0] reserved_184;
    logic [23:0] address;
    logic [28:0] reserved_131;
    logic [2:0] space;
    logic [15:0] tag;
    logic signed [15:0] wait_sample;
    logic signed [15:0] wait_array;
    logic signed [15:0] wait_prep;
    logic signed [15:0] wait_norm;
    logic signed [15:0] wait_dma;
    logic [16:0] reserved_15;
    logic first;
    logic chain;
    logic [4:0] waits;
    logic [7:0] opcode;
  } store_desc_t;

  localparam logic [511:0] StoreDescReserved =
    512'hffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff00000000ff000000ff000000fffffff8000000000000000000000000ffff8000;

  // Every field of the operation is in its range.
  function automatic logic store_desc_in_range(store_desc_t d);
    return d.space >= 3'd2
        && d.space <= 3'd4
        && d.words >= 24'd1;
  endfunction

  // Affine maps of a range of groups of one group norm.
  typedef struct packed {
    logic [199:0] reserved_312;
    logic [23:0] count;
    logic [15:0] reserved_272;
    logic [15:0] param;
    logic [15:0] affine;
    logic [15:0] groups;
    logic [15:0] first_group;
    logic [15:0] group_channels;
    logic [15:0] channels_b;
    logic [15:0] sums_b;
    logic [15:0] channels_a;
    logic [15:0] sums_a;
    logic [15:0] tag;
    logic signed [15:0] wait_sample;
    logic signed [15:0] wait_array;
    logic signed [15:0] wait_prep;
    logic signed [15:0] wait_norm;
    logic signed [15:0] wait_dma;
    logic [16:0] reserved_15;
    logic first;
    logic chain;
    logic [4:0] waits;
    logic [7:0] opcode;
  } norm_desc_t;

  localparam logic [511:0] NormDescReserved =
    512'hffffffffffffffffffffffffffffffffffffffffffffffffff000000ffff000000000000000000000000000000000000000000000000000000000000ffff8000;

  // Every field of the operation is in its range.
  function automatic logic norm_desc_in_range(norm_desc_t d);
    return d.channels_a >= 16'd1
        && d.group_channels >= 16'd1
        && d.groups >= 16'd1
        && d.count >= 24'd1;
  endfunction

  // Operand of one or two streams or of the state.
  typedef struct packed {
    logic [71:0] reserved_440;
    logic [23:0] plane_dest;
    logic [7:0] reserved_408;
    logic [23:0] plane_b;
    logic [7:0] reserved_376;
    logic [23:0] plane_a;
    logic [15:0] param;
    logic [15:0] affine;
    logic [7:0] reserved_312;
    logic [23:0] dest;
    logic [7:0] reserved_280;
    logic [11:0] height;
    logic [11:0] width;
    logic [15:0] channels_b;
    logic [15:0] channels_a;
    logic [7:0] reserved_216;
    logic [23:0] stream_b;
    logic [7:0] reserved_184;
    logic [23:0] stream_a;
    logic [15:0] sums_base;
    logic [7:0] reserved_136;
    logic spread;
    logic sums;
    logic [1:0] resample;
    logic silu;
    logic [2:0] kind;
    logic [15:0] tag;
    logic signed [15:0] wait_sample;
    logic signed [15:0] wait_array;
    logic signed [15:0] wait_prep;
    logic signed [15:0] wait_norm;
    logic signed [15:0] wait_dma;
    logic [16:0] reserved_15;
    logic first;
    logic chain;
    logic [4:0] waits;
    logic [7:0] opcode;
  } prep_desc_t;

  localparam logic [511:0] PrepDescReserved =
    512'hffffffffffffffffff000000ff000000ff00000000000000ff000000ff00000000000000ff000000ff0000000000ff00000000000000000000000000ffff8000;

  // Every field of the operation is in its range.
  function automatic logic prep_desc_in_range(prep_desc_t d);
    return d.kind <= 3'd4
        && d.resample <= 2'd2
        && d.channels_a >= 16'd1
        && d.width >= 12'd1
        && d.height >= 12'd1;
  endfunction

  // Convolution or linear layer: some tiles of O output channels over all output pixels.
  typedef struct packed {
    logic [79:0] reserved_432;
    logic [7:0] head_blocks;
    logic [7:0] first_tile;
    logic [15:0] sums_base;
    logic [15:0] param;
    logic [7:0] reserved_376;
    logic [23:0] dest_plane;
    logic [7:0] reserved_344;
    logic [23:0] residual_at;
    logic [7:0] reserved_312;
    logic [23:0] dest;
    logic [7:0] reserved_280;
    logic [11:0] out_height;
    logic [11:0] out_width;
    logic [7:0] reserved_248;
    logic [11:0] in_height;
    logic [11:0] in_width;
    logic [23:0] weights;
    logic [7:0] tiles;
    logic [7:0] reserved_184;
    logic [23:0] operand;
    logic [15:0] blocks;
    logic spread;
    logic [1:0] pad_left;
    logic [1:0] pad_top;
    logic interleave;
    logic add_sums;
    logic sums;
    logic residual;
    logic upsample;
    logic stride;
    logic [1:0] kernel;
    logic planes;
    logic [1:0] dest_kind;
    logic [15:0] tag;
    logic signed [15:0] wait_sample;
    logic signed [15:0] wait_array;
    logic signed [15:0] wait_prep;
    logic signed [15:0] wait_norm;
    logic signed [15:0] wait_dma;
    logic [16:0] reserved_15;
    logic first;
    logic chain;
    logic [4:0] waits;
    logic [7:0] opcode;
  } conv_desc_t;

  localparam logic [511:0] ConvDescReserved =
    512'hffffffffffffffffffff000000000000ff000000ff000000ff000000ff000000ff00000000000000ff00000000000000000000000000000000000000ffff8000;

  // Every field of the operation is in its range.
  function automatic logic conv_desc_in_range(conv_desc_t d);
    return d.kernel <= 2'd2
        && d.blocks >= 16'd1
        && d.tiles >= 8'd1
        && d.in_width >= 12'd1
        && d.in_height >= 12'd1
        && d.out_width >= 12'd1
        && d.out_height >= 12'd1;
  endfunction

  // All heads of one attention, for all queries.
  typedef struct packed {
    logic [175:0] reserved_336;
    logic [15:0] param;
    logic [7:0] reserved_312;
    logic [23:0] dest;
    logic [7:0] reserved_280;
    logic [23:0] value;
    logic [7:0] reserved_248;
    logic [23:0] key;
    logic [7:0] reserved_216;
    logic [23:0] query;
    logic [7:0] reserved_184;
    logic [23:0] pixels;
    logic [15:0] reserved_144;
    logic [7:0] head_blocks;
    logic [7:0] heads;
    logic [15:0] tag;
    logic signed [15:0] wait_sample;
    logic signed [15:0] wait_array;
    logic signed [15:0] wait_prep;
    logic signed [15:0] wait_norm;
    logic signed [15:0] wait_dma;
    logic [16:0] reserved_15;
    logic first;
    logic chain;
    logic [4:0] waits;
    logic [7:0] opcode;
  } attention_desc_t;

  localparam logic [511:0] AttentionDescReserved =
    512'hffffffffffffffffffffffffffffffffffffffffffff0000ff000000ff000000ff000000ff000000ff000000ffff0000000000000000000000000000ffff8000;

  // Every field of the operation is in its range.
  function automatic logic attention_desc_in_range(attention_desc_t d);
    return d.heads >= 8'd1
        && d.head_blocks >= 8'd1
        && d.pixels >= 24'd1;
  endfunction

  // One step of the sampler on the whole state.
  typedef struct packed {
    logic [231:0] reserved_280;
    logic [7:0] image;
    logic [15:0] param;
    logic [7:0] reserved_248;
    logic [23:0] state;
    logic [7:0] reserved_216;
    logic [23:0] pixels;
    logic [27:0] reserved_164;
    logic noise;
    logic [2:0] channels;
    logic [7:0] reserved_152;
    logic [23:0] stream;
    logic [15:0] tag;
    logic signed [15:0] wait_sample;
    logic signed [15:0] wait_array;
    logic signed [15:0] wait_prep;
    logic signed [15:0] wait_norm;
    logic signed [15:0] wait_dma;
    logic [16:0] reserved_15;
    logic first;
    logic chain;
    logic [4:0] waits;
    logic [7:0] opcode;
  } sample_desc_t;

  localparam logic [511:0] SampleDescReserved =
    512'hffffffffffffffffffffffffffffffffffffffffffffffffffffffffff000000ff000000ff000000fffffff0ff000000000000000000000000000000ffff8000;

  // Every field of the operation is in its range.
  function automatic logic sample_desc_in_range(sample_desc_t d);
    return d.channels >= 3'd1
        && d.channels <= 3'd4
        && d.pixels >= 24'd1;
  endfunction

  // Then one `conv_channel` for each output channel of the tiles.
  typedef struct packed {
    logic [47:0] reserved_16;
    logic signed [7:0] residual_shift;
    logic signed [7:0] zero_point;
  } conv_head_t;

  // Gain and zero point for kinds 0 and 1, shift for kind 3.
  typedef struct packed {
    logic [31:0] reserved_32;
    logic [7:0] shift;
    logic signed [7:0] zero_point;
    logic signed [15:0] gain;
  } prep_head_t;

  // Then one `norm_channel` for each channel of the norm.
  typedef struct packed {
    logic [39:0] reserved_88;
    logic [7:0] gap_b;
    logic [7:0] gap_a;
    logic signed [7:0] exponent;
    logic [63:0] eps;
  } norm_head_t;

  // Scales of the softmax and of its result.
  typedef struct packed {
    logic [23:0] reserved_40;
    logic signed [15:0] gain;
    logic [7:0] shift;
    logic [15:0] mantissa;
  } attention_head_t;

  // The three linear forms of docs/numerics.md, coefficients in Q32.
  typedef struct packed {
    logic [55:0] reserved_648;
    logic signed [7:0] exponent;
    logic signed [63:0] next_noise;
    logic signed [63:0] next_previous;
    logic signed [63:0] next_eps;
    logic signed [63:0] next_x0;
    logic signed [63:0] next_state;
    logic signed [63:0] eps_stream;
    logic signed [63:0] eps_state;
    logic signed [63:0] clip;
    logic signed [63:0] x0_stream;
    logic signed [63:0] x0_state;
  } sample_head_t;

  // One output channel of a convolution.
  typedef struct packed {
    logic [7:0] reserved_56;
    logic [7:0] shift;
    logic [15:0] mantissa;
    logic signed [31:0] bias;
  } conv_channel_t;

  // One channel of a group norm.
  typedef struct packed {
    logic signed [31:0] beta;
    logic signed [31:0] gamma;
  } norm_channel_t;

  // Registers: byte offsets, values at reset, bits that can be written, fields.
  localparam logic [11:0] RegIdOffset = 12'h000;
  localparam logic [31:0] RegIdReset = 32'h44494646;
  localparam logic [11:0] RegVersionOffset = 12'h004;
  localparam logic [31:0] RegVersionReset = 32'h00000002;
  localparam logic [11:0] RegShapeOffset = 12'h008;
  localparam int unsigned RegShapePixelsLsb = 0;
  localparam int unsigned RegShapePixelsWidth = 8;
  localparam int unsigned RegShapeOutputsLsb = 8;
  localparam int unsigned RegShapeOutputsWidth = 8;
  localparam int unsigned RegShapeInputsLsb = 16;
  localparam int unsigned RegShapeInputsWidth = 8;
  localparam logic [11:0] RegControlOffset = 12'h010;
  localparam int unsigned RegControlStartLsb = 0;
  localparam int unsigned RegControlStartWidth = 1;
  localparam int unsigned RegControlResetLsb = 1;
  localparam int unsigned RegControlResetWidth = 1;
  localparam logic [11:0] RegStatusOffset = 12'h014;
  localparam logic [31:0] RegStatusReset = 32'h00000000;
  localparam int unsigned RegStatusBusyLsb = 0;
  localparam int unsigned RegStatusBusyWidth = 1;
  localparam int unsigned RegStatusDoneLsb = 1;
  localparam int unsigned RegStatusDoneWidth = 1;
  localparam int unsigned RegStatusErrorLsb = 2;
  localparam int unsigned RegStatusErrorWidth = 1;
  localparam logic [11:0] RegInterruptEnableOffset = 12'h018;
  localparam logic [31:0] RegInterruptEnableReset = 32'h00000000;
  localparam logic [31:0] RegInterruptEnableMask = 32'h00000003;
  localparam int unsigned RegInterruptEnableDoneLsb = 0;
  localparam int unsigned RegInterruptEnableDoneWidth = 1;
  localparam int unsigned RegInterruptEnableErrorLsb = 1;
  localparam int unsigned RegInterruptEnableErrorWidth = 1;
  localparam logic [11:0] RegInterruptOffset = 12'h01c;
  localparam logic [31:0] RegInterruptReset = 32'h00000000;
  localparam int unsigned RegInterruptDoneLsb = 0;
  localparam int unsigned RegInterruptDoneWidth = 1;
  localparam int unsigned RegInterruptErrorLsb = 1;
  localparam int unsigned RegInterruptErrorWidth = 1;
  localparam logic [11:0] RegErrorOffset = 12'h020;
  localparam logic [31:0] RegErrorReset = 32'h00000000;
  localparam int unsigned RegErrorCodeLsb = 0;
  localparam int unsigned RegErrorCodeWidth = 4;
  localparam int unsigned RegErrorUnitLsb = 4;
  localparam int unsigned RegErrorUnitWidth = 3;
  localparam int unsigned RegErrorDescriptorLsb = 8;
  localparam int unsigned RegErrorDescriptorWidth = 24;
  localparam logic [11:0] RegProgramLowOffset = 12'h030;
  localparam logic [31:0] RegProgramLowReset = 32'h00000000;
  localparam logic [31:0] RegProgramLowMask = 32'hffffffff;
  localparam logic [11:0] RegProgramHighOffset = 12'h034;
  localparam logic [31:0] RegProgramHighReset = 32'h00000000;
  localparam logic [31:0] RegProgramHighMask = 32'hffffffff;
  localparam logic [11:0] RegProgramLengthOffset = 12'h038;
  localparam logic [31:0] RegProgramLengthReset = 32'h00000000;
  localparam logic [31:0] RegProgramLengthMask = 32'hffffffff;
  localparam logic [11:0] RegDataLowOffset = 12'h040;
  localparam logic [31:0] RegDataLowReset = 32'h00000000;
  localparam logic [31:0] RegDataLowMask = 32'hffffffff;
  localparam logic [11:0] RegDataHighOffset = 12'h044;
  localparam logic [31:0] RegDataHighReset = 32'h00000000;
  localparam logic [31:0] RegDataHighMask = 32'hffffffff;
  localparam logic [11:0] RegStepLowOffset = 12'h048;
  localparam logic [31:0] RegStepLowReset = 32'h00000000;
  localparam logic [31:0] RegStepLowMask = 32'hffffffff;
  localparam logic [11:0] RegStepHighOffset = 12'h04c;
  localparam logic [31:0] RegStepHighReset = 32'h00000000;
  localparam logic [31:0] RegStepHighMask = 32'hffffffff;
  localparam logic [11:0] RegStepStrideOffset = 12'h050;
  localparam logic [31:0] RegStepStrideReset = 32'h00000000;
  localparam logic [31:0] RegStepStrideMask = 32'hffffffff;
  localparam logic [11:0] RegStepsOffset = 12'h054;
  localparam logic [31:0] RegStepsReset = 32'h00000000;
  localparam logic [31:0] RegStepsMask = 32'hffffffff;
  localparam logic [11:0] RegSeedLowOffset = 12'h058;
  localparam logic [31:0] RegSeedLowReset = 32'h00000000;
  localparam logic [31:0] RegSeedLowMask = 32'hffffffff;
  localparam logic [11:0] RegSeedHighOffset = 12'h05c;
  localparam logic [31:0] RegSeedHighReset = 32'h00000000;
  localparam logic [31:0] RegSeedHighMask = 32'hffffffff;
  localparam logic [11:0] RegImageLowOffset = 12'h060;
  localparam logic [31:0] RegImageLowReset = 32'h00000000;
  localparam logic [31:0] RegImageLowMask = 32'hffffffff;
  localparam logic [11:0] RegImageHighOffset = 12'h064;
  localparam logic [31:0] RegImageHighReset = 32'h00000000;
  localparam logic [31:0] RegImageHighMask = 32'hffffffff;
  localparam logic [11:0] RegTimeoutOffset = 12'h068;
  localparam logic [31:0] RegTimeoutReset = 32'h01000000;
  localparam logic [31:0] RegTimeoutMask = 32'hffffffff;
  localparam logic [11:0] RegStepOffset = 12'h06c;
  localparam logic [31:0] RegStepReset = 32'h00000000;
  localparam logic [11:0] RegCyclesLowOffset = 12'h080;
  localparam logic [31:0] RegCyclesLowReset = 32'h00000000;
  localparam logic [11:0] RegCyclesHighOffset = 12'h084;
  localparam logic [31:0] RegCyclesHighReset = 32'h00000000;
  localparam logic [11:0] RegArrayBusyLowOffset = 12'h088;
  localparam logic [31:0] RegArrayBusyLowReset = 32'h00000000;
  localparam logic [11:0] RegArrayBusyHighOffset = 12'h08c;
  localparam logic [31:0] RegArrayBusyHighReset = 32'h00000000;
  localparam logic [11:0] RegStallWeightOffset = 12'h090;
  localparam logic [31:0] RegStallWeightReset = 32'h00000000;
  localparam logic [11:0] RegStallOperandOffset = 12'h094;
  localparam logic [31:0] RegStallOperandReset = 32'h00000000;
  localparam logic [11:0] RegStallBankOffset = 12'h098;
  localparam logic [31:0] RegStallBankReset = 32'h00000000;
  localparam logic [11:0] RegStallStoreOffset = 12'h09c;
  localparam logic [31:0] RegStallStoreReset = 32'h00000000;
  localparam logic [11:0] RegReadBytesLowOffset = 12'h0a0;
  localparam logic [31:0] RegReadBytesLowReset = 32'h00000000;
  localparam logic [11:0] RegReadBytesHighOffset = 12'h0a4;
  localparam logic [31:0] RegReadBytesHighReset = 32'h00000000;

  // The display unit. Registers alike.
  localparam logic [11:0] DisplayIdOffset = 12'h000;
  localparam logic [31:0] DisplayIdReset = 32'h44495350;
  localparam logic [11:0] DisplayVersionOffset = 12'h004;
  localparam logic [31:0] DisplayVersionReset = 32'h00000001;
  localparam logic [11:0] DisplayLimitsOffset = 12'h008;
  localparam int unsigned DisplayLimitsWidthLsb = 0;
  localparam int unsigned DisplayLimitsWidthWidth = 13;
  localparam logic [11:0] DisplayControlOffset = 12'h010;
  localparam logic [31:0] DisplayControlReset = 32'h00000000;
  localparam logic [31:0] DisplayControlMask = 32'h00000001;
  localparam int unsigned DisplayControlEnableLsb = 0;
  localparam int unsigned DisplayControlEnableWidth = 1;
  localparam logic [11:0] DisplayStatusOffset = 12'h014;
  localparam logic [31:0] DisplayStatusReset = 32'h00000000;
  localparam int unsigned DisplayStatusBusyLsb = 0;
  localparam int unsigned DisplayStatusBusyWidth = 1;
  localparam logic [11:0] DisplayInterruptEnableOffset = 12'h018;
  localparam logic [31:0] DisplayInterruptEnableReset = 32'h00000000;
  localparam logic [31:0] DisplayInterruptEnableMask = 32'h0000000f;
  localparam int unsigned DisplayInterruptEnableFrameLsb = 0;
  localparam int unsigned DisplayInterruptEnableFrameWidth = 1;
  localparam int unsigned DisplayInterruptEnableUnderrunLsb = 1;
  localparam int unsigned DisplayInterruptEnableUnderrunWidth = 1;
  localparam int unsigned DisplayInterruptEnableBusErrorLsb = 2;
  localparam int unsigned DisplayInterruptEnableBusErrorWidth = 1;
  localparam int unsigned DisplayInterruptEnableSettingsLsb = 3;
  localparam int unsigned DisplayInterruptEnableSettingsWidth = 1;
  localparam logic [11:0] DisplayInterruptOffset = 12'h01c;
  localparam logic [31:0] DisplayInterruptReset = 32'h00000000;
  localparam int unsigned DisplayInterruptFrameLsb = 0;
  localparam int unsigned DisplayInterruptFrameWidth = 1;
  localparam int unsigned DisplayInterruptUnderrunLsb = 1;
  localparam int unsigned DisplayInterruptUnderrunWidth = 1;
  localparam int unsigned DisplayInterruptBusErrorLsb = 2;
  localparam int unsigned DisplayInterruptBusErrorWidth = 1;
  localparam int unsigned DisplayInterruptSettingsLsb = 3;
  localparam int unsigned DisplayInterruptSettingsWidth = 1;
  localparam logic [11:0] DisplayFlipOffset = 12'h020;
  localparam logic [31:0] DisplayFlipReset = 32'h00000000;
  localparam logic [31:0] DisplayFlipMask = 32'h00000001;
  localparam int unsigned DisplayFlipPendingLsb = 0;
  localparam int unsigned DisplayFlipPendingWidth = 1;
  localparam logic [11:0] DisplayFramesOffset = 12'h024;
  localparam logic [31:0] DisplayFramesReset = 32'h00000000;
  localparam logic [11:0] DisplayBaseLowOffset = 12'h030;
  localparam logic [31:0] DisplayBaseLowReset = 32'h00000000;
  localparam logic [31:0] DisplayBaseLowMask = 32'hffffffc0;
  localparam int unsigned DisplayBaseLowAddressLsb = 6;
  localparam int unsigned DisplayBaseLowAddressWidth = 26;
  localparam logic [11:0] DisplayBaseHighOffset = 12'h034;
  localparam logic [31:0] DisplayBaseHighReset = 32'h00000000;
  localparam logic [31:0] DisplayBaseHighMask = 32'h000000ff;
  localparam int unsigned DisplayBaseHighAddressLsb = 0;
  localparam int unsigned DisplayBaseHighAddressWidth = 8;
  localparam logic [11:0] DisplayStrideOffset = 12'h038;
  localparam logic [31:0] DisplayStrideReset = 32'h00000000;
  localparam logic [31:0] DisplayStrideMask = 32'hffffffc0;
  localparam int unsigned DisplayStrideUnitsLsb = 6;
  localparam int unsigned DisplayStrideUnitsWidth = 26;
  localparam logic [11:0] DisplaySourceOffset = 12'h03c;
  localparam logic [31:0] DisplaySourceReset = 32'h00000000;
  localparam logic [31:0] DisplaySourceMask = 32'h0fff0fff;
  localparam int unsigned DisplaySourceWidthLsb = 0;
  localparam int unsigned DisplaySourceWidthWidth = 12;
  localparam int unsigned DisplaySourceHeightLsb = 16;
  localparam int unsigned DisplaySourceHeightWidth = 12;
  localparam logic [11:0] DisplayScaleOffset = 12'h040;
  localparam logic [31:0] DisplayScaleReset = 32'h00000001;
  localparam logic [31:0] DisplayScaleMask = 32'h000000ff;
  localparam int unsigned DisplayScaleFactorLsb = 0;
  localparam int unsigned DisplayScaleFactorWidth = 8;
  localparam logic [11:0] DisplayPositionOffset = 12'h044;
  localparam logic [31:0] DisplayPositionReset = 32'h00000000;
  localparam logic [31:0] DisplayPositionMask = 32'h0fff0fff;
  localparam int unsigned DisplayPositionXLsb = 0;
  localparam int unsigned DisplayPositionXWidth = 12;
  localparam int unsigned DisplayPositionYLsb = 16;
  localparam int unsigned DisplayPositionYWidth = 12;
  localparam logic [11:0] DisplayBackgroundOffset = 12'h048;
  localparam logic [31:0] DisplayBackgroundReset = 32'h00000000;
  localparam logic [31:0] DisplayBackgroundMask = 32'h00ffffff;
  localparam int unsigned DisplayBackgroundBlueLsb = 0;
  localparam int unsigned DisplayBackgroundBlueWidth = 8;
  localparam int unsigned DisplayBackgroundGreenLsb = 8;
  localparam int unsigned DisplayBackgroundGreenWidth = 8;
  localparam int unsigned DisplayBackgroundRedLsb = 16;
  localparam int unsigned DisplayBackgroundRedWidth = 8;
  localparam logic [11:0] DisplayLineSizeOffset = 12'h050;
  localparam logic [31:0] DisplayLineSizeReset = 32'h00d20320;
  localparam logic [31:0] DisplayLineSizeMask = 32'h0fff0fff;
  localparam int unsigned DisplayLineSizeActiveLsb = 0;
  localparam int unsigned DisplayLineSizeActiveWidth = 12;
  localparam int unsigned DisplayLineSizeFrontLsb = 16;
  localparam int unsigned DisplayLineSizeFrontWidth = 12;
  localparam logic [11:0] DisplayLineSyncOffset = 12'h054;
  localparam logic [31:0] DisplayLineSyncReset = 32'h001a0014;
  localparam logic [31:0] DisplayLineSyncMask = 32'h0fff0fff;
  localparam int unsigned DisplayLineSyncSyncLsb = 0;
  localparam int unsigned DisplayLineSyncSyncWidth = 12;
  localparam int unsigned DisplayLineSyncBackLsb = 16;
  localparam int unsigned DisplayLineSyncBackWidth = 12;
  localparam logic [11:0] DisplayFrameSizeOffset = 12'h058;
  localparam logic [31:0] DisplayFrameSizeReset = 32'h001601e0;
  localparam logic [31:0] DisplayFrameSizeMask = 32'h0fff0fff;
  localparam int unsigned DisplayFrameSizeActiveLsb = 0;
  localparam int unsigned DisplayFrameSizeActiveWidth = 12;
  localparam int unsigned DisplayFrameSizeFrontLsb = 16;
  localparam int unsigned DisplayFrameSizeFrontWidth = 12;
  localparam logic [11:0] DisplayFrameSyncOffset = 12'h05c;
  localparam logic [31:0] DisplayFrameSyncReset = 32'h000d000a;
  localparam logic [31:0] DisplayFrameSyncMask = 32'h0fff0fff;
  localparam int unsigned DisplayFrameSyncSyncLsb = 0;
  localparam int unsigned DisplayFrameSyncSyncWidth = 12;
  localparam int unsigned DisplayFrameSyncBackLsb = 16;
  localparam int unsigned DisplayFrameSyncBackWidth = 12;
  localparam logic [11:0] DisplayPolarityOffset = 12'h060;
  localparam logic [31:0] DisplayPolarityReset = 32'h00000003;
  localparam logic [31:0] DisplayPolarityMask = 32'h00000003;
  localparam int unsigned DisplayPolarityHsyncLowLsb = 0;
  localparam int unsigned DisplayPolarityHsyncLowWidth = 1;
  localparam int unsigned DisplayPolarityVsyncLowLsb = 1;
  localparam int unsigned DisplayPolarityVsyncLowWidth = 1;

endpackage
