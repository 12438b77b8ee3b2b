// One lane of `prep`: affine map to Q10, SiLU, quantisation, mean of four operands.
//
// The map's offset comes a cycle after `x_i` and `a_i`, `valid_i` and `first_i` of the same value 17 cycles after them; the operand follows 19
// cycles after `x_i`. The first product also squares values for the channel sums, 3 cycles after `x_i`. Factors are registered in the DSPs.
module prep_lane (
    input logic clk_i,

    // stable while values are on their way
    input logic               silu_i,
    input logic               mean_i,  // of four values; `first_i` of the first, the operand behind the last
    input logic signed [15:0] gain_i,
    input logic signed [7:0]  zero_i,

    input logic signed [15:0] x_i,
    input logic signed [15:0] a_i,
    input logic signed [31:0] b_i,
    input logic [31:0]        half_i,   // 2^(shift - 1), or 0
    input logic [4:0]         shift_i,
    input logic               valid_i,
    input logic               first_i,

    output logic signed [31:0] product_o,  // x a + b + half
    output logic signed [7:0]  operand_o
);

  // affine map: 5 stages
  // what DSPs have beyond what is used
  // verilator lint_off UNUSEDSIGNAL
  logic [1:0][47:0] sum, pcout;
  // verilator lint_on UNUSEDSIGNAL
  logic signed [31:0] bias, p2, t3_q, t4_q;
  assign bias = b_i + $signed(half_i);
  assign p2 = sum[0][31:0];
  dsp48e2_madd #(
      .AddC(1'b1)
  ) u_map (
      .clk_i,
      .a_i(27'(x_i)),
      .b_i(18'(a_i)),
      .c_i(48'(bias)),
      .pcin_i('0),
      .pcout_o(pcout[0]),
      .p_o(sum[0])
  );
  logic [4:0] shift1_q, shift2_q;
  logic [1:0] shift3_q;
  logic signed [15:0] u5_q;
  always_ff @(posedge clk_i) begin
    shift1_q <= shift_i;
    t3_q <= p2 >>> shift2_q[2:0];
    shift3_q <= shift2_q[4:3];
    t4_q <= t3_q >>> {shift3_q, 3'b000};
    if (t4_q[31:15] == '0 || t4_q[31:15] == '1) u5_q <= t4_q[15:0];
    else u5_q <= {t4_q[31], {15{!t4_q[31]}}};
  end
  assign product_o = p2;
  // not one with the other lanes' of this channel: it would drive too many
  copies #(
      .Width(5),
      .Copies(1)
  ) u_shift (
      .clk_i,
      .d_i(shift1_q),
      .q_o(shift2_q)
  );

  logic signed [15:0] y;
  silu u_silu (
      .clk_i,
      .enable_i(silu_i),
      .u_i(u5_q),
      .y_o(y)
  );

  // quantisation: 4 stages; the zero point is added before the shift
  logic signed [17:0] v15;
  logic signed [7:0] q16_q;
  dsp48e2_madd #(
      .AddC(1'b1)
  ) u_gain (
      .clk_i,
      .a_i(27'(y)),
      .b_i(18'(gain_i)),
      .c_i(48'($signed({zero_i, 15'd16384}))),
      .pcin_i('0),
      .pcout_o(pcout[1]),
      .p_o(sum[1])
  );
  assign v15 = sum[1][32:15];
  always_ff @(posedge clk_i) begin
    if (v15 > 18'sd127) q16_q <= 8'sd127;
    else if (v15 < -18'sd127) q16_q <= -8'sd127;
    else q16_q <= v15[7:0];
  end

  // mean
  logic signed [9:0] sum17_q;
  always_ff @(posedge clk_i) begin
    if (valid_i) sum17_q <= (first_i ? {8'b0, mean_i, 1'b0} : sum17_q) + 10'(q16_q);
    operand_o <= mean_i ? sum17_q[9:2] : sum17_q[7:0];
  end

endmodule
