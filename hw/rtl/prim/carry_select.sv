// A sum made of two halves, so that no carry chain is longer than one of them: the upper half is made with and without the lower one's
// carry, which then chooses. Combinational; two levels, and half as many LUTs again as an adder.
module carry_select #(
  parameter int unsigned Width = 34,
  localparam int unsigned Low = Width / 2
) (
  input logic [Width-1:0] a_i,
  input logic [Width-1:0] b_i,
  input logic carry_i,
  output logic [Width:0] sum_o
);

  // the lowest bit of each only makes the carry
  // verilator lint_off UNUSEDSIGNAL
  logic [Low+1:0] low;
  logic [Width-Low+1:0] high_carried;
  // verilator lint_on UNUSEDSIGNAL
  logic [Width-Low:0] high;

  assign low = {1'b0, a_i[Low-1:0], 1'b1} + {1'b0, b_i[Low-1:0], carry_i};
  assign high = {1'b0, a_i[Width-1:Low]} + {1'b0, b_i[Width-1:Low]};
  assign high_carried = {1'b0, a_i[Width-1:Low], 1'b1} + {1'b0, b_i[Width-1:Low], 1'b1};
  assign sum_o = {low[Low+1] ? high_carried[Width-Low+1:1] : high, low[Low:1]};

endmodule
