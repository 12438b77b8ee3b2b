// A count that goes up by one at a time, seen from another clock: as Gray code, of which one bit changes at a time, so that what is read there is
// a value that the count had.
//
// The other clock sees it 3 to 4 of its cycles late.
module sync_count #(
  parameter int unsigned Width = 4
) (
  input logic src_clk_i,
  input logic src_rst_ni,
  input logic inc_i,
  output logic [Width-1:0] src_count_o,

  input  logic dst_clk_i,
  output logic [Width-1:0] dst_count_o
);

  logic [Width-1:0] count_q, more, gray, gray_more, crossing, meta, settled, binary, dst_q;

  assign src_count_o = count_q;
  assign more = count_q + 1'b1;
  assign gray = count_q ^ (count_q >> 1);
  assign gray_more = more ^ (more >> 1);
  always_ff @(posedge src_clk_i) begin
    if (!src_rst_ni) count_q <= '0;
    else if (inc_i) count_q <= more;
  end

  cross_flops #(
    .Width(Width)
  ) u_launch (
    .clk_i(src_clk_i),
    .clear_i(!src_rst_ni),
    .en_i(1'b1),
    .d_i(inc_i ? gray_more : gray),
    .q_o(crossing)
  );
  cross_flops #(
    .Width(Width),
    .Capture(1'b1)
  ) u_first (
    .clk_i(dst_clk_i),
    .clear_i(1'b0),
    .en_i(1'b1),
    .d_i(crossing),
    .q_o(meta)
  );
  cross_flops #(
    .Width(Width),
    .Capture(1'b1)
  ) u_second (
    .clk_i(dst_clk_i),
    .clear_i(1'b0),
    .en_i(1'b1),
    .d_i(meta),
    .q_o(settled)
  );

  for (genvar b = 0; b < Width; b++) begin : gen_binary
    assign binary[b] = ^settled[Width-1:b];
  end
  always_ff @(posedge dst_clk_i) dst_q <= binary;
  assign dst_count_o = dst_q;

`ifndef SYNTHESIS
  // nothing is known before a reset of two cycles
  logic begun_q, reset_q;
  initial {begun_q, reset_q} = '0;
  always_ff @(posedge src_clk_i) begin
    reset_q <= !src_rst_ni;
    begun_q <= begun_q || (reset_q && !src_rst_ni);
  end
  assert property (@(posedge src_clk_i) disable iff (!begun_q || !src_rst_ni) $onehot0(crossing ^ $past(crossing)))
  else $error("%m: more than one bit changes");
`endif

endmodule
