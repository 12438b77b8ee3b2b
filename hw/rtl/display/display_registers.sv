// The display's registers (docs/display.md) and its interrupt line.
module display_registers
  import diffuser_isa_pkg::*;
  import display_pkg::*;
#(
  parameter int unsigned MaxWidth = 1024  // of a source row
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

  output logic enable_o,
  output logic pending_o,  // the next frame takes the settings
  output scanout_t settings_o,
  input logic take_i,  // a frame takes them, if it is to
  input logic busy_i,
  input events_t events_i  // pulses
);

  localparam int unsigned Parts = 8;
  logic write, unused_read;
  logic [9:0] waddr, unused_raddr;
  logic [31:0] wdata, rdata;
  logic [3:0] wstrb;
  logic [Parts-1:0][5:0] raddr;

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
    .read_o(unused_read),
    .raddr_o(unused_raddr),
    .raddr_part_o(raddr),
    .rdata_i(rdata)
  );

  // ---------------------------------------------------------------- what the host sets

  localparam int unsigned Words = 14;
  typedef enum logic [3:0] {
    Control,
    InterruptEnable,
    BaseLow,
    BaseHigh,
    Stride,
    Source,
    Scale,
    Position,
    Background,
    LineSize,
    LineSync,
    FrameSize,
    FrameSync,
    Polarity
  } word_e;

  // offset, value at reset, bits that there are
  localparam logic [Words-1:0][2:0][31:0] Layout = {
    {32'(DisplayPolarityOffset), DisplayPolarityReset, DisplayPolarityMask},
    {32'(DisplayFrameSyncOffset), DisplayFrameSyncReset, DisplayFrameSyncMask},
    {32'(DisplayFrameSizeOffset), DisplayFrameSizeReset, DisplayFrameSizeMask},
    {32'(DisplayLineSyncOffset), DisplayLineSyncReset, DisplayLineSyncMask},
    {32'(DisplayLineSizeOffset), DisplayLineSizeReset, DisplayLineSizeMask},
    {32'(DisplayBackgroundOffset), DisplayBackgroundReset, DisplayBackgroundMask},
    {32'(DisplayPositionOffset), DisplayPositionReset, DisplayPositionMask},
    {32'(DisplayScaleOffset), DisplayScaleReset, DisplayScaleMask},
    {32'(DisplaySourceOffset), DisplaySourceReset, DisplaySourceMask},
    {32'(DisplayStrideOffset), DisplayStrideReset, DisplayStrideMask},
    {32'(DisplayBaseHighOffset), DisplayBaseHighReset, DisplayBaseHighMask},
    {32'(DisplayBaseLowOffset), DisplayBaseLowReset, DisplayBaseLowMask},
    {32'(DisplayInterruptEnableOffset), DisplayInterruptEnableReset, DisplayInterruptEnableMask},
    {32'(DisplayControlOffset), DisplayControlReset, DisplayControlMask}
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

  // verilator lint_off UNUSEDSIGNAL  // the gaps between the fields
  function automatic lengths_t lengths(logic [31:0] size, logic [31:0] sync);
    return {
      sync[DisplayLineSyncBackLsb+:12],
      sync[DisplayLineSyncSyncLsb+:12],
      size[DisplayLineSizeFrontLsb+:12],
      size[DisplayLineSizeActiveLsb+:12]
    };
  endfunction
  // verilator lint_on UNUSEDSIGNAL

  assign enable_o = host[Control][DisplayControlEnableLsb];
  assign settings_o = '{
    base: {host[BaseHigh][7:0], host[BaseLow][31:6]},
    stride: host[Stride][31:6],
    width: host[Source][DisplaySourceWidthLsb+:12],
    height: host[Source][DisplaySourceHeightLsb+:12],
    scale: host[Scale][7:0],
    x: host[Position][DisplayPositionXLsb+:12],
    y: host[Position][DisplayPositionYLsb+:12],
    panel: '{
      background: host[Background][23:0],
      horizontal: lengths(host[LineSize], host[LineSync]),
      vertical: lengths(host[FrameSize], host[FrameSync]),
      vsync_low: host[Polarity][DisplayPolarityVsyncLowLsb],
      hsync_low: host[Polarity][DisplayPolarityHsyncLowLsb]
    }
  };

  // ---------------------------------------------------------------- events

  localparam int unsigned Events = $bits(events_t);
  logic pending_q, flip;
  logic [Events-1:0] event_q, cleared;
  logic [31:0] frames_q;

  assign pending_o = pending_q;
  assign flip = write && {waddr, 2'b00} == DisplayFlipOffset && wstrb[0] && wdata[DisplayFlipPendingLsb];
  // An event wins over the write that clears it.
  assign cleared = write && {waddr, 2'b00} == DisplayInterruptOffset && wstrb[0] ? wdata[Events-1:0] : '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      pending_q <= 1'b0;
      event_q <= '0;
      irq_o <= 1'b0;
      frames_q <= '0;
    end else begin
      if (flip) pending_q <= 1'b1;
      else if (take_i) pending_q <= 1'b0;
      event_q <= (event_q & ~cleared) | events_i;
      irq_o <= (event_q & host[InterruptEnable][Events-1:0]) != '0;
      if (take_i) frames_q <= frames_q + 1'b1;
    end
  end

  // ---------------------------------------------------------------- reads

  always_comb begin
    for (int unsigned k = 0; k < Parts; k++) rdata[4*k+:4] = 4'(register_at(raddr[k]) >> (4 * k));
  end

  function automatic logic [31:0] register_at(logic [5:0] word);
    logic [31:0] value;
    value = '0;
    unique case ({4'd0, word, 2'b00})
      DisplayIdOffset: value = DisplayIdReset;
      DisplayVersionOffset: value = DisplayVersionReset;
      DisplayLimitsOffset: value = 32'(MaxWidth) << DisplayLimitsWidthLsb;
      DisplayStatusOffset: value = 32'(busy_i) << DisplayStatusBusyLsb;
      DisplayInterruptOffset: value = 32'(event_q);
      DisplayFlipOffset: value = 32'(pending_q) << DisplayFlipPendingLsb;
      DisplayFramesOffset: value = frames_q;
      default: begin
        for (int unsigned w = 0; w < Words; w++) begin
          if ({4'd0, word, 2'b00} == Layout[w][2][11:0]) value = host[w];
        end
      end
    endcase
    return value;
  endfunction

endmodule
