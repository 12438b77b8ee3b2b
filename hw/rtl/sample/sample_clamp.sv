// Clamps a number to -limit ... limit, limit at most 2^47. Four cycles, one number a cycle.
module sample_clamp (
  input logic clk_i,

  input logic signed [75:0] value_i,
  input logic        [47:0] limit_i,
  input logic signed [48:0] minus_limit_i,  // -limit_i

  output logic signed [48:0] value_o
);

  logic [48:0] s1_value_q, s2_value_q, s3_value_q;
  logic [47:0] s1_limit_q, s2_limit_q, s3_limit_q;
  logic [48:0] s1_minus_q, s2_minus_q, s3_minus_q;
  logic [24:0] s2_above, s2_below;  // low halves of limit - value and value + limit
  logic s2_above_q, s2_below_q;  // their borrow and carry
  logic s3_above_q, s3_below_q;
  logic [25:0] s3_above, s3_below;
  logic fits;

  assign fits = value_i[75:48] == {28{value_i[75]}};
  assign s2_above = {1'b0, s1_limit_q[23:0]} - {1'b0, s1_value_q[23:0]};
  assign s2_below = {1'b0, s1_value_q[23:0]} + {1'b0, s1_limit_q[23:0]};
  // both with their sign in bit 25
  assign s3_above = 26'(s2_limit_q[47:24]) - 26'(signed'(s2_value_q[48:24])) - 26'(s2_above_q);
  assign s3_below = 26'(signed'(s2_value_q[48:24])) + 26'(s2_limit_q[47:24]) + 26'(s2_below_q);

  always_ff @(posedge clk_i) begin
    // what does not fit in 49 bits is past every limit
    s1_value_q <= fits ? value_i[48:0] : {value_i[75], {48{!value_i[75]}}};
    s1_limit_q <= limit_i;
    s1_minus_q <= minus_limit_i;

    s2_above_q <= s2_above[24];
    s2_below_q <= s2_below[24];
    {s2_value_q, s2_limit_q, s2_minus_q} <= {s1_value_q, s1_limit_q, s1_minus_q};

    s3_above_q <= s3_above[25];
    s3_below_q <= s3_below[25];
    {s3_value_q, s3_limit_q, s3_minus_q} <= {s2_value_q, s2_limit_q, s2_minus_q};

    if (s3_above_q) value_o <= {1'b0, s3_limit_q};
    else if (s3_below_q) value_o <= s3_minus_q;
    else value_o <= s3_value_q;
  end

  logic unused;
  assign unused = &{1'b0, s2_above[23:0], s2_below[23:0], s3_above[24:0], s3_below[24:0]};

endmodule
