// One bit into another clock: a register of its own clock, then two of the other.
//
// A level that lasts for at least two cycles of `dst_clk_i` is seen there, 2 to 3 cycles late; a shorter one may be missed. Bits that belong together go
// through sync_count or sync_word.
module sync_bit (
  input  logic src_clk_i,
  input  logic src_rst_ni,
  input  logic d_i,
  output logic src_q_o,  // as it crosses

  input  logic dst_clk_i,
  output logic q_o
);

  logic meta;

  cross_flops u_launch (
    .clk_i(src_clk_i),
    .clear_i(!src_rst_ni),
    .en_i(1'b1),
    .d_i,
    .q_o(src_q_o)
  );
  cross_flops #(
    .Capture(1'b1)
  ) u_first (
    .clk_i(dst_clk_i),
    .clear_i(1'b0),
    .en_i(1'b1),
    .d_i(src_q_o),
    .q_o(meta)
  );
  cross_flops #(
    .Capture(1'b1)
  ) u_second (
    .clk_i(dst_clk_i),
    .clear_i(1'b0),
    .en_i(1'b1),
    .d_i(meta),
    .q_o
  );

endmodule
