// The multiply-accumulate array: [P][I] operands and [O][I] weights a cycle into [P][O] accumulators of 32 bits.
//
// Two pixels share a DSP and its weight (mac_pair). Cascades of at most 8 input lanes keep both sums apart (|sum| <= 8 * 127 * 127 < 2^17).
// P * O * I / 2 DSPs.
//
// Takes an issue a cycle; operands and weights come with it. acc_valid_o is high mac_latency(I) cycles after an issue with
// `last`, for one cycle, in which acc_o holds the sums; acc_soon_o is high two cycles before it.

module mac_array
  import diffuser_pkg::*;
  import array_pkg::*;
#(
  parameter int unsigned P = 4,  // even
  parameter int unsigned O = 8,
  parameter int unsigned I = 8,  // a power of two
  parameter bit Primitive = 1'b0  // DSP48E2 cells rather than their model
) (
  input logic clk_i,
  input logic rst_ni,

  input issue_t issue_i,
  input logic [P-1:0][I-1:0][7:0] operand_i,
  input logic [O-1:0][I-1:0][7:0] weight_i,

  output logic acc_soon_o,
  output logic acc_valid_o,
  output logic [P-1:0][O-1:0][31:0] acc_o
);

  localparam int unsigned Lanes = cascade_lanes(I);
  localparam int unsigned Latency = mac_latency(I);

  // Lane k of a cascade adds one cycle after lane k - 1: its operands and weights are k cycles late, after a register that all have.
  // The lower pixel's sign goes to 20 inputs of a DSP: a register of it for three of them.
  localparam int unsigned Signs = (O + 2) / 3;
  logic [I-1:0][P-1:0][7:0] operand_lane, operand_skewed;
  logic [I-1:0][P/2-1:0][Signs-1:0] sign_skewed;
  logic [I-1:0][O-1:0][7:0] weight_lane, weight_skewed;
  always_comb begin
    for (int unsigned i = 0; i < I; i++) begin
      for (int unsigned p = 0; p < P; p++) operand_lane[i][p] = operand_i[p][i];
      for (int unsigned o = 0; o < O; o++) weight_lane[i][o] = weight_i[o][i];
    end
  end
  for (genvar i = 0; i < I; i++) begin : gen_skew
    localparam int unsigned Late = i % Lanes;
    logic [Late+1:0][P-1:0][7:0] operand;  // [k]: k cycles later
    logic [Late+1:0][O-1:0][7:0] weight;
    assign operand[0] = operand_lane[i];
    assign weight[0] = weight_lane[i];
    always_ff @(posedge clk_i) begin
      operand[Late+1:1] <= operand[Late:0];
      weight[Late+1:1] <= weight[Late:0];
    end
    assign operand_skewed[i] = operand[Late+1];
    assign weight_skewed[i] = weight[Late+1];
    for (genvar q = 0; q < P / 2; q++) begin : gen_sign
      copies #(
        .Copies(Signs)
      ) u_sign (
        .clk_i,
        .d_i(operand[Late][2*q][7]),
        .q_o(sign_skewed[i][q])
      );
    end
  end

  // The flags go along with the sums; those of the accumulating cycle are the last but one, and there once for each accumulator.
  logic [Latency-1:0] valid_q;
  // verilator lint_off UNUSEDSIGNAL  // `first` and `shift` end in copies
  issue_t [Latency-2:0] issue_q;
  // verilator lint_on UNUSEDSIGNAL
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[Latency-2:0] & {{1{issue_q[Latency-2].last}}, {(Latency - 2) {1'b1}}}, issue_i.valid};
    issue_q <= {issue_q[Latency-3:0], issue_i};
  end
  assign acc_valid_o = valid_q[Latency-1];
  assign acc_soon_o = valid_q[Latency-3] && issue_q[Latency-3].last;

  mac_control_t control;
  mac_control_t [P-1:0] of_pixel;
  assign control = '{accumulate: valid_q[Latency-4], first: issue_q[Latency-4].first, shift: issue_q[Latency-4].shift};
  copies #(
    .Width($bits(mac_control_t)),
    .Copies(P)
  ) u_of_pixel (
    .clk_i,
    .d_i(control),
    .q_o(of_pixel)
  );

  for (genvar q = 0; q < P / 2; q++) begin : gen_pair
    for (genvar o = 0; o < O; o++) begin : gen_output
      logic [I-1:0][7:0] p1, p0, w;
      for (genvar i = 0; i < I; i++) begin : gen_lane
        assign p1[i] = operand_skewed[i][2*q+1];
        assign p0[i] = {sign_skewed[i][q][o/3], operand_skewed[i][2*q][6:0]};
        assign w[i] = weight_skewed[i][o];
      end
      mac_pair #(
        .I(I),
        .Primitive(Primitive)
      ) u_pair (
        .clk_i,
        .p1_i(p1),
        .p0_i(p0),
        .w_i(w),
        .control1_i(of_pixel[2*q+1]),
        .control0_i(of_pixel[2*q]),
        .acc1_o(acc_o[2*q+1][o]),
        .acc0_o(acc_o[2*q][o])
      );
    end
  end

endmodule
