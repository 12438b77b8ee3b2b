// The pointers of async_fifo, with two clocks that tick in any order, together, or not at all.
//
// There is never more in it than it has places for, and the reader never sees a word before it was written; what crosses changes by one bit at a time, so that a
// register that takes it while it changes holds the value before or the one behind. What the words are is not looked at.
module async_fifo_proof #(
  parameter int unsigned Depth = 4,
  localparam int unsigned CountWidth = $clog2(Depth) + 1
) (
  input logic in_clk_i,
  input logic out_clk_i,
  input logic in_valid_i,
  input logic drop_i
);

  logic in_ready, data;
  logic [CountWidth-1:0] in_count, written, dropped;

  // all registers begin at 0, as after a reset
  async_fifo #(
    .Width(1),
    .Depth(Depth)
  ) u_fifo (
    .in_clk_i,
    .in_rst_ni(1'b1),
    .in_valid_i,
    .in_ready_o(in_ready),
    .in_data_i(1'b0),
    .in_count_o(in_count),
    .out_clk_i,
    .out_rst_ni(1'b1),
    .out_written_o(written),
    .out_dropped_o(dropped),
    .out_drop_i(drop_i && dropped != written),
    .out_re_i(1'b0),
    .out_index_i('0),
    .out_data_o(data)
  );

  logic [CountWidth-1:0] held, seen;
  assign held = in_count - dropped;
  assign seen = written - dropped;

  // the next value of what crosses, at its own clock
  logic [CountWidth-1:0] in_change, out_change;
  assign in_change = u_fifo.u_written.u_launch.d_i ^ u_fifo.u_written.u_launch.q_o;
  assign out_change = u_fifo.u_dropped.u_launch.d_i ^ u_fifo.u_dropped.u_launch.q_o;

  always_comb begin
    assert (held <= CountWidth'(Depth));
    assert (seen <= held);
    assert ((in_change & (in_change - 1'b1)) == '0);
    assert ((out_change & (out_change - 1'b1)) == '0);
    if (in_ready) assert (held != CountWidth'(Depth));
`ifdef REACHED
    assert (!(held == CountWidth'(Depth) && seen == held && dropped == CountWidth'(1)));
`endif
  end

endmodule
