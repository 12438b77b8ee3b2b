// Two accumulators of mac_array, of two pixels and one output: I multipliers in cascades of at most 8, both pixels in one product each,
// ((p1 << 18) + p0) * w. Below a cascade the sums are split, the upper one taking back the borrow of the lower, and added to those of
// the other cascades and to the accumulators in the fabric.
//
// Lane k of a cascade takes its operands and weight k cycles after lane 0. `control_*_i` is registered here, for the cycle in which what came in
// then is added to the accumulators.

module mac_pair
  import array_pkg::*;
#(
  parameter int unsigned I = 8,  // a power of two
  parameter bit Primitive = 1'b0  // DSP48E2 cells rather than their model
) (
  input logic clk_i,

  input logic signed [I-1:0][7:0] p1_i,
  input logic signed [I-1:0][7:0] p0_i,
  input logic signed [I-1:0][7:0] w_i,

  input mac_control_t control1_i,
  input mac_control_t control0_i,

  output logic [31:0] acc1_o,
  output logic [31:0] acc0_o
);

  localparam int unsigned Lanes = cascade_lanes(I);
  localparam int unsigned Cascades = I / Lanes;
  localparam int unsigned Levels = $clog2(Cascades);
  localparam int unsigned SumWidth = 18 + Levels;

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
        .p1_i(p1_i[c*Lanes+k]),
        .p0_i(p0_i[c*Lanes+k]),
        .w_i(w_i[c*Lanes+k]),
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
  mac_control_t of_low, of_high;
  copies #(
    .Width($bits(mac_control_t)),
    .Copies(1)
  ) u_of_low (
    .clk_i,
    .d_i(control0_i),
    .q_o(of_low)
  );
  copies #(
    .Width($bits(mac_control_t)),
    .Copies(1)
  ) u_of_high (
    .clk_i,
    .d_i(control1_i),
    .q_o(of_high)
  );
  // the new sum first: what is chosen then joins the adder's LUT
  always_ff @(posedge clk_i) begin
    if (of_low.accumulate) low_acc_q <= 32'(low_sum) + (of_low.first ? '0 : of_low.shift ? low_acc_q << 7 : low_acc_q);
    if (of_high.accumulate) high_acc_q <= 32'(high_sum) + (of_high.first ? '0 : of_high.shift ? high_acc_q << 7 : high_acc_q);
  end
  assign acc1_o = high_acc_q;
  assign acc0_o = low_acc_q;

endmodule
