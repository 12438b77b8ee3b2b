// A sum of products, a term a cycle, exact and then rounded: rnd(Σ coefficient * value, 32) of crates/spec/src/sampler.rs.
//
// Coefficients have 50 bits with their sign (magnitude 2^48 at most), values ValueLimbs * 17 + 1. Each is cut in limbs that a DSP
// multiplies (26 and 17 bits, the highest signed); a DSP sums its products over the terms; then the DSPs' sums are added in parts of 27
// bits, all parts at once, and the carries run through them one part a cycle. The sum is under 2^104 (proof in sampler.rs).
//
// A form each Terms cycles; Latency cycles from the term with `last_i` to the result. Cost: 2 * ValueLimbs DSPs.
module sample_form #(
  parameter int unsigned ValueLimbs = 3,
  localparam int unsigned ValueWidth = 17 * ValueLimbs + 1,
  localparam int unsigned Latency = 10
) (
  input logic clk_i,
  input logic rst_ni,

  input logic                         valid_i,
  input logic                         first_i,
  input logic                         last_i,
  input logic signed [          49:0] coefficient_i,
  input logic signed [ValueWidth-1:0] value_i,

  output logic               valid_o,
  output logic signed [75:0] result_o
);

  localparam int unsigned Sums = 2 * ValueLimbs;
  localparam int unsigned Part = 27;
  localparam int unsigned Parts = 4;
  localparam int unsigned Width = Part * Parts;  // 108

  // ---- 1: limbs; 2: products; 3: sums over the terms

  logic signed [1:0][26:0] s1_coefficient_q;
  logic signed [ValueLimbs-1:0][17:0] s1_value_q;
  logic signed [1:0][ValueLimbs-1:0][44:0] s2_product_q;
  logic signed [1:0][ValueLimbs-1:0][47:0] s3_sum_q;
  logic [1:0] first_q;
  logic [Latency-1:0] last_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) last_q <= '0;
    else last_q <= {last_q[Latency-2:0], valid_i && last_i};
  end

  always_ff @(posedge clk_i) begin
    first_q <= {first_q[0], first_i};
    s1_coefficient_q[0] <= {1'b0, coefficient_i[25:0]};
    s1_coefficient_q[1] <= 27'(signed'(coefficient_i[49:26]));
    for (int unsigned j = 0; j < ValueLimbs; j++) begin
      s1_value_q[j] <= {j == ValueLimbs - 1 && value_i[17*j+17], value_i[17*j+:17]};
    end
    for (int unsigned i = 0; i < 2; i++) begin
      for (int unsigned j = 0; j < ValueLimbs; j++) begin
        s2_product_q[i][j] <= 45'(signed'(s1_coefficient_q[i])) * 45'(signed'(s1_value_q[j]));
        s3_sum_q[i][j] <= 48'(signed'(s2_product_q[i][j])) + (first_q[1] ? 48'b0 : s3_sum_q[i][j]);
      end
    end
  end

  // ---- the sums at their places

  logic [Sums-1:0][Width-1:0] placed;
  always_comb begin
    for (int unsigned i = 0; i < 2; i++) begin
      for (int unsigned j = 0; j < ValueLimbs; j++) begin
        placed[i*ValueLimbs+j] = Width'(signed'(s3_sum_q[i][j])) << (26 * i + 17 * j);
      end
    end
  end

  // ---- 4 to 6: parts added two by two; 7 to 10: carries; a half of the last place comes with the rounding

  localparam int unsigned Pairs = (Sums + 1) / 2;
  localparam int unsigned Fours = (Pairs + 1) / 2;
  logic [Parts-1:0][Pairs-1:0][Part:0] s4_q;
  logic [Parts-1:0][Fours-1:0][Part+1:0] s5_q;
  logic [Parts-1:0][Part+2:0] s6_q, s7_q, s8_q, s9_q;
  logic [Part+2:0] s7_carried, s8_carried, s9_carried;
  logic [Width-1:32] s10_q;
  localparam logic [Part-1:0] Half = Part'(1) << (31 - Part);  // 2^31, in part 1

  assign s7_carried = s6_q[1] + (Part + 3)'(s6_q[0][Part+2:Part]) + (Part + 3)'(Half);
  assign s8_carried = s7_q[2] + (Part + 3)'(s7_q[1][Part+2:Part]);
  assign s9_carried = s8_q[3] + (Part + 3)'(s8_q[2][Part+2:Part]);

  always_ff @(posedge clk_i) begin
    for (int unsigned k = 0; k < Parts; k++) begin
      for (int unsigned n = 0; n < Pairs; n++) begin
        if (2 * n + 1 < Sums) begin
          s4_q[k][n] <= {1'b0, placed[2*n][Part*k+:Part]} + {1'b0, placed[2*n+1][Part*k+:Part]};
        end else begin
          s4_q[k][n] <= {1'b0, placed[2*n][Part*k+:Part]};
        end
      end
      for (int unsigned n = 0; n < Fours; n++) begin
        if (2 * n + 1 < Pairs) s5_q[k][n] <= {1'b0, s4_q[k][2*n]} + {1'b0, s4_q[k][2*n+1]};
        else s5_q[k][n] <= {1'b0, s4_q[k][2*n]};
      end
      s6_q[k] <= '0;
      if (Fours == 2) s6_q[k] <= {1'b0, s5_q[k][0]} + {1'b0, s5_q[k][Fours-1]};
      else s6_q[k] <= {1'b0, s5_q[k][0]};
    end

    s7_q <= s6_q;
    s7_q[1] <= s7_carried;
    s8_q <= s7_q;
    s8_q[2] <= s8_carried;
    s9_q <= s8_q;
    s9_q[3] <= s9_carried;
    s10_q <= {s9_q[3][Part-1:0], s9_q[2][Part-1:0], s9_q[1][Part-1:32-Part]};
  end

  assign valid_o = last_q[Latency-1];
  assign result_o = s10_q;

  logic unused;  // what is rounded away, carries that went on
  assign unused = &{1'b0, s9_q};

endmodule
