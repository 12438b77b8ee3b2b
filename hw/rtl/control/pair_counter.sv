// 64-bit counter that is read as two words: the high half is taken when the low half is read.
//
// The halves are added in two cycles; a read in between gets the carry that is still on its way.
module pair_counter #(
  parameter int unsigned AddWidth = 1  // bits of what is added in a cycle
) (
  input logic clk_i,
  input logic rst_ni,
  input logic clear_i,

  input logic [AddWidth-1:0] add_i,
  input logic                latch_i,  // the low half is read in this cycle

  output logic [31:0] low_o,
  output logic [31:0] high_o
);

  logic [AddWidth-1:0] add_q;
  logic [31:0] low_q, high_q, latched_q;
  logic carry_q;

  assign low_o  = low_q;
  assign high_o = latched_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      add_q <= '0;
      low_q <= '0;
      carry_q <= 1'b0;
      high_q <= '0;
      latched_q <= '0;
    end else begin
      add_q <= add_i;
      {carry_q, low_q} <= {1'b0, low_q} + 33'(add_q);
      high_q <= high_q + 32'(carry_q);
      if (latch_i) latched_q <= high_q + 32'(carry_q);
    end
  end

endmodule
