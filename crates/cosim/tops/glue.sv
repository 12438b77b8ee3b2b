// One port of each width that Verilator stores in its own way: what goes in comes out a cycle later, wider by nothing.

module glue #(
    parameter int unsigned Wide = 70
) (
    input logic clk_i,
    input logic rst_ni,
    input logic [4:0] narrow_i,
    input logic [15:0] half_i,
    input logic signed [31:0] word_i,
    input logic [63:0] double_i,
    input logic [Wide-1:0] wide_i,
    output logic parity_o,
    output logic [4:0] narrow_o,
    output logic [15:0] half_o,
    output logic signed [31:0] word_o,
    output logic [63:0] double_o,
    output logic [Wide-1:0] wide_o,
    output logic [31:0] count_o
);

  assign parity_o = ^narrow_i;

  always_ff @(posedge clk_i) begin
    narrow_o <= narrow_i;
    half_o <= half_i;
    word_o <= -word_i;
    double_o <= double_i;
    wide_o <= wide_i;
    if (!rst_ni) count_o <= '0;
    else count_o <= count_o + 1;
  end

endmodule
