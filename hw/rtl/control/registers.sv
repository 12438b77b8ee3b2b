// Registers on AXI4-Lite (docs/isa.md), counters, and the interrupt line.
//
// The registers that a program uses are copied at its start (`settings_o`), so that writes while it runs only reach the next one.
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

  localparam int unsigned Parts = 8;
  logic write, read;
  logic [9:0] waddr, raddr;
  logic [31:0] wdata, rdata;
  logic [3:0] wstrb;
  logic [Parts-1:0][5:0] raddr_part;

  axil_slave #(
    .Parts(Parts)
  ) u_axil (
    .clk_i, .rst_ni,
    .s_axil_awvalid_i, .s_axil_awready_o, .s_axil_awaddr_i,
    .s_axil_wvalid_i, .s_axil_wready_o, .s_axil_wdata_i, .s_axil_wstrb_i,
    .s_axil_bvalid_o, .s_axil_bready_i, .s_axil_bresp_o,
    .s_axil_arvalid_i, .s_axil_arready_o, .s_axil_araddr_i,
    .s_axil_rvalid_o, .s_axil_rready_i, .s_axil_rdata_o, .s_axil_rresp_o,
    .write_o(write),
    .waddr_o(waddr),
    .wdata_o(wdata),
    .wstrb_o(wstrb),
    .read_o(read),
    .raddr_o(raddr),
    .raddr_part_o(raddr_part),
    .rdata_i(rdata)
  );

  function automatic logic at(logic [9:0] word, logic [11:0] offset);
    return {word, 2'b00} == offset;
  endfunction

  localparam int unsigned Words = 15;
  typedef enum logic [3:0] {
    InterruptEnable,
    ProgramLow,
    ProgramHigh,
    ProgramLength,
    DataLow,
    DataHigh,
    StepLow,
    StepHigh,
    StepStride,
    Steps,
    SeedLow,
    SeedHigh,
    ImageLow,
    ImageHigh,
    Timeout
  } word_e;

  // offset, value at reset, bits that there are
  localparam logic [Words-1:0][2:0][31:0] Layout = {
    {32'(RegTimeoutOffset), RegTimeoutReset, RegTimeoutMask},
    {32'(RegImageHighOffset), RegImageHighReset, RegImageHighMask},
    {32'(RegImageLowOffset), RegImageLowReset, RegImageLowMask},
    {32'(RegSeedHighOffset), RegSeedHighReset, RegSeedHighMask},
    {32'(RegSeedLowOffset), RegSeedLowReset, RegSeedLowMask},
    {32'(RegStepsOffset), RegStepsReset, RegStepsMask},
    {32'(RegStepStrideOffset), RegStepStrideReset, RegStepStrideMask},
    {32'(RegStepHighOffset), RegStepHighReset, RegStepHighMask},
    {32'(RegStepLowOffset), RegStepLowReset, RegStepLowMask},
    {32'(RegDataHighOffset), RegDataHighReset, RegDataHighMask},
    {32'(RegDataLowOffset), RegDataLowReset, RegDataLowMask},
    {32'(RegProgramLengthOffset), RegProgramLengthReset, RegProgramLengthMask},
    {32'(RegProgramHighOffset), RegProgramHighReset, RegProgramHighMask},
    {32'(RegProgramLowOffset), RegProgramLowReset, RegProgramLowMask},
    {32'(RegInterruptEnableOffset), RegInterruptEnableReset, RegInterruptEnableMask}
  };

  logic [Words-1:0][31:0] host;
  axil_words #(
    .Words(Words),
    .Layout(Layout)
  ) u_words (
    .clk_i, .rst_ni,
    .write_i(write),
    .waddr_i(waddr),
    .wdata_i(wdata),
    .wstrb_i(wstrb),
    .words_o(host)
  );

  settings_t active_q;
  logic [1:0] enable, pending_q, cleared;  // {error, done}
  logic control;

  assign enable = host[InterruptEnable][1:0];
  assign timeout_o = host[Timeout];
  assign settings_o = active_q;
  assign control = write && at(waddr, RegControlOffset) && wstrb[0];
  always_ff @(posedge clk_i) begin
    start_o <= rst_ni && control && wdata[RegControlStartLsb] && !wdata[RegControlResetLsb];
    reset_o <= rst_ni && control && wdata[RegControlResetLsb];
    if (take_i) begin
      active_q <= '{
          program_base: {host[ProgramHigh], host[ProgramLow]},
          program_length: host[ProgramLength],
          data: {host[DataHigh], host[DataLow]},
          step_base: {host[StepHigh], host[StepLow]},
          step_stride: host[StepStride],
          steps: host[Steps],
          seed: {host[SeedHigh], host[SeedLow]},
          image: {host[ImageHigh], host[ImageLow]}
      };
    end
  end

  // An event wins over the write that clears it.
  assign cleared = write && at(waddr, RegInterruptOffset) && wstrb[0] ? wdata[1:0] : 2'b00;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      pending_q <= '0;
      irq_o <= 1'b0;
    end else begin
      pending_q <= (pending_q & ~cleared) | {raise_error_i, raise_done_i};
      irq_o <= (pending_q & enable) != '0;
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

  assign latch_cycles = read && at(raddr, RegCyclesLowOffset);
  assign latch_array_busy = read && at(raddr, RegArrayBusyLowOffset);
  assign latch_read_bytes = read && at(raddr, RegReadBytesLowOffset);

  always_comb begin
    for (int unsigned k = 0; k < Parts; k++) rdata[4*k+:4] = 4'(register_at(raddr_part[k]) >> (4 * k));
  end

  function automatic logic [31:0] register_at(logic [5:0] word);
    logic [31:0] value;
    value = '0;
    unique case ({4'd0, word, 2'b00})  // higher ones are dropped below
      RegIdOffset: value = RegIdReset;
      RegVersionOffset: value = RegVersionReset;
      RegShapeOffset:
      value = 32'(P) << RegShapePixelsLsb | 32'(O) << RegShapeOutputsLsb | 32'(I) << RegShapeInputsLsb;
      RegStatusOffset:
      value = 32'(busy_i) << RegStatusBusyLsb | 32'(done_i) << RegStatusDoneLsb | 32'(error_i) << RegStatusErrorLsb;
      RegInterruptOffset: value = {30'd0, pending_q};
      RegErrorOffset:
      value = {
          fault_i.descriptor,
          1'b0,
          fault_i.who,
          fault_i.code
      };
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
      default: begin
        for (int unsigned w = 0; w < Words; w++) begin
          if ({4'd0, word, 2'b00} == Layout[w][2][11:0]) value = host[w];
        end
      end
    endcase
    return value;
  endfunction

endmodule
