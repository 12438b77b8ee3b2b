// One value of the state, Q24, to a byte: rnd(255 (x + 2^24), 25) limited to 0 to 255.
//
// The sum is limited to 0 to 2^25 first, which gives the same bytes: below 0 the result is 0, from 2^25 on 255. Then 255 v = 2^8 v - v,
// in two halves. Four registers, a value a cycle.
module dma_pixel (
  input logic clk_i,

  input  logic signed [31:0] value_i,
  output logic        [ 7:0] byte_o  // four cycles later
);

  logic signed [32:0] sum_q;
  logic [25:0] limited_q, limited_2_q;
  logic [16:0] low_q;
  logic borrow_q;
  logic [16:0] upper;
  logic [7:0] byte_q;
  logic [9:0] rounded;  // bits 33 to 24 of 2^8 v + 2^24
  logic [9:0] rounded_q;

  assign rounded = limited_q[25:16] + 1'b1;
  assign upper = {rounded_q, limited_2_q[15:9]} - 17'(limited_2_q[25:17]) - 17'(borrow_q);

  always_ff @(posedge clk_i) begin
    sum_q <= 33'(value_i) + 33'sd16777216;
    if (sum_q < 0) limited_q <= '0;
    else if (sum_q > 33'sd33554432) limited_q <= 26'd33554432;
    else limited_q <= sum_q[25:0];
    // bits 16 to 0 of the difference
    {borrow_q, low_q} <= {1'b0, limited_q[8:0], 8'd0} - {1'b0, limited_q[16:0]};
    rounded_q <= rounded;
    limited_2_q <= limited_q;
    byte_q <= upper[15:8];
  end
  assign byte_o = byte_q;

  logic unused;
  assign unused = ^{low_q, upper[16], upper[7:0], limited_2_q[16], limited_2_q[8:0]};

endmodule
