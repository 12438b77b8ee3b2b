// y = sat32(floor(x / 2^(shift + 1) + 1/2)) four cycles later: what is left of x / 2^shift, its last bit rounding the others. Three shifts
// of two bits of the amount each: a multiplexer of four is a LUT, and none of the amount's bits has more readers than x has bits. The
// saturation stands behind the last register, a LUT a bit.

module round_shift (
  input logic clk_i,
  input logic signed [48:0] x_i,
  input logic [5:0] shift_i,
  output logic signed [31:0] y_o
);

  logic signed [48:0] coarse_q, middle_q, fine_q;
  logic [3:0] shift1_q;
  logic [1:0][1:0] shift2_q;  // for the lower and the upper half of the bits
  logic signed [1:0][48:0] fine;
  logic [31:0] rounded_q;
  logic above_q, below_q, positive_q;

  copies #(
    .Width(2),
    .Copies(2)
  ) u_shift2 (
    .clk_i,
    .d_i(shift1_q[1:0]),
    .q_o(shift2_q)
  );
  assign fine[0] = middle_q >>> shift2_q[0];
  assign fine[1] = middle_q >>> shift2_q[1];

  always_ff @(posedge clk_i) begin
    coarse_q <= x_i >>> {shift_i[5:4], 4'b0};
    shift1_q <= shift_i[3:0];
    middle_q <= coarse_q >>> {shift1_q[3:2], 2'b0};
    fine_q <= {fine[1][48:24], fine[0][23:0]};
    // fits 33 bits, one of them for rounding, if bits 48 to 32 are equal
    above_q <= !fine_q[48] && fine_q[47:32] != '0;
    below_q <= fine_q[48] && fine_q[47:32] != '1;
    positive_q <= !fine_q[32];
    rounded_q <= fine_q[32:1] + 32'(fine_q[0]);
  end

  // rounding up past the largest gives the smallest
  always_comb begin
    y_o = rounded_q;
    if (below_q) y_o = 32'h8000_0000;
    else if (above_q || (positive_q && rounded_q[31])) y_o = 32'h7fff_ffff;
  end

endmodule
