// The display: scans an image out of memory to a panel with parallel RGB, enlarged by a whole factor (docs/display.md).
//
// Registers and bus run at `clk_i`, the panel at `pixel_clk_i`; neither knows the other. Between them stand a FIFO of pixels, a level (on), a request (a frame
// was shown) and its answer (the next frame's settings), and the level of an underrun. `rst_ni` is low for 8 cycles of either clock at least.
module display_unit
  import control_pkg::*;
  import display_pkg::*;
#(
  parameter int unsigned Words = 512,  // of 4 pixels that the buffer holds, a power of two; a source row has half of them at most
  parameter int unsigned Lines = 32  // of 64 bytes on the bus's side of it
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

  output logic                    m_axi_arvalid_o,
  input  logic                    m_axi_arready_i,
  output logic [BusAddrWidth-1:0] m_axi_araddr_o,
  output logic [             7:0] m_axi_arlen_o,
  output logic [             2:0] m_axi_arsize_o,
  output logic [             1:0] m_axi_arburst_o,
  output logic [             3:0] m_axi_arcache_o,
  output logic [             2:0] m_axi_arprot_o,
  output logic [             3:0] m_axi_arqos_o,
  input  logic                    m_axi_rvalid_i,
  output logic                    m_axi_rready_o,
  input  logic [    BeatBits-1:0] m_axi_rdata_i,
  input  logic [             1:0] m_axi_rresp_i,
  input  logic                    m_axi_rlast_i,

  input  logic                 pixel_clk_i,
  output logic                 pixel_de_o,
  output logic                 pixel_hsync_o,
  output logic                 pixel_vsync_o,
  output logic [PixelBits-1:0] pixel_rgb_o  // red in the highest bits
);

  localparam int unsigned MaxWidth = Words * WordPixels / 2;
  localparam int unsigned CountWidth = $clog2(Words) + 1;

  assign m_axi_arsize_o = 3'd4;
  assign m_axi_arburst_o = 2'b01;
  assign m_axi_arcache_o = 4'b0011;  // normal memory, not cached
  assign m_axi_arprot_o = '0;
  assign m_axi_arqos_o = '1;  // a panel does not wait

  logic enable, pending, take, busy, wrong, error;
  scanout_t settings;
  events_t events;

  display_registers #(
    .MaxWidth(MaxWidth)
  ) u_registers (
    .clk_i, .rst_ni,
    .s_axil_awvalid_i, .s_axil_awready_o, .s_axil_awaddr_i,
    .s_axil_wvalid_i, .s_axil_wready_o, .s_axil_wdata_i, .s_axil_wstrb_i,
    .s_axil_bvalid_o, .s_axil_bready_i, .s_axil_bresp_o,
    .s_axil_arvalid_i, .s_axil_arready_o, .s_axil_araddr_i,
    .s_axil_rvalid_o, .s_axil_rready_i, .s_axil_rdata_o, .s_axil_rresp_o,
    .irq_o,
    .enable_o(enable),
    .pending_o(pending),
    .settings_o(settings),
    .take_i(take),
    .busy_i(busy),
    .events_i(events)
  );

  // names of what crosses: `pixel_` is the value at the pixel clock
  logic panel_enable, pixel_enable, panel_active, pixel_active, underrun, underrun_q, pixel_underrun, pixel_rst_n;
  logic request_valid, request_ready, pixel_request_valid, pixel_request_ready, unused_request;
  logic frame_valid, frame_ready, pixel_frame_valid, pixel_frame_ready;
  frame_t frame, pixel_frame;
  logic [CountWidth-1:0] frame_word, pixel_frame_word;
  logic word_valid, word_ready, pixel_drop, pixel_re, unused_bit;
  logic [WordBits-1:0] word, pixel_rdata;
  logic [CountWidth-1:0] word_count, pixel_written, pixel_dropped, pixel_word;
  logic [3:0] unused_crossing;

  display_fetch #(
    .MaxWidth(MaxWidth),
    .CountWidth(CountWidth),
    .Lines(Lines)
  ) u_fetch (
    .clk_i,
    .rst_ni,
    .enable_i(enable),
    .pending_i(pending),
    .settings_i(settings),
    .take_o(take),
    .wrong_o(wrong),
    .error_o(error),
    .busy_o(busy),
    .panel_enable_o(panel_enable),
    .panel_active_i(panel_active),
    .request_valid_i(request_valid),
    .request_ready_o(request_ready),
    .frame_valid_o(frame_valid),
    .frame_ready_i(frame_ready),
    .frame_o(frame),
    .frame_word_o(frame_word),
    .word_valid_o(word_valid),
    .word_ready_i(word_ready),
    .word_o(word),
    .word_count_i(word_count),
    .m_axi_arvalid_o,
    .m_axi_arready_i,
    .m_axi_araddr_o,
    .m_axi_arlen_o,
    .m_axi_rvalid_i,
    .m_axi_rready_o,
    .m_axi_rdata_i,
    .m_axi_rresp_i,
    .m_axi_rlast_i
  );

  always_ff @(posedge clk_i) begin
    underrun_q <= underrun;
    events <= '{settings: wrong, bus_error: error, underrun: underrun && !underrun_q, frame: take};
  end

  // ---------------------------------------------------------------- between the clocks

  // begins low in any case, so that the other clock sees the reset
  sync_bit u_reset (
    .src_clk_i(clk_i),
    .src_rst_ni(rst_ni),
    .d_i(1'b1),
    .src_q_o(unused_crossing[0]),
    .dst_clk_i(pixel_clk_i),
    .q_o(pixel_rst_n)
  );
  sync_bit u_enable (
    .src_clk_i(clk_i),
    .src_rst_ni(rst_ni),
    .d_i(panel_enable),
    .src_q_o(unused_crossing[1]),
    .dst_clk_i(pixel_clk_i),
    .q_o(pixel_enable)
  );
  sync_bit u_active (
    .src_clk_i(pixel_clk_i),
    .src_rst_ni(pixel_rst_n),
    .d_i(pixel_active),
    .src_q_o(unused_crossing[2]),
    .dst_clk_i(clk_i),
    .q_o(panel_active)
  );
  sync_bit u_underrun (
    .src_clk_i(pixel_clk_i),
    .src_rst_ni(pixel_rst_n),
    .d_i(pixel_underrun),
    .src_q_o(unused_crossing[3]),
    .dst_clk_i(clk_i),
    .q_o(underrun)
  );
  // a word of nothing
  sync_word #(
    .Width(1)
  ) u_request (
    .src_clk_i(pixel_clk_i),
    .src_rst_ni(pixel_rst_n),
    .src_valid_i(pixel_request_valid),
    .src_ready_o(pixel_request_ready),
    .src_data_i(1'b0),
    .dst_clk_i(clk_i),
    .dst_rst_ni(rst_ni),
    .dst_valid_o(request_valid),
    .dst_ready_i(request_ready),
    .dst_data_o(unused_request)
  );
  sync_word #(
    .Width($bits(frame_t) + CountWidth)
  ) u_frame (
    .src_clk_i(clk_i),
    .src_rst_ni(rst_ni),
    .src_valid_i(frame_valid),
    .src_ready_o(frame_ready),
    .src_data_i({frame, frame_word}),
    .dst_clk_i(pixel_clk_i),
    .dst_rst_ni(pixel_rst_n),
    .dst_valid_o(pixel_frame_valid),
    .dst_ready_i(pixel_frame_ready),
    .dst_data_o({pixel_frame, pixel_frame_word})
  );
  async_fifo #(
    .Width(WordBits),
    .Depth(Words)
  ) u_words (
    .in_clk_i(clk_i),
    .in_rst_ni(rst_ni),
    .in_valid_i(word_valid),
    .in_ready_o(word_ready),
    .in_data_i(word),
    .in_count_o(word_count),
    .out_clk_i(pixel_clk_i),
    .out_rst_ni(pixel_rst_n),
    .out_written_o(pixel_written),
    .out_dropped_o(pixel_dropped),
    .out_drop_i(pixel_drop),
    .out_re_i(pixel_re),
    .out_index_i(pixel_word[CountWidth-2:0]),
    .out_data_o(pixel_rdata)
  );
  assign unused_bit = pixel_word[CountWidth-1];

  display_scan #(
    .CountWidth(CountWidth)
  ) u_scan (
    .clk_i(pixel_clk_i),
    .rst_ni(pixel_rst_n),
    .enable_i(pixel_enable),
    .active_o(pixel_active),
    .underrun_o(pixel_underrun),
    .request_valid_o(pixel_request_valid),
    .request_ready_i(pixel_request_ready),
    .frame_valid_i(pixel_frame_valid),
    .frame_ready_o(pixel_frame_ready),
    .frame_i(pixel_frame),
    .frame_word_i(pixel_frame_word),
    .written_i(pixel_written),
    .dropped_i(pixel_dropped),
    .drop_o(pixel_drop),
    .re_o(pixel_re),
    .word_o(pixel_word),
    .rdata_i(pixel_rdata),
    .de_o(pixel_de_o),
    .hsync_o(pixel_hsync_o),
    .vsync_o(pixel_vsync_o),
    .rgb_o(pixel_rgb_o)
  );

endmodule
