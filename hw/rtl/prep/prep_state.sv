// The four lanes of a state word as 15-bit numbers of two planes: mean of four pixels, right by `shift`, rounded, clamped.
//
// `x_i` with `valid_i`; `value_o` follows 6 cycles later, right behind the last of four.
module prep_state #(
    localparam int unsigned Lanes = 4
) (
    input logic clk_i,

    input logic        mean_i,   // stable
    input logic [4:0]  shift_i,  // stable
    input logic        valid_i,
    input logic        first_i,  // a cycle before `valid_i`

    input  logic [Lanes-1:0][31:0] x_i,
    output logic [Lanes-1:0][15:0] value_o
);

  localparam logic signed [32:0] Max = 33'sd16319;  // spec::operand::PLANES_MAX

  logic [31:0] half_q;
  always_ff @(posedge clk_i) half_q <= shift_i == '0 ? '0 : 32'(1) << (shift_i - 5'd1);

  // registers for each lane, of the shift for each third of its bits, so that none drives too many
  logic [Lanes-1:0] mean_q, first_q;
  copies #(
      .Copies(Lanes)
  ) u_mean (
      .clk_i,
      .d_i(mean_i),
      .q_o(mean_q)
  );
  copies #(
      .Copies(Lanes)
  ) u_first (
      .clk_i,
      .d_i(first_i),
      .q_o(first_q)
  );
  localparam int unsigned Third = 11;
  logic [Lanes-1:0][2:0][4:0] shift_q;
  copies #(
      .Width(5),
      .Copies(3 * Lanes)
  ) u_shift (
      .clk_i,
      .d_i(shift_i),
      .q_o(shift_q)
  );

  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    logic signed [33:0] sum1_q, sum0;
    logic signed [31:0] x2_q, r3;
    logic signed [32:0] r3_q, t4_q, t5_q;
    logic signed [15:0] v6_q;
    // verilator lint_off UNUSEDSIGNAL  // four numbers of 32 bits make no carry
    logic [34:0] sum;
    // verilator lint_on UNUSEDSIGNAL
    assign sum0 = first_q[l] ? {32'b0, mean_q[l], 1'b0} : sum1_q;
    carry_select #(
        .Width(34)
    ) u_sum (
        .a_i(34'($signed(x_i[l]))),
        .b_i(sum0),
        .carry_i(1'b0),
        .sum_o(sum)
    );
    // half is 2^30 at most: only a negative number stays negative
    assign r3 = x2_q + $signed(half_q);
    always_ff @(posedge clk_i) begin
      if (valid_i) sum1_q <= sum[33:0];
      x2_q <= mean_q[l] ? sum1_q[33:2] : sum1_q[31:0];
      r3_q <= {x2_q[31] && r3[31], r3};
      for (int unsigned k = 0; k < 3; k++) t4_q[Third*k+:Third] <= Third'((r3_q >>> shift_q[l][k][2:0]) >>> (Third * k));
      t5_q <= t4_q >>> {shift_q[l][0][4:3], 3'b000};
      if (t5_q > Max) v6_q <= 16'(Max);
      else if (t5_q < -Max) v6_q <= 16'(-Max);
      else v6_q <= t5_q[15:0];
    end
    assign value_o[l] = v6_q;
  end

endmodule
