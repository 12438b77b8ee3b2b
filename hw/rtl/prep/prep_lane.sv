// One lane of `prep`: affine map to Q10, SiLU, quantisation, mean of four operands.
//
// `x_i` and the map come together, `valid_i` and `first_i` of the same value 16 cycles after them; the operand follows 18 cycles after
// `x_i`. The first product also squares values for the channel sums, 2 cycles after `x_i`.
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
  logic signed [31:0] m1_q, bias1_q, p2_q, t3_q, t4_q;
  logic [4:0] shift1_q, shift2_q;
  logic [1:0] shift3_q;
  logic signed [15:0] u5_q;
  always_ff @(posedge clk_i) begin
    m1_q <= x_i * a_i;
    bias1_q <= b_i + $signed(half_i);
    shift1_q <= shift_i;
    p2_q <= m1_q + bias1_q;
    t3_q <= p2_q >>> shift2_q[2:0];
    shift3_q <= shift2_q[4:3];
    t4_q <= t3_q >>> {shift3_q, 3'b000};
    if (t4_q[31:15] == '0 || t4_q[31:15] == '1) u5_q <= t4_q[15:0];
    else u5_q <= {t4_q[31], {15{!t4_q[31]}}};
  end
  assign product_o = p2_q;
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

  // quantisation: 4 stages
  logic signed [31:0] m13_q, p14_q;
  logic signed [16:0] v15_q;
  logic signed [7:0] q16_q;
  always_ff @(posedge clk_i) begin
    m13_q <= y * gain_i;
    p14_q <= m13_q + 32'sd16384;
    v15_q <= 17'(p14_q >>> 15) + 17'(zero_i);
    if (v15_q > 17'sd127) q16_q <= 8'sd127;
    else if (v15_q < -17'sd127) q16_q <= -8'sd127;
    else q16_q <= v15_q[7:0];
  end

  // mean
  logic signed [9:0] sum17_q;
  always_ff @(posedge clk_i) begin
    if (valid_i) sum17_q <= (first_i ? {8'b0, mean_i, 1'b0} : sum17_q) + 10'(q16_q);
    operand_o <= mean_i ? sum17_q[9:2] : sum17_q[7:0];
  end

endmodule
