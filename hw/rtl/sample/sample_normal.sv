// A standard normal number in Q24 from a uniform one of 32 bits: crates/spec/src/normal.rs.
//
// One a cycle, Latency cycles deep. Cost: 2 DSPs and normal_rom.
module sample_normal #(
  localparam int unsigned Latency = 11
) (
  input logic clk_i,
  input logic rst_ni,
  input logic clear_i,  // forget what is under way

  input logic        valid_i,
  input logic [31:0] uniform_i,

  output logic               valid_o,
  output logic signed [31:0] normal_o
);

  logic [Latency-1:0] valid_q;
  logic [Latency-2:0] above_q;  // [s]: with stage s + 1

  // 1: the half below the median; 2 to 4: shifted left until bit 31 is set
  logic [31:0] s1_tail_q, s2_tail_q, s3_tail_q, s4_tail_q;
  logic s2_zero, s3_zero_a, s3_zero_b, s4_zero_a, s4_zero_b;
  logic [31:0] s3_shifted, s4_shifted;
  logic s2_zeros_q;
  logic [2:0] s3_zeros_q;
  logic [4:0] s4_zeros_q;

  // 5: address; 7: entry; 8: products' inputs; 9: products; 10: their sum; 11: number
  logic [24:0] s4_fraction, s5_fraction_q, s6_fraction_q;
  logic [10:0] s4_addr;
  logic [26:0] s6_near, s7_near_q, s8_near_q, s9_near_q;
  logic [17:0] s6_step, s7_step_q;
  logic [24:0] s7_fraction_q;
  logic [29:0] s8_high_q;
  logic [30:0] s8_low_q;
  logic [30:0] s9_sum_q;
  logic [26:0] s10_magnitude_q;

  assign s2_zero = s1_tail_q[31:16] == '0;
  assign s3_zero_a = s2_tail_q[31:24] == '0;
  assign s3_shifted = s3_zero_a ? s2_tail_q << 8 : s2_tail_q;
  assign s3_zero_b = s3_shifted[31:28] == '0;
  assign s4_zero_a = s3_tail_q[31:30] == '0;
  assign s4_shifted = s4_zero_a ? s3_tail_q << 2 : s3_tail_q;
  assign s4_zero_b = !s4_shifted[31];
  // 31 less the zeros is the octave
  assign s4_addr = {~s4_zeros_q, s4_tail_q[30:25]};
  assign s4_fraction = s4_tail_q[24:0];

  normal_rom u_rom (
    .clk_i,
    .addr_i(s4_addr),
    .near_o(s6_near),
    .step_o(s6_step)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) valid_q <= '0;
    else valid_q <= {valid_q[Latency-2:0], valid_i};
  end

  always_ff @(posedge clk_i) begin
    above_q <= {above_q[Latency-3:0], uniform_i[31]};

    s1_tail_q <= {uniform_i[30:0] ^ {31{uniform_i[31]}}, 1'b1};
    s2_tail_q <= s2_zero ? s1_tail_q << 16 : s1_tail_q;
    s2_zeros_q <= s2_zero;
    s3_tail_q <= s3_zero_b ? s3_shifted << 4 : s3_shifted;
    s3_zeros_q <= {s2_zeros_q, s3_zero_a, s3_zero_b};
    s4_tail_q <= s4_zero_b ? s4_shifted << 1 : s4_shifted;
    s4_zeros_q <= {s3_zeros_q, s4_zero_a, s4_zero_b};

    s5_fraction_q <= s4_fraction;
    s6_fraction_q <= s5_fraction_q;

    // near - rnd(step * fraction, 25), the fraction in 12 and 13 bits
    s7_near_q <= s6_near;
    s7_step_q <= s6_step;
    s7_fraction_q <= s6_fraction_q;
    s8_near_q <= s7_near_q;
    s8_high_q <= s7_step_q * s7_fraction_q[24:13];
    s8_low_q <= s7_step_q * s7_fraction_q[12:0];
    s9_near_q <= s8_near_q;
    s9_sum_q <= {1'b0, s8_high_q} + 31'(s8_low_q[30:13]);
    s10_magnitude_q <= s9_near_q - 27'(s9_sum_q[30:12]) - 27'(s9_sum_q[11]);
    normal_o <= (32'(s10_magnitude_q) ^ {32{!above_q[9]}}) + 32'(!above_q[9]);
  end

  assign valid_o = valid_q[Latency-1];

  logic unused;
  assign unused = &{1'b0, s8_low_q[12:0], s9_sum_q[10:0], s4_tail_q[31]};

endmodule
