// The affine map of one channel from its group's factors: `channel_affine` of crates/spec/src/norm.rs.
//
// A channel a cycle, Latency cycles deep, without back-pressure. gamma is normalised first, so that both products have one of two lengths,
// and the largest shift follows from leading zeros. Cost: 4 DSPs; barrel shifters of 55 and 51 bits.
//
// Numbers go as sign and magnitude. Rounding halves towards plus infinity then adds one to a magnitude if the half bit is set, and for a negative
// number anything below it too. `slope` and `offset` are a and b of docs/numerics.md before their shift.
module norm_channel
  import norm_pkg::*;
  import diffuser_pkg::affine_t;
#(
  localparam int unsigned Latency = 25
) (
  input logic clk_i,
  input logic rst_ni,

  input logic        valid_i,
  input logic [31:0] gamma_i,
  input logic [31:0] beta_i,
  input logic [ 2:0] gap_i,
  input factors_t    factors_i,

  output logic    valid_o,
  output affine_t affine_o
);

  localparam logic signed [7:0] MaxShift = 8'sd22;

  logic [Latency-1:0] valid_q;  // [s]: stage s + 1 holds a channel
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[Latency-2:0], valid_i};
  end
  assign valid_o = valid_q[Latency-1];

  // ---- 1: inputs; 2: |gamma|; 3 to 5: shifted left until bit 31 is set

  logic [31:0] s1_gamma_q;
  logic [2:0] s1_gap_q;
  factors_t s1_factors_q, s2_factors_q, s3_factors_q, s4_factors_q, s5_factors_q;
  logic unused;  // exponents are used at the second stage
  assign unused = &{1'b0, s5_factors_q.deviation_exponent, s5_factors_q.mean_exponent};
  logic s2_negative_q, s3_negative_q, s4_negative_q, s5_negative_q;
  logic [31:0] s2_gamma_q, s3_gamma_q, s4_gamma_q, s5_gamma_q;
  logic [31:0] s4_shifted_a, s4_shifted_b, s5_shifted_a, s5_shifted_b;
  logic s3_zeros_q;  // 16, then 8 and 4, then all
  logic [2:0] s4_zeros_q;
  logic [4:0] s5_zeros_q;
  logic s3_zero, s4_zero_a, s4_zero_b, s5_zero_a, s5_zero_b;
  // exponents, to which the leading zeros of gamma are still to be added
  logic signed [7:0] s2_slope_q, s3_slope_q, s4_slope_q, s5_slope_q;
  logic signed [7:0] s2_right_q, s3_right_q, s4_right_q, s5_right_q;

  assign s3_zero = s2_gamma_q[31:16] == '0;
  assign s4_zero_a = s3_gamma_q[31:24] == '0;
  assign s4_shifted_a = s4_zero_a ? s3_gamma_q << 8 : s3_gamma_q;
  assign s4_zero_b = s4_shifted_a[31:28] == '0;
  assign s4_shifted_b = s4_zero_b ? s4_shifted_a << 4 : s4_shifted_a;
  assign s5_zero_a = s4_gamma_q[31:30] == '0;
  assign s5_shifted_a = s5_zero_a ? s4_gamma_q << 2 : s4_gamma_q;
  assign s5_zero_b = !s5_shifted_a[31];
  assign s5_shifted_b = s5_zero_b ? s5_shifted_a << 1 : s5_shifted_a;

  always_ff @(posedge clk_i) begin
    s1_gamma_q <= gamma_i;
    s1_gap_q <= gap_i;
    s1_factors_q <= factors_i;

    s2_negative_q <= s1_gamma_q[31];
    s2_gamma_q <= (s1_gamma_q ^ {32{s1_gamma_q[31]}}) + 32'(s1_gamma_q[31]);
    // 15 bits less the slope's 49 before zeros, less its exponent's 2: 15 - 49 - 2
    s2_slope_q <= s1_factors_q.deviation_exponent - 8'sd36 - 8'(s1_gap_q);
    // to 22 bits below Q10
    s2_right_q <= s1_factors_q.mean_exponent - 8'sd24;
    s2_factors_q <= s1_factors_q;

    s3_gamma_q <= s3_zero ? s2_gamma_q << 16 : s2_gamma_q;
    s3_zeros_q <= s3_zero;
    s4_gamma_q <= s4_shifted_b;
    s4_zeros_q <= {s3_zeros_q, s4_zero_a, s4_zero_b};
    s5_gamma_q <= s5_shifted_b;
    s5_zeros_q <= {s4_zeros_q, s5_zero_a, s5_zero_b};

    {s3_negative_q, s3_slope_q, s3_right_q, s3_factors_q} <= {s2_negative_q, s2_slope_q, s2_right_q, s2_factors_q};
    {s4_negative_q, s4_slope_q, s4_right_q, s4_factors_q} <= {s3_negative_q, s3_slope_q, s3_right_q, s3_factors_q};
    {s5_negative_q, s5_slope_q, s5_right_q, s5_factors_q} <= {s4_negative_q, s4_slope_q, s4_right_q, s4_factors_q};
  end

  // ---- 6: inputs of the DSPs; 7: products; 8, 9: sums of their halves

  logic [15:0] s6_high_q, s6_low_q;
  logic [18:0] s6_deviation_q;
  logic [24:0] s6_mean_q;
  logic signed [7:0] s6_by_a_q, s7_by_a_q, s8_by_a_q, s9_by_a_q;
  logic signed [7:0] s6_right_q;
  logic s6_zero_q, s7_zero_q, s8_zero_q, s9_zero_q;  // gamma is 0
  logic s6_no_offset_q;  // gamma or the mean is 0
  logic s6_negative_q, s7_negative_q, s8_negative_q, s9_negative_q;  // gamma
  logic s6_offset_negative_q, s7_offset_negative_q, s8_offset_negative_q, s9_offset_negative_q;
  logic [34:0] s7_slope_low_q, s7_slope_high_q;
  logic [40:0] s7_offset_low_q, s7_offset_high_q;
  logic [15:0] s8_slope_low_q, s8_slope_top_q;
  logic [19:0] s8_slope_middle_q;
  logic [15:0] s8_offset_low_q, s8_offset_top_q;
  logic [25:0] s8_offset_middle_q;
  logic [49:0] s9_slope_q;
  logic [55:0] s9_offset_q;
  // how the offset is shifted: to nothing, past all bounds, or right by 3 and `amount` more
  logic s7_none_q, s7_over_q, s8_none_q, s8_over_q, s9_none_q, s9_over_q;
  logic [5:0] s7_amount_q, s8_amount_q, s9_amount_q;

  always_ff @(posedge clk_i) begin
    s6_high_q <= s5_gamma_q[31:16];
    s6_low_q <= s5_gamma_q[15:0];
    s6_deviation_q <= s5_factors_q.deviation;
    s6_mean_q <= s5_factors_q.mean;
    s6_by_a_q <= s5_slope_q + 8'(s5_zeros_q);
    s6_right_q <= s5_right_q + 8'(s5_zeros_q);
    s6_zero_q <= !s5_gamma_q[31];
    s6_no_offset_q <= !s5_gamma_q[31] || s5_factors_q.mean == '0;
    s6_negative_q <= s5_negative_q;
    s6_offset_negative_q <= s5_negative_q ^ s5_factors_q.mean_negative;

    s7_slope_low_q <= s6_low_q * s6_deviation_q;
    s7_slope_high_q <= s6_high_q * s6_deviation_q;
    s7_offset_low_q <= s6_low_q * s6_mean_q;
    s7_offset_high_q <= s6_high_q * s6_mean_q;
    // the offset has 55 or 56 bits: shifted by 2 or less it is over 2^52, and |b| over 2^51, which saturates whatever beta is
    s7_none_q <= s6_no_offset_q || s6_right_q > 8'sd56;
    s7_over_q <= s6_right_q < 8'sd3;
    s7_amount_q <= 6'(s6_right_q - 8'sd3);

    s8_slope_low_q <= s7_slope_low_q[15:0];
    s8_slope_middle_q <= {1'b0, s7_slope_high_q[18:0]} + {1'b0, s7_slope_low_q[34:16]};
    s8_slope_top_q <= s7_slope_high_q[34:19];
    s8_offset_low_q <= s7_offset_low_q[15:0];
    s8_offset_middle_q <= {1'b0, s7_offset_high_q[24:0]} + {1'b0, s7_offset_low_q[40:16]};
    s8_offset_top_q <= s7_offset_high_q[40:25];

    s9_slope_q <= {15'(s8_slope_top_q + 16'(s8_slope_middle_q[19])), s8_slope_middle_q[18:0], s8_slope_low_q};
    s9_offset_q <= {15'(s8_offset_top_q + 16'(s8_offset_middle_q[25])), s8_offset_middle_q[24:0], s8_offset_low_q};

    {s7_by_a_q, s7_zero_q, s7_negative_q, s7_offset_negative_q} <= {s6_by_a_q, s6_zero_q, s6_negative_q, s6_offset_negative_q};
    {s8_by_a_q, s8_zero_q, s8_negative_q, s8_offset_negative_q} <= {s7_by_a_q, s7_zero_q, s7_negative_q, s7_offset_negative_q};
    {s9_by_a_q, s9_zero_q, s9_negative_q, s9_offset_negative_q} <= {s8_by_a_q, s8_zero_q, s8_negative_q, s8_offset_negative_q};
    {s8_none_q, s8_over_q, s8_amount_q} <= {s7_none_q, s7_over_q, s7_amount_q};
    {s9_none_q, s9_over_q, s9_amount_q} <= {s8_none_q, s8_over_q, s8_amount_q};
  end

  // ---- 10 to 12: the offset shifted right: 53 bits, the half below, and whether anything is left below that

  logic [54:0] s10_offset_q, s11_offset_q, s12_offset_q;
  logic s10_offset_negative_q, s11_offset_negative_q, s12_offset_negative_q;
  // of the lower and of the upper half of the bits: one for both would have too many readers
  logic [1:0][3:0] s10_amount_q;
  logic [1:0][1:0] s11_amount_q;
  logic [1:0][54:0] s11_offset, s12_offset;

  function automatic logic [54:0] right_jam(logic [54:0] x, logic [5:0] by);
    logic rest;
    rest = 1'b0;
    for (int unsigned i = 0; i < 55; i++) rest |= x[i] && i <= 32'(by);
    return {54'(x >> by >> 1), rest};
  endfunction

  copies #(
    .Width(4),
    .Copies(2)
  ) u_s10_amount (
    .clk_i,
    .d_i(s9_none_q || s9_over_q ? '0 : s9_amount_q[3:0]),
    .q_o(s10_amount_q)
  );
  for (genvar k = 0; k < 2; k++) begin : gen_half
    copies #(
      .Width(2),
      .Copies(1)
    ) u_s11_amount (
      .clk_i,
      .d_i(s10_amount_q[k][1:0]),
      .q_o(s11_amount_q[k])
    );
    always_comb begin
      unique case (s10_amount_q[k][3:2])
        2'd0: s11_offset[k] = s10_offset_q;
        2'd1: s11_offset[k] = right_jam(s10_offset_q, 6'd4);
        2'd2: s11_offset[k] = right_jam(s10_offset_q, 6'd8);
        2'd3: s11_offset[k] = right_jam(s10_offset_q, 6'd12);
      endcase
      unique case (s11_amount_q[k])
        2'd0: s12_offset[k] = s11_offset_q;
        2'd1: s12_offset[k] = right_jam(s11_offset_q, 6'd1);
        2'd2: s12_offset[k] = right_jam(s11_offset_q, 6'd2);
        2'd3: s12_offset[k] = right_jam(s11_offset_q, 6'd3);
      endcase
    end
  end

  // three shifts of a quarter each, so that a shift is a multiplexer of four
  logic [54:0] s10_in;
  assign s10_in = {s9_offset_q[55:2], s9_offset_q[1:0] != '0};

  always_ff @(posedge clk_i) begin
    if (s9_none_q) begin
      s10_offset_q <= '0;
    end else if (s9_over_q) begin
      s10_offset_q <= {1'b1, 54'b0};
    end else begin
      unique case (s9_amount_q[5:4])
        2'd0: s10_offset_q <= s10_in;
        2'd1: s10_offset_q <= right_jam(s10_in, 6'd16);
        2'd2: s10_offset_q <= right_jam(s10_in, 6'd32);
        2'd3: s10_offset_q <= right_jam(s10_in, 6'd48);
      endcase
    end
    s11_offset_q <= {s11_offset[1][54:28], s11_offset[0][27:0]};
    s12_offset_q <= {s12_offset[1][54:28], s12_offset[0][27:0]};

    s10_offset_negative_q <= s9_offset_negative_q;
    s11_offset_negative_q <= s10_offset_negative_q;
    s12_offset_negative_q <= s11_offset_negative_q;
  end

  // ---- 13: rounded, as a term to add; 14, 15: b = 2^16 beta - offset; 16, 17: its magnitude

  logic [11:0][31:0] beta_q;  // [s]: with stage s + 1
  logic s13_carry_q, s16_negative_q, s17_negative_q;
  logic [55:0] s13_term_q;
  logic [31:0] s13_beta_q;
  logic [19:0] s14_beta_q;
  logic [28:0] s14_low_q;
  logic [27:0] s14_term_q;
  logic [55:0] s15_b_q, s17_b_q;
  logic [28:0] s16_low_q;
  logic [27:0] s16_high_q;
  logic s12_up;

  assign s12_up = s12_offset_q[1] && (!s12_offset_negative_q || s12_offset_q[0]);

  always_ff @(posedge clk_i) begin
    beta_q <= {beta_q[10:0], beta_i};
    s13_beta_q <= beta_q[11];
    // minus a positive offset, m + up, is ~m + 1 - up
    s13_term_q <= {3'b0, s12_offset_q[54:2]} ^ {56{!s12_offset_negative_q}};
    s13_carry_q <= s12_up ^ !s12_offset_negative_q;

    s14_low_q <= {1'b0, s13_beta_q[11:0], 16'b0} + {1'b0, s13_term_q[27:0]} + 29'(s13_carry_q);
    s14_term_q <= s13_term_q[55:28];
    s14_beta_q <= s13_beta_q[31:12];
    s15_b_q <= {28'(signed'(s14_beta_q)) + s14_term_q + 28'(s14_low_q[28]), s14_low_q[27:0]};

    s16_low_q <= {1'b0, s15_b_q[27:0] ^ {28{s15_b_q[55]}}} + 29'(s15_b_q[55]);
    s16_high_q <= s15_b_q[55:28] ^ {28{s15_b_q[55]}};
    s16_negative_q <= s15_b_q[55];
    s17_b_q <= {s16_high_q + 28'(s16_low_q[28]), s16_low_q[27:0]};
    s17_negative_q <= s16_negative_q;
  end

  // ---- 18, 19: zeros before b in 51 bits, 22 at most

  logic [50:0] s18_b_q, s19_b_q;
  logic s18_over_q, s19_over_q, s18_negative_q, s19_negative_q;
  logic [5:0] s18_empty_q;  // bits 50 to 47, 46 to 43, ... 34 to 31, and 30 to 29 are 0
  logic [5:0][1:0] s18_lead_q;  // zeros in each of these, where it is not empty
  logic signed [7:0] s19_by_b_q;

  always_ff @(posedge clk_i) begin
    s18_over_q <= s17_b_q[55:51] != '0;
    s18_b_q <= s17_b_q[50:0];
    s18_negative_q <= s17_negative_q;
    for (int unsigned i = 0; i < 5; i++) begin
      s18_empty_q[i] <= s17_b_q[50-4*i-:4] == '0;
      s18_lead_q[i] <= {s17_b_q[50-4*i-:2] == '0, !s17_b_q[50-4*i] && (s17_b_q[49-4*i] || !s17_b_q[48-4*i])};
    end
    s18_empty_q[5] <= s17_b_q[30:29] == '0;
    s18_lead_q[5]  <= {1'b0, !s17_b_q[30]};

    s19_by_b_q <= MaxShift;
    for (int i = 5; i >= 0; i--) begin
      if (!s18_empty_q[i]) s19_by_b_q <= 8'(4 * i) + 8'(s18_lead_q[i]);
    end
    if (s18_over_q) s19_by_b_q <= '0;
    s19_over_q <= s18_over_q;
    s19_b_q <= s18_b_q;
    s19_negative_q <= s18_negative_q;
  end

  // ---- the slope meanwhile: its 15 highest bits, the half below, and whether anything is left below that

  logic [14:0] s10_slope_q;
  logic s10_half_q, s10_slope_negative_q;
  logic [3:0] s10_rest_q;
  logic signed [7:0] s10_by_a_q;
  logic [49:0] s9_slope_normal;
  logic s9_long;

  assign s9_long = s9_slope_q[49];
  assign s9_slope_normal = s9_long ? s9_slope_q : s9_slope_q << 1;

  localparam int unsigned SlopeDelay = 9;  // stages 11 to 19
  logic [SlopeDelay-1:0][25:0] slope_q;
  logic [16:0] s19_slope;
  logic s19_slope_negative;
  logic signed [7:0] s19_by_a;

  always_ff @(posedge clk_i) begin
    s10_slope_q <= s9_slope_normal[49:35];
    s10_half_q  <= s9_slope_normal[34];
    s10_rest_q <= {
      s9_slope_normal[33:27] != '0,
      s9_slope_normal[26:18] != '0,
      s9_slope_normal[17:9] != '0,
      s9_slope_normal[8:0] != '0
    };
    // nothing bounds the shift of a channel whose gamma is 0
    s10_by_a_q <= s9_zero_q ? MaxShift : s9_by_a_q - 8'(s9_long);
    s10_slope_negative_q <= s9_negative_q;

    slope_q <= {
      slope_q[SlopeDelay-2:0],
      {s10_by_a_q, s10_slope_negative_q, s10_slope_q, s10_half_q, s10_rest_q != '0}
    };
  end
  assign {s19_by_a, s19_slope_negative, s19_slope} = slope_q[SlopeDelay-1];

  // ---- 20: the shift; 21, 22: both numbers shifted

  logic [4:0] s20_shift_q, s21_shift_q, s22_shift_q, s23_shift_q, s24_shift_q;
  logic signed [7:0] s20_by_a_q;
  logic [16:0] s20_slope_q, s21_slope_q, s22_slope_q, s23_slope_q;
  logic s20_slope_negative_q, s21_slope_negative_q, s22_slope_negative_q, s23_slope_negative_q, s24_slope_negative_q;
  logic [50:0] s20_b_q, s21_b_q, s22_b_q, s23_b_q;
  logic s20_over_q, s21_over_q, s22_over_q, s23_over_q;
  logic s20_negative_q, s21_negative_q, s22_negative_q, s23_negative_q, s24_negative_q;
  logic [7:0] s21_excess;
  logic s21_slope_over_q, s22_slope_over_q, s23_slope_over_q;
  logic [3:0] s21_excess_q;
  logic [1:0] s22_excess_q;

  function automatic logic [16:0] slope_jam(logic [16:0] x, logic [3:0] by);
    logic rest;
    rest = 1'b0;
    for (int unsigned i = 0; i < 17; i++) rest |= x[i] && i <= 32'(by);
    return {16'(x >> by >> 1), rest};
  endfunction

  assign s21_excess = s20_by_a_q - 8'(s20_shift_q);

  always_ff @(posedge clk_i) begin
    if (s19_by_a < 8'sd0) s20_shift_q <= '0;
    else if (s19_by_a < s19_by_b_q) s20_shift_q <= s19_by_a[4:0];
    else s20_shift_q <= s19_by_b_q[4:0];
    s20_by_a_q <= s19_by_a;
    s20_slope_q <= s19_slope;
    s20_slope_negative_q <= s19_slope_negative;
    {s20_b_q, s20_over_q, s20_negative_q} <= {s19_b_q, s19_over_q, s19_negative_q};

    // by_a < 0: a is over 15 bits even unshifted; more than 15 above the shift: under a half
    s21_slope_over_q <= s20_by_a_q < 8'sd0;
    s21_excess_q <= s21_excess[3:0];
    s21_slope_q <= s20_by_a_q >= 8'sd0 && s21_excess[7:4] != '0 ? '0 : s20_slope_q;
    s21_b_q <= s20_shift_q[4] ? s20_b_q << 16 : s20_b_q;

    unique case (s21_excess_q[3:2])
      2'd0: s22_slope_q <= s21_slope_q;
      2'd1: s22_slope_q <= slope_jam(s21_slope_q, 4'd4);
      2'd2: s22_slope_q <= slope_jam(s21_slope_q, 4'd8);
      2'd3: s22_slope_q <= slope_jam(s21_slope_q, 4'd12);
    endcase
    s22_excess_q <= s21_excess_q[1:0];
    unique case (s21_shift_q[3:2])
      2'd0: s22_b_q <= s21_b_q;
      2'd1: s22_b_q <= s21_b_q << 4;
      2'd2: s22_b_q <= s21_b_q << 8;
      2'd3: s22_b_q <= s21_b_q << 12;
    endcase

    unique case (s22_excess_q)
      2'd0: s23_slope_q <= s22_slope_q;
      2'd1: s23_slope_q <= slope_jam(s22_slope_q, 4'd1);
      2'd2: s23_slope_q <= slope_jam(s22_slope_q, 4'd2);
      2'd3: s23_slope_q <= slope_jam(s22_slope_q, 4'd3);
    endcase
    unique case (s22_shift_q[1:0])
      2'd0: s23_b_q <= s22_b_q;
      2'd1: s23_b_q <= s22_b_q << 1;
      2'd2: s23_b_q <= s22_b_q << 2;
      2'd3: s23_b_q <= s22_b_q << 3;
    endcase

    {s21_shift_q, s21_slope_negative_q, s21_over_q, s21_negative_q} <= {s20_shift_q, s20_slope_negative_q, s20_over_q, s20_negative_q};
    {s22_shift_q, s22_slope_negative_q, s22_over_q, s22_negative_q, s22_slope_over_q} <=
        {s21_shift_q, s21_slope_negative_q, s21_over_q, s21_negative_q, s21_slope_over_q};
    {s23_shift_q, s23_slope_negative_q, s23_over_q, s23_negative_q, s23_slope_over_q} <=
        {s22_shift_q, s22_slope_negative_q, s22_over_q, s22_negative_q, s22_slope_over_q};
  end

  // ---- 24: what is rounded, and whether up; 25: rounded and signed

  logic [14:0] s24_slope_q;
  logic [29:0] s24_b_q;
  logic s24_slope_up_q, s24_b_up_q;
  affine_t affine_q;

  always_ff @(posedge clk_i) begin
    s24_slope_q <= s23_slope_over_q ? '1 : s23_slope_q[16:2];
    // 2^15 saturates
    s24_slope_up_q <= !s23_slope_over_q && s23_slope_q[16:2] != '1 && s23_slope_q[1] && (!s23_slope_negative_q || s23_slope_q[0]);
    s24_b_q <= s23_over_q ? 30'h2000_0000 : {1'b0, s23_b_q[50:22]};
    s24_b_up_q <= !s23_over_q && s23_b_q[21] && (!s23_negative_q || s23_b_q[20:0] != '0);
    {s24_shift_q, s24_slope_negative_q, s24_negative_q} <= {s23_shift_q, s23_slope_negative_q, s23_negative_q};

    // -(m + up) is ~m + 1 - up
    affine_q.a <= (16'(s24_slope_q) ^ {16{s24_slope_negative_q}}) + 16'(s24_slope_up_q ^ s24_slope_negative_q);
    affine_q.b <= (32'(s24_b_q) ^ {32{s24_negative_q}}) + 32'(s24_b_up_q ^ s24_negative_q);
    affine_q.shift <= 8'(s24_shift_q);
  end
  assign affine_o = affine_q;

endmodule
