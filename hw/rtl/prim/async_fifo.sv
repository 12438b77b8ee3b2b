// First in, first out, written by one clock, read by another: pointers cross as Gray code (sync_count).
//
// The reader sees how many words were ever written and dropped, modulo twice the depth. Words from the oldest one that was not dropped to the newest may be
// read in any order and as often as wanted, by their number; `drop_i` gives the oldest one's place back. It is never emptied but by that.
//
// A place is free again 3 to 4 cycles of `in_clk_i` after the drop, a word there 3 to 4 cycles of `out_clk_i` after the write, its data two cycles after `re_i`.
module async_fifo #(
  parameter int unsigned Width = 32,
  parameter int unsigned Depth = 512,  // words, a power of two
  localparam int unsigned IndexWidth = $clog2(Depth),
  localparam int unsigned CountWidth = IndexWidth + 1
) (
  input  logic                  in_clk_i,
  input  logic                  in_rst_ni,
  input  logic                  in_valid_i,
  output logic                  in_ready_o,
  input  logic [     Width-1:0] in_data_i,
  output logic [CountWidth-1:0] in_count_o,  // words written

  input  logic                  out_clk_i,
  input  logic                  out_rst_ni,
  output logic [CountWidth-1:0] out_written_o,
  output logic [CountWidth-1:0] out_dropped_o,
  input  logic                  out_drop_i,  // where they differ
  input  logic                  out_re_i,
  input  logic [IndexWidth-1:0] out_index_i,
  output logic [     Width-1:0] out_data_o
);

  logic push, full_q;
  logic [CountWidth-1:0] written, more, dropped, end_of_room;

  assign in_ready_o = !full_q;
  assign in_count_o = written;
  assign push = in_valid_i && !full_q;
  assign more = written + 1'b1;
  assign end_of_room = dropped ^ CountWidth'(Depth);

  // `dropped` only lags behind: with it there is never more room than it says
  always_ff @(posedge in_clk_i) begin
    if (!in_rst_ni) full_q <= 1'b0;
    else full_q <= (push ? more : written) == end_of_room;
  end

  sync_count #(
    .Width(CountWidth)
  ) u_written (
    .src_clk_i(in_clk_i),
    .src_rst_ni(in_rst_ni),
    .inc_i(push),
    .src_count_o(written),
    .dst_clk_i(out_clk_i),
    .dst_count_o(out_written_o)
  );
  sync_count #(
    .Width(CountWidth)
  ) u_dropped (
    .src_clk_i(out_clk_i),
    .src_rst_ni(out_rst_ni),
    .inc_i(out_drop_i),
    .src_count_o(out_dropped_o),
    .dst_clk_i(in_clk_i),
    .dst_count_o(dropped)
  );
  mem_2clk #(
    .Width(Width),
    .Depth(Depth)
  ) u_mem (
    .wclk_i(in_clk_i),
    .we_i(push),
    .waddr_i(written[IndexWidth-1:0]),
    .wdata_i(in_data_i),
    .rclk_i(out_clk_i),
    .re_i(out_re_i),
    .raddr_i(out_index_i),
    .rdata_o(out_data_o)
  );

`ifndef SYNTHESIS
  initial assert (Depth == 2 ** IndexWidth)
  else $error("%m: Depth is no power of two");
  // nothing is known before a reset of two cycles
  logic begun_q, reset_q;
  initial {begun_q, reset_q} = '0;
  always_ff @(posedge out_clk_i) begin
    reset_q <= !out_rst_ni;
    begun_q <= begun_q || (reset_q && !out_rst_ni);
  end
  assert property (@(posedge out_clk_i) disable iff (!begun_q || !out_rst_ni) out_drop_i |-> out_dropped_o != out_written_o)
  else $error("%m: a word is dropped that is not there");
`endif

endmodule
