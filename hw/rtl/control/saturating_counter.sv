// Counts cycles and stops at its largest value.
module saturating_counter #(
  parameter int unsigned Width = 32
) (
  input logic clk_i,
  input logic rst_ni,
  input logic clear_i,

  input  logic             add_i,
  output logic [Width-1:0] count_o
);

  logic [Width-1:0] count_q;
  logic full_q;  // count_q is all ones

  assign count_o = count_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      count_q <= '0;
      full_q  <= 1'b0;
    end else if (add_i && !full_q) begin
      count_q <= count_q + 1'b1;
      full_q  <= count_q == {{(Width - 1) {1'b1}}, 1'b0};
    end
  end

endmodule
