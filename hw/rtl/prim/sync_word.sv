// A word into another clock by a handshake: it stands still in registers of its own clock until the other one has taken it.
//
// `dst_valid_o` says that one waits; taken with `dst_ready_i`, it is in `dst_data_o` from the next cycle on, until the next one is taken. A word in about
// 4 cycles of either clock.
module sync_word #(
  parameter int unsigned Width = 32
) (
  input  logic             src_clk_i,
  input  logic             src_rst_ni,
  input  logic             src_valid_i,
  output logic             src_ready_o,  // the last one was taken
  input  logic [Width-1:0] src_data_i,

  input  logic             dst_clk_i,
  input  logic             dst_rst_ni,
  output logic             dst_valid_o,
  input  logic             dst_ready_i,
  output logic [Width-1:0] dst_data_o
);

  // both turn over: one for each word offered, one for each taken
  logic offered, offered_there, taken, taken_there, offer, take;
  logic [Width-1:0] data;

  assign src_ready_o = offered == taken_there;
  assign offer = src_valid_i && src_ready_o;
  assign dst_valid_o = offered_there != taken;
  assign take = dst_valid_o && dst_ready_i;

  sync_bit u_offered (
    .src_clk_i,
    .src_rst_ni,
    .d_i(offered ^ offer),
    .src_q_o(offered),
    .dst_clk_i,
    .q_o(offered_there)
  );
  sync_bit u_taken (
    .src_clk_i(dst_clk_i),
    .src_rst_ni(dst_rst_ni),
    .d_i(taken ^ take),
    .src_q_o(taken),
    .dst_clk_i(src_clk_i),
    .q_o(taken_there)
  );
  cross_flops #(
    .Width(Width)
  ) u_launch (
    .clk_i(src_clk_i),
    .clear_i(1'b0),
    .en_i(offer),
    .d_i(src_data_i),
    .q_o(data)
  );
  cross_flops #(
    .Width(Width),
    .Capture(1'b1)
  ) u_capture (
    .clk_i(dst_clk_i),
    .clear_i(1'b0),
    .en_i(take),
    .d_i(data),
    .q_o(dst_data_o)
  );

`ifndef SYNTHESIS
  // nothing is known before a reset of two cycles
  logic begun_q, reset_q;
  initial {begun_q, reset_q} = '0;
  always_ff @(posedge dst_clk_i) begin
    reset_q <= !dst_rst_ni;
    begun_q <= begun_q || (reset_q && !dst_rst_ni);
  end
  assert property (@(posedge dst_clk_i) disable iff (!begun_q || !dst_rst_ni) dst_valid_o |-> $stable(data))
  else $error("%m: the word changed before it was taken");
`endif

endmodule
