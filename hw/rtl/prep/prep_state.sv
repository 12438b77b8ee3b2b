// The four lanes of a state word as 15-bit numbers of two planes: mean of four pixels, right by `shift`, rounded, clamped.
//
// `x_i` with `valid_i` and `first_i`; `value_o` follows 6 cycles later, right behind the last of four.
module prep_state #(
    localparam int unsigned Lanes = 4
) (
    input logic clk_i,

    input logic        mean_i,   // stable
    input logic [4:0]  shift_i,  // stable
    input logic        valid_i,
    input logic        first_i,

    input  logic [Lanes-1:0][31:0] x_i,
    output logic [Lanes-1:0][15:0] value_o
);

  localparam logic signed [32:0] Max = 33'sd16319;  // spec::operand::PLANES_MAX

  logic [31:0] half_q;
  always_ff @(posedge clk_i) half_q <= shift_i == '0 ? '0 : 32'(1) << (shift_i - 5'd1);

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic signed [33:0] sum1_q;
    logic signed [31:0] x2_q;
    logic signed [32:0] r3_q, t4_q, t5_q;
    logic signed [15:0] v6_q;
    always_ff @(posedge clk_i) begin
      if (valid_i) sum1_q <= (first_i ? {32'b0, mean_i, 1'b0} : sum1_q) + 34'($signed(x_i[l]));
      x2_q <= mean_i ? sum1_q[33:2] : sum1_q[31:0];
      r3_q <= 33'(x2_q) + $signed({1'b0, half_q});
      t4_q <= r3_q >>> shift_i[2:0];
      t5_q <= t4_q >>> {shift_i[4:3], 3'b000};
      if (t5_q > Max) v6_q <= 16'(Max);
      else if (t5_q < -Max) v6_q <= 16'(-Max);
      else v6_q <= t5_q[15:0];
    end
    assign value_o[l] = v6_q;
  end

endmodule
