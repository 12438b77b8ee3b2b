// One value in many registers: so many equal copies, each with a few readers near it, where one register would have too many.
//
// One cycle of latency, no reset. Synthesis makes equal registers one again unless it is told not to: with DIFFUSER_FDRE the cells of the
// vendor are instantiated, which Yosys leaves alone; without it the attribute says so to tools that heed it.
module copies #(
  parameter int unsigned Width = 1,
  parameter int unsigned Copies = 2
) (
  input logic clk_i,
  input logic [Width-1:0] d_i,
  output logic [Copies-1:0][Width-1:0] q_o
);

`ifdef DIFFUSER_FDRE
  for (genvar c = 0; c < Copies; c++) begin : gen_copy
    for (genvar b = 0; b < Width; b++) begin : gen_bit
      FDRE u_register (
        .C(clk_i),
        .CE(1'b1),
        .R(1'b0),
        .D(d_i[b]),
        .Q(q_o[c][b])
      );
    end
  end
`else
  (* keep = "true" *)
  logic [Copies-1:0][Width-1:0] q;
  always_ff @(posedge clk_i) q <= {Copies{d_i}};
  assign q_o = q;
`endif

endmodule
