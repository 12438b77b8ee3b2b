// y = sat32(floor(x / 2^(shift + 1) + 1/2)) four cycles later: what is left of x / 2^shift, its last bit rounding the others.

module round_shift (
  input logic clk_i,
  input logic signed [48:0] x_i,
  input logic [5:0] shift_i,
  output logic signed [31:0] y_o
);

  logic signed [48:0] coarse_q, fine_q;
  logic [2:0] shift_q;
  logic signed [32:0] rounded_q;
  logic above_q, below_q;
  logic signed [31:0] y_q;

  always_ff @(posedge clk_i) begin
    coarse_q <= x_i >>> {shift_i[5:3], 3'b0};
    shift_q <= shift_i[2:0];
    fine_q <= coarse_q >>> shift_q;
    // fits 33 bits, one of them for rounding, if bits 48 to 32 are equal
    above_q <= !fine_q[48] && fine_q[47:32] != '0;
    below_q <= fine_q[48] && fine_q[47:32] != '1;
    rounded_q <= 33'($signed(fine_q[32:1])) + 33'($signed({1'b0, fine_q[0]}));
    if (below_q) y_q <= 32'h8000_0000;
    else if (above_q || (!rounded_q[32] && rounded_q[31])) y_q <= 32'h7fff_ffff;
    else y_q <= rounded_q[31:0];
  end

  assign y_o = y_q;

endmodule
