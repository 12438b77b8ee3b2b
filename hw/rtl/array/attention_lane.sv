// One value of the result of attention: weighted mean and operand, exactly as `spec::softmax::weighted_mean` and `spec::operand`.
//
// 9 cycles, one value a cycle: rnd(x R, 8 + top) with R the reciprocal's mantissa and 16 + top its shift, saturated to 16 bits,
// then sat8(mean * gain). The product is made of x's low 13 bits and the others: rounding begins at bit 13 or
// above, as a sum of weights is at least 127 (top at least 6).
module attention_lane (
  input logic clk_i,

  input logic signed [15:0] gain_i,  // stable

  input logic signed [31:0] x_i,
  input logic        [16:0] mantissa_i,
  input logic        [ 4:0] top_i,  // 6 to 21

  output logic signed [7:0] operand_o
);

  logic [29:0] low1_q;
  logic [17:0] low2_q;  // from bit 13 on
  logic [30:0] half1_q;
  logic signed [18:0] high1_q;
  logic [16:0] mantissa1_q;
  logic signed [36:0] high2_q;
  // verilator lint_off UNUSEDSIGNAL  // the lowest bit is always dropped, and a carry does not come
  logic [37:0] z3;
  // verilator lint_on UNUSEDSIGNAL
  logic signed [35:0] z3_q;  // from bit 1 on
  logic [3:0] down1_q, down2_q, down3_q;
  logic [1:0] down4_q;
  logic signed [35:0] t4_q, t5_q;
  logic signed [15:0] mean6_q;
  logic signed [31:0] m7_q, p8_q;
  logic signed [16:0] v8;
  carry_select #(
    .Width(37)
  ) u_sum (
    .a_i({19'b0, low2_q}),
    .b_i(high2_q),
    .carry_i(1'b0),
    .sum_o(z3)
  );
  // of one's own, since one for all lanes would have too many readers
  copies #(
    .Width(4),
    .Copies(1)
  ) u_down3 (
    .clk_i,
    .d_i(down2_q),
    .q_o(down3_q)
  );
  copies #(
    .Width(2),
    .Copies(1)
  ) u_down4 (
    .clk_i,
    .d_i(down3_q[3:2]),
    .q_o(down4_q)
  );
  assign v8 = 17'(p8_q >>> 15);

  always_ff @(posedge clk_i) begin
    low1_q <= x_i[12:0] * mantissa_i;
    high1_q <= x_i[31:13];
    mantissa1_q <= mantissa_i;
    half1_q <= 31'd128 << top_i;  // 2^(shift - 1)
    down1_q <= 4'(top_i - 5'd6);

    low2_q <= 18'((31'(low1_q) + half1_q) >> 13);
    high2_q <= high1_q * $signed({1'b0, mantissa1_q});
    down2_q <= down1_q;

    z3_q <= z3[36:1];

    t4_q <= z3_q >>> down3_q[1:0];
    t5_q <= t4_q >>> {down4_q, 2'b00};
    if (t5_q[35:15] == '0 || t5_q[35:15] == '1) mean6_q <= t5_q[15:0];
    else mean6_q <= {t5_q[35], {15{!t5_q[35]}}};

    m7_q <= mean6_q * gain_i;
    p8_q <= m7_q + 32'sd16384;
    if (v8 > 17'sd127) operand_o <= 8'sd127;
    else if (v8 < -17'sd127) operand_o <= -8'sd127;
    else operand_o <= v8[7:0];
  end

endmodule
