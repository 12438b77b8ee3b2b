// Product of two wide unsigned numbers with one DSP48E2, one 16 x 16 bit product a cycle.
//
// Column by column: all products of equal weight are summed, the sum's low limb leaves, the rest goes on to the next
// column. So no adder is wider than a column's sum (35 bits, its carry chains half of that), whatever the product's width.
//
// Latency LimbsA * LimbsB + 4 cycles from `valid_i` to `valid_o`. One product at a time: `valid_i` may come again with `valid_o`, not
// before. `product_o` and `side_o` stay from `valid_o` until 4 cycles after the next `valid_i`, and until the next `valid_i`.
//
// Cost: 1 DSP, about (LimbsA + LimbsB) * 32 registers.
module mul_serial #(
  parameter int unsigned LimbsA = 2,  // of 16 bits
  parameter int unsigned LimbsB = 2,
  parameter int unsigned SideWidth = 1,  // of what waits beside the product
  localparam int unsigned WidthA = 16 * LimbsA,
  localparam int unsigned WidthB = 16 * LimbsB,
  localparam int unsigned WidthProduct = WidthA + WidthB
) (
  input logic clk_i,
  input logic rst_ni,

  input logic                 valid_i,
  input logic [   WidthA-1:0] a_i,
  input logic [   WidthB-1:0] b_i,
  input logic [SideWidth-1:0] side_i,

  output logic                    valid_o,
  output logic [WidthProduct-1:0] product_o,
  output logic [   SideWidth-1:0] side_o
);

  localparam int unsigned Steps = LimbsA * LimbsB;
  localparam int unsigned StepWidth = $clog2(Steps);
  // the most products of a column, each under 2^32, and what the column before left
  localparam int unsigned AccWidth = 35;

  typedef struct packed {
    logic [3:0] a;  // limbs of the step's product
    logic [3:0] b;
    logic first;  // of its column
    logic last;
  } step_t;

  // The order of the products: columns from the lowest, within one the limbs of a from the lowest.
  function automatic step_t [Steps-1:0] schedule();
    step_t [Steps-1:0] steps;
    int unsigned s;
    s = 0;
    for (int unsigned column = 0; column < LimbsA + LimbsB - 1; column++) begin
      for (int unsigned a = 0; a < LimbsA; a++) begin
        if (a <= column && column - a < LimbsB) begin
          steps[s].a = 4'(a);
          steps[s].b = 4'(column - a);
          steps[s].first = a == 0 || column - a == LimbsB - 1;
          steps[s].last = a == LimbsA - 1 || a == column;
          s++;
        end
      end
    end
    return steps;
  endfunction
  localparam step_t [Steps-1:0] Schedule = schedule();

  logic [LimbsA-1:0][15:0] a_q;
  logic [LimbsB-1:0][15:0] b_q;
  logic [SideWidth-1:0] side_q;
  logic [StepWidth-1:0] step_q;
  logic running_q;

  // flags go with the product through the DSP: select, multiply, accumulate
  logic [2:0] valid_q, last_q, final_q;
  logic [1:0] first_q, begin_q;
  logic [15:0] x_q, y_q;
  logic [31:0] product_q;
  logic [AccWidth-1:0] acc_q, base;
  // verilator lint_off UNUSEDSIGNAL  // a column's sum makes no carry
  logic [AccWidth:0] sum;
  // verilator lint_on UNUSEDSIGNAL
  logic [LimbsA+LimbsB-2:0][15:0] limbs_q;
  logic [15:0] top_q;
  logic done_q;

  step_t step;
  assign step = Schedule[step_q];

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      running_q <= 1'b0;
      valid_q   <= '0;
      done_q    <= 1'b0;
    end else begin
      if (valid_i) running_q <= 1'b1;
      else if (step_q == StepWidth'(Steps - 1)) running_q <= 1'b0;
      valid_q <= {valid_q[1:0], running_q};
      done_q  <= valid_q[2] && final_q[2];
    end
  end

  always_comb begin
    if (begin_q[1]) base = '0;
    else if (first_q[1]) base = acc_q >> 16;
    else base = acc_q;
  end
  carry_select #(
    .Width(AccWidth)
  ) u_sum (
    .a_i(AccWidth'(product_q)),
    .b_i(base),
    .carry_i(1'b0),
    .sum_o(sum)
  );

  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      a_q <= a_i;
      b_q <= b_i;
      side_q <= side_i;
      step_q <= '0;
    end else begin
      step_q <= step_q + 1'b1;
    end

    x_q <= a_q[step.a[$clog2(LimbsA)-1:0]];
    y_q <= b_q[step.b[$clog2(LimbsB)-1:0]];
    first_q <= {first_q[0], step.first};
    begin_q <= {begin_q[0], step_q == '0};
    last_q <= {last_q[1:0], step.last};
    final_q <= {final_q[1:0], step_q == StepWidth'(Steps - 1)};

    product_q <= x_q * y_q;

    if (valid_q[1]) acc_q <= sum[AccWidth-1:0];

    if (valid_q[2] && last_q[2]) begin
      limbs_q <= {acc_q[15:0], limbs_q[LimbsA+LimbsB-2:1]};
      top_q   <= acc_q[31:16];
    end
  end

  assign valid_o = done_q;
  assign product_o = {top_q, limbs_q};
  assign side_o = side_q;

`ifndef SYNTHESIS
  logic waiting_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) waiting_q <= 1'b0;
    else if (valid_i) waiting_q <= 1'b1;
    else if (valid_o) waiting_q <= 1'b0;
  end
  assert property (@(posedge clk_i) disable iff (!rst_ni) valid_i |-> !waiting_q || valid_o)
  else $error("%m: a product before the last one's end");
`endif

endmodule
