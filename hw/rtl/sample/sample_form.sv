// A sum of products, exact and then rounded: rnd(Σ coefficient * value, 32) of crates/spec/src/sampler.rs. One a cycle.
//
// Each factor is cut in limbs that a DSP multiplies (26 bits of a coefficient, 17 of a value, the highest signed). Products of the same limbs
// are summed down a cascade of DSPs, a term a cycle; then the cascades' sums are added in parts of 27 bits, all parts at once, and
// the carries run through them one part a cycle. The sum is under 2^104 (proof in sampler.rs), so that arithmetic modulo 2^108 is exact.
//
// Latency: `form_latency(Terms)` of sample_pkg. Cost: a DSP for each pair of limbs of each term.
module sample_form
#(
  parameter int unsigned Terms = 2,
  parameter logic [Terms-1:0][2:0] CoefficientLimbs = '{default: 3'd2},
  parameter logic [Terms-1:0][2:0] ValueLimbs = '{default: 3'd2},
  parameter int unsigned MaxCoefficient = 2,  // the most of a term
  parameter int unsigned MaxValue = 2,
  localparam int unsigned CoefficientWidth = 26 * MaxCoefficient + 1,
  localparam int unsigned ValueWidth = 17 * MaxValue + 1
) (
  input logic clk_i,

  input  logic signed [Terms-1:0][CoefficientWidth-1:0] coefficient_i,  // stable while values are on their way
  input  logic signed [Terms-1:0][ValueWidth-1:0]       value_i,
  output logic signed [75:0]                            result_o
);

  localparam int unsigned Sums = MaxCoefficient * MaxValue;
  localparam int unsigned Part = 27;
  localparam int unsigned Parts = 4;
  localparam int unsigned Width = Part * Parts;  // 108

  // ---- 1: limbs; 2: products; 3 and one for each further term: sums over the terms

  logic [Terms-1:0][ValueWidth-1:0] late;  // term t, t cycles later
  for (genvar t = 0; t < Terms; t++) begin : gen_late
    if (t == 0) begin : gen_now
      assign late[t] = value_i[t];
    end else begin : gen_delay
      logic [t-1:0][ValueWidth-1:0] delay_q;
      always_ff @(posedge clk_i) begin
        for (int unsigned k = 0; k < t; k++) delay_q[k] <= k == 0 ? value_i[t] : delay_q[k-1];
      end
      assign late[t] = delay_q[t-1];
    end
  end

  logic [Sums-1:0][Width-1:0] placed;
  for (genvar i = 0; i < MaxCoefficient; i++) begin : gen_coefficient
    for (genvar j = 0; j < MaxValue; j++) begin : gen_value
      for (genvar t = 0; t < Terms; t++) begin : gen_term
        // a term without this product has none before it, or none behind it
        localparam bit Product = i < 32'(CoefficientLimbs[t]) && j < 32'(ValueLimbs[t]);
        localparam bit Head = t == 0 || i >= 32'(CoefficientLimbs[t==0?0 : t-1]) || j >= 32'(ValueLimbs[t==0?0 : t-1]);
        // the last cell's PCOUT goes nowhere
        // verilator lint_off UNUSEDSIGNAL
        logic [47:0] above, above_cascade, sum, cascade;
        // verilator lint_on UNUSEDSIGNAL
        if (t == 0) begin : gen_first
          assign above = '0;
          assign above_cascade = '0;
        end else begin : gen_next
          assign above = gen_term[t-1].sum;
          assign above_cascade = gen_term[t-1].cascade;
        end
        if (Product) begin : gen_product
          dsp48e2_madd #(
            .Head(Head)
          ) u_madd (
            .clk_i,
            .a_i({i == 32'(CoefficientLimbs[t]) - 1 && coefficient_i[t][26*i+26], coefficient_i[t][26*i+:26]}),
            .b_i({j == 32'(ValueLimbs[t]) - 1 && late[t][17*j+17], late[t][17*j+:17]}),
            .c_i('0),
            .pcin_i(above_cascade),
            .pcout_o(cascade),
            .p_o(sum)
          );
        end else begin : gen_none
          assign cascade = '0;
          if (t == 0) begin : gen_zero
            assign sum = '0;
          end else begin : gen_pass
            logic [47:0] sum_q;
            always_ff @(posedge clk_i) sum_q <= above;
            assign sum = sum_q;
          end
        end
      end
      assign placed[i*MaxValue+j] = Width'($signed(gen_term[Terms-1].sum)) << (26 * i + 17 * j);
    end
  end

  // ---- parts added two by two, three stages; then carries, a half of the last place with the first; then the rest is dropped

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
      s6_q[k] <= {1'b0, s5_q[k][0]};
      if (Fours == 2) s6_q[k] <= {1'b0, s5_q[k][0]} + {1'b0, s5_q[k][Fours-1]};
    end

    s7_q <= s6_q;
    s7_q[1] <= s7_carried;
    s8_q <= s7_q;
    s8_q[2] <= s8_carried;
    s9_q <= s8_q;
    s9_q[3] <= s9_carried;
    s10_q <= {s9_q[3][Part-1:0], s9_q[2][Part-1:0], s9_q[1][Part-1:32-Part]};
  end

  assign result_o = s10_q;

  logic unused;  // what is rounded away, carries that went on
  assign unused = &{1'b0, s9_q, coefficient_i, late};

`ifndef SYNTHESIS
  initial assert (Fours <= 2)
  else $error("%m: more sums than three stages add");
`endif

endmodule
