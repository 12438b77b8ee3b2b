// Registers on AXI4-Lite (docs/isa.md), counters, and the interrupt line.
//
// One access of each kind at a time: a write takes address and data in any order and answers 2 cycles later, a read 2 cycles
// after its address. The registers that a program uses are copied at its start (`settings_o`), so that writes while it runs
// only reach the next one.
module registers
  import diffuser_isa_pkg::*;
  import control_pkg::*;
#(
  parameter int unsigned P = 8,
  parameter int unsigned O = 32,
  parameter int unsigned I = 16
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic        s_axil_awvalid_i,
  output logic        s_axil_awready_o,
  input  logic [11:0] s_axil_awaddr_i,
  input  logic        s_axil_wvalid_i,
  output logic        s_axil_wready_o,
  input  logic [31:0] s_axil_wdata_i,
  input  logic [ 3:0] s_axil_wstrb_i,
  output logic        s_axil_bvalid_o,
  input  logic        s_axil_bready_i,
  output logic [ 1:0] s_axil_bresp_o,
  input  logic        s_axil_arvalid_i,
  output logic        s_axil_arready_o,
  input  logic [11:0] s_axil_araddr_i,
  output logic        s_axil_rvalid_o,
  input  logic        s_axil_rready_i,
  output logic [31:0] s_axil_rdata_o,
  output logic [ 1:0] s_axil_rresp_o,
  output logic        irq_o,

  output logic start_o,  // pulses: bits written to CONTROL, of both only the reset
  output logic reset_o,
  input  logic take_i,  // a program starts: copy the settings
  input  logic clear_i,  // counters to 0
  output settings_t settings_o,
  output logic [31:0] timeout_o,

  input logic busy_i,
  input logic done_i,
  input logic error_i,
  input logic raise_done_i,  // pulses: set the bits of INTERRUPT
  input logic raise_error_i,
  input fault_t fault_i,
  input logic [31:0] step_i,

  // events to count
  input logic array_busy_i,
  input logic stall_weight_i,
  input logic stall_operand_i,
  input logic stall_bank_i,
  input logic stall_store_i,
  input logic [3:0] read_beats_i  // beats of 16 bytes read in this cycle
);

  // ---------------------------------------------------------------- writes

  logic aw_full_q, w_full_q, write;
  logic [9:0] waddr_q;
  logic [31:0] wdata_q;
  // for half of the registers each: one would have too many readers
  logic [1:0][31:0] wmask;
  logic [1:0][3:0] wstrb_q;

  assign s_axil_awready_o = !aw_full_q;
  assign s_axil_wready_o = !w_full_q;
  assign s_axil_bresp_o = 2'b00;
  assign write = aw_full_q && w_full_q && (!s_axil_bvalid_o || s_axil_bready_i);

  always_ff @(posedge clk_i) begin
    if (!aw_full_q) waddr_q <= s_axil_awaddr_i[11:2];
    if (!w_full_q) wdata_q <= s_axil_wdata_i;
    if (!rst_ni) begin
      aw_full_q <= 1'b0;
      w_full_q <= 1'b0;
      s_axil_bvalid_o <= 1'b0;
    end else begin
      if (write) aw_full_q <= 1'b0;
      else if (s_axil_awvalid_i) aw_full_q <= 1'b1;
      if (write) w_full_q <= 1'b0;
      else if (s_axil_wvalid_i) w_full_q <= 1'b1;
      if (write) s_axil_bvalid_o <= 1'b1;
      else if (s_axil_bready_i) s_axil_bvalid_o <= 1'b0;
    end
  end

  copies #(
    .Width(4),
    .Copies(2)
  ) u_wstrb (
    .clk_i,
    .d_i(w_full_q ? wstrb_q[0] : s_axil_wstrb_i),
    .q_o(wstrb_q)
  );
  for (genvar k = 0; k < 2; k++) begin : gen_mask
    for (genvar i = 0; i < 4; i++) begin : gen_byte
      assign wmask[k][8*i+:8] = {8{wstrb_q[k][i]}};
    end
  end

  function automatic logic at(logic [9:0] word, logic [11:0] offset);
    return {word, 2'b00} == offset;
  endfunction

  function automatic logic [31:0] merged(logic [31:0] old, logic [31:0] data, logic [31:0] mask);
    return (old & ~mask) | (data & mask);
  endfunction

  settings_t host_q, active_q;
  logic [31:0] timeout_q;
  logic [1:0] enable_q, pending_q, cleared;  // {error, done}
  logic control;

  assign settings_o = active_q;
  assign timeout_o = timeout_q;
  assign control = write && at(waddr_q, RegControlOffset) && wstrb_q[1][0];
  always_ff @(posedge clk_i) begin
    start_o <= rst_ni && control && wdata_q[RegControlStartLsb] && !wdata_q[RegControlResetLsb];
    reset_o <= rst_ni && control && wdata_q[RegControlResetLsb];
  end

  // One word of the settings at its offset, by one of the masks.
`define SETTING(field, Name, half) \
      if (at(waddr_q, Reg``Name``Offset)) host_q.field <= merged(host_q.field, wdata_q, wmask[half]);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      host_q <= '{
          program_base: {RegProgramHighReset, RegProgramLowReset},
          program_length: RegProgramLengthReset,
          data: {RegDataHighReset, RegDataLowReset},
          step_base: {RegStepHighReset, RegStepLowReset},
          step_stride: RegStepStrideReset,
          steps: RegStepsReset,
          seed: {RegSeedHighReset, RegSeedLowReset},
          image: {RegImageHighReset, RegImageLowReset}
      };
      timeout_q <= RegTimeoutReset;
      enable_q <= RegInterruptEnableReset[1:0];
    end else if (write) begin
      `SETTING(program_base[31:0], ProgramLow, 0)
      `SETTING(program_base[63:32], ProgramHigh, 0)
      `SETTING(program_length, ProgramLength, 0)
      `SETTING(data[31:0], DataLow, 0)
      `SETTING(data[63:32], DataHigh, 0)
      `SETTING(step_base[31:0], StepLow, 0)
      `SETTING(step_base[63:32], StepHigh, 0)
      `SETTING(step_stride, StepStride, 1)
      `SETTING(steps, Steps, 1)
      `SETTING(seed[31:0], SeedLow, 1)
      `SETTING(seed[63:32], SeedHigh, 1)
      `SETTING(image[31:0], ImageLow, 1)
      `SETTING(image[63:32], ImageHigh, 1)
      if (at(waddr_q, RegTimeoutOffset)) timeout_q <= merged(timeout_q, wdata_q, wmask[1]);
      if (at(waddr_q, RegInterruptEnableOffset) && wstrb_q[1][0]) enable_q <= wdata_q[1:0];
    end
    if (take_i) active_q <= host_q;
  end
`undef SETTING

  // An event wins over the write that clears it.
  assign cleared = write && at(waddr_q, RegInterruptOffset) && wstrb_q[1][0] ? wdata_q[1:0] : 2'b00;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      pending_q <= '0;
      irq_o <= 1'b0;
    end else begin
      pending_q <= (pending_q & ~cleared) | {raise_error_i, raise_done_i};
      irq_o <= (pending_q & enable_q) != '0;
    end
  end

  // ---------------------------------------------------------------- counters

  logic latch_cycles, latch_array_busy, latch_read_bytes;
  logic [31:0] cycles_low, cycles_high, array_busy_low, array_busy_high, read_low, read_high;
  logic [31:0] stall_weight, stall_operand, stall_bank, stall_store;

  pair_counter u_cycles (
    .clk_i, .rst_ni, .clear_i,
    .add_i(busy_i),
    .latch_i(latch_cycles),
    .low_o(cycles_low),
    .high_o(cycles_high)
  );
  pair_counter u_array_busy (
    .clk_i, .rst_ni, .clear_i,
    .add_i(array_busy_i),
    .latch_i(latch_array_busy),
    .low_o(array_busy_low),
    .high_o(array_busy_high)
  );
  pair_counter #(
    .AddWidth(8)
  ) u_read_bytes (
    .clk_i, .rst_ni, .clear_i,
    .add_i({read_beats_i, 4'd0}),
    .latch_i(latch_read_bytes),
    .low_o(read_low),
    .high_o(read_high)
  );
  saturating_counter u_stall_weight (
    .clk_i, .rst_ni, .clear_i, .add_i(stall_weight_i), .count_o(stall_weight)
  );
  saturating_counter u_stall_operand (
    .clk_i, .rst_ni, .clear_i, .add_i(stall_operand_i), .count_o(stall_operand)
  );
  saturating_counter u_stall_bank (
    .clk_i, .rst_ni, .clear_i, .add_i(stall_bank_i), .count_o(stall_bank)
  );
  saturating_counter u_stall_store (
    .clk_i, .rst_ni, .clear_i, .add_i(stall_store_i), .count_o(stall_store)
  );

  // ---------------------------------------------------------------- reads

  logic ar_full_q, read;
  logic [9:0] raddr_q, raddr;
  logic [31:0] rdata;

  assign s_axil_arready_o = !ar_full_q;
  assign s_axil_rresp_o = 2'b00;
  assign read = ar_full_q && (!s_axil_rvalid_o || s_axil_rready_i);
  assign latch_cycles = read && at(raddr_q, RegCyclesLowOffset);
  assign latch_array_busy = read && at(raddr_q, RegArrayBusyLowOffset);
  assign latch_read_bytes = read && at(raddr_q, RegReadBytesLowOffset);

  // the address for 4 bits of an answer each: one would have too many readers
  localparam int unsigned Parts = 8;
  logic [Parts-1:0][5:0] raddr_part_q;
  assign raddr = ar_full_q ? raddr_q : s_axil_araddr_i[11:2];
  copies #(
    .Width(6),
    .Copies(Parts)
  ) u_raddr (
    .clk_i,
    .d_i(raddr[5:0]),
    .q_o(raddr_part_q)
  );
  always_comb begin
    for (int unsigned k = 0; k < Parts; k++) rdata[4*k+:4] = 4'(register_at(raddr_part_q[k]) >> (4 * k));
  end

  function automatic logic [31:0] register_at(logic [5:0] word);
    logic [31:0] value;
    unique case ({4'd0, word, 2'b00})  // higher ones are dropped below
      RegIdOffset: value = RegIdReset;
      RegVersionOffset: value = RegVersionReset;
      RegShapeOffset:
      value = 32'(P) << RegShapePixelsLsb | 32'(O) << RegShapeOutputsLsb | 32'(I) << RegShapeInputsLsb;
      RegStatusOffset:
      value = 32'(busy_i) << RegStatusBusyLsb | 32'(done_i) << RegStatusDoneLsb | 32'(error_i) << RegStatusErrorLsb;
      RegInterruptEnableOffset: value = {30'd0, enable_q};
      RegInterruptOffset: value = {30'd0, pending_q};
      RegErrorOffset:
      value = {
          fault_i.descriptor,
          1'b0,
          fault_i.who,
          fault_i.code
      };
      RegProgramLowOffset: value = host_q.program_base[31:0];
      RegProgramHighOffset: value = host_q.program_base[63:32];
      RegProgramLengthOffset: value = host_q.program_length;
      RegDataLowOffset: value = host_q.data[31:0];
      RegDataHighOffset: value = host_q.data[63:32];
      RegStepLowOffset: value = host_q.step_base[31:0];
      RegStepHighOffset: value = host_q.step_base[63:32];
      RegStepStrideOffset: value = host_q.step_stride;
      RegStepsOffset: value = host_q.steps;
      RegSeedLowOffset: value = host_q.seed[31:0];
      RegSeedHighOffset: value = host_q.seed[63:32];
      RegImageLowOffset: value = host_q.image[31:0];
      RegImageHighOffset: value = host_q.image[63:32];
      RegTimeoutOffset: value = timeout_q;
      RegStepOffset: value = step_i;
      RegCyclesLowOffset: value = cycles_low;
      RegCyclesHighOffset: value = cycles_high;
      RegArrayBusyLowOffset: value = array_busy_low;
      RegArrayBusyHighOffset: value = array_busy_high;
      RegStallWeightOffset: value = stall_weight;
      RegStallOperandOffset: value = stall_operand;
      RegStallBankOffset: value = stall_bank;
      RegStallStoreOffset: value = stall_store;
      RegReadBytesLowOffset: value = read_low;
      RegReadBytesHighOffset: value = read_high;
      default: value = '0;
    endcase
    return value;
  endfunction

  always_ff @(posedge clk_i) begin
    raddr_q <= raddr;
    if (read) s_axil_rdata_o <= raddr_q[9:6] == '0 ? rdata : '0;
    if (!rst_ni) begin
      ar_full_q <= 1'b0;
      s_axil_rvalid_o <= 1'b0;
    end else begin
      if (read) ar_full_q <= 1'b0;
      else if (s_axil_arvalid_i) ar_full_q <= 1'b1;
      if (read) s_axil_rvalid_o <= 1'b1;
      else if (s_axil_rready_i) s_axil_rvalid_o <= 1'b0;
    end
  end

  logic [3:0] unused_low_bits;
  assign unused_low_bits = {s_axil_awaddr_i[1:0], s_axil_araddr_i[1:0]};

endmodule
