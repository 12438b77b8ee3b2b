// The multiply-accumulate array: [P][I] operands and [O][I] weights a cycle into [P][O] accumulators of 32 bits.
//
// Two pixels share a DSP and its weight: ((p1 << 18) + p0) * w. Cascades of at most 8 input lanes keep both sums apart
// (|sum| <= 8 * 127 * 127 < 2^17); below a cascade they are split, the upper one taking back the borrow of the lower, and added to
// those of the other cascades and to the accumulators in the fabric. P * O * I / 2 DSPs.
//
// Takes an issue a cycle; operands and weights come with it. acc_valid_o is high mac_latency(I) cycles after an issue with
// `last`, for one cycle, in which acc_o holds the sums; acc_soon_o is high two cycles before it.

module mac_array
  import diffuser_pkg::*;
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

  localparam int unsigned Lanes = array_pkg::cascade_lanes(I);
  localparam int unsigned Cascades = I / Lanes;
  localparam int unsigned Levels = $clog2(Cascades);
  localparam int unsigned Latency = array_pkg::mac_latency(I);
  localparam int unsigned SumWidth = 18 + Levels;

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

  typedef struct packed {
    logic accumulate;
    logic first;
    logic shift;
  } control_t;
  control_t control;
  control_t [P-1:0] of_pixel;
  control_t [P-1:0][O-1:0] of_acc;
  assign control = '{accumulate: valid_q[Latency-4], first: issue_q[Latency-4].first, shift: issue_q[Latency-4].shift};
  copies #(
    .Width($bits(control_t)),
    .Copies(P)
  ) u_of_pixel (
    .clk_i,
    .d_i(control),
    .q_o(of_pixel)
  );
  for (genvar p = 0; p < P; p++) begin : gen_of_acc
    copies #(
      .Width($bits(control_t)),
      .Copies(O)
    ) u_of_acc (
      .clk_i,
      .d_i(of_pixel[p]),
      .q_o(of_acc[p])
    );
  end

  for (genvar q = 0; q < P / 2; q++) begin : gen_pair
    for (genvar o = 0; o < O; o++) begin : gen_output
      logic signed [Cascades-1:0][17:0] low_q, high_q;
      for (genvar c = 0; c < Cascades; c++) begin : gen_cascade
        // the last cell's PCOUT goes nowhere, the others' P is not used
        // verilator lint_off UNUSEDSIGNAL
        logic [Lanes:0][47:0] pc;
        logic [Lanes-1:0][47:0] p;
        // verilator lint_on UNUSEDSIGNAL
        assign pc[0] = '0;
        for (genvar k = 0; k < Lanes; k++) begin : gen_lane
          dsp48e2_mac #(
              .Primitive(Primitive),
              .Head(k == 0)
          ) u_mac (
              .clk_i,
              .p1_i(operand_skewed[c*Lanes+k][2*q+1]),
              .p0_i({sign_skewed[c*Lanes+k][q][o/3], operand_skewed[c*Lanes+k][2*q][6:0]}),
              .w_i(weight_skewed[c*Lanes+k][o]),
              .pcin_i(pc[k]),
              .pcout_o(pc[k+1]),
              .p_o(p[k])
          );
        end
        // A negative lower sum has borrowed one from the upper.
        always_ff @(posedge clk_i) begin
          low_q[c]  <= p[Lanes-1][17:0];
          high_q[c] <= p[Lanes-1][35:18] + 18'(p[Lanes-1][17]);
        end
      end

      logic signed [SumWidth-1:0] low_sum, high_sum;
      if (Levels == 0) begin : gen_single
        assign low_sum  = low_q[0];
        assign high_sum = high_q[0];
      end else begin : gen_tree
        // level l holds Cascades >> l sums
        for (genvar l = 0; l <= Levels; l++) begin : gen_level
          localparam int unsigned Width = 18 + l;
          logic signed [(Cascades>>l)-1:0][Width-1:0] low, high;
          if (l == 0) begin : gen_leaf
            assign low  = low_q;
            assign high = high_q;
          end else begin : gen_add
            for (genvar s = 0; s < (Cascades >> l); s++) begin : gen_sum
              always_ff @(posedge clk_i) begin
                low[s] <= Width'($signed(gen_level[l-1].low[2*s])) + Width'($signed(gen_level[l-1].low[2*s+1]));
                high[s] <= Width'($signed(gen_level[l-1].high[2*s])) + Width'($signed(gen_level[l-1].high[2*s+1]));
              end
            end
          end
        end
        assign low_sum  = gen_level[Levels].low[0];
        assign high_sum = gen_level[Levels].high[0];
      end

      logic [31:0] low_acc_q, high_acc_q;
      control_t of_low, of_high;
      assign of_low = of_acc[2*q][o];
      assign of_high = of_acc[2*q+1][o];
      // the new sum first: what is chosen then joins the adder's LUT
      always_ff @(posedge clk_i) begin
        if (of_low.accumulate) low_acc_q <= 32'(low_sum) + (of_low.first ? '0 : of_low.shift ? low_acc_q << 7 : low_acc_q);
        if (of_high.accumulate) high_acc_q <= 32'(high_sum) + (of_high.first ? '0 : of_high.shift ? high_acc_q << 7 : high_acc_q);
      end
      assign acc_o[2*q][o]   = low_acc_q;
      assign acc_o[2*q+1][o] = high_acc_q;
    end
  end

endmodule
