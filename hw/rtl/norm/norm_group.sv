// From a group's sums to the factors of its channels: `group_factors` of crates/spec/src/norm.rs.
//
// A chain of stages, one group in each: groups must be MinSpacing cycles apart. There is no back-pressure; the unit starts a group
// when it has a place for the result. Latency about 107 cycles.
//
// Cost: 10 DSPs (2 for V, 6 in norm_rsqrt, 2 for the factors).
module norm_group
  import norm_pkg::*;
#(
  localparam int unsigned MinSpacing = 14
) (
  input logic clk_i,
  input logic rst_ni,

  // of the norm, stable while groups are under way
  input logic [      23:0] count_i,  // n
  input logic [      23:0] count_normal_i,  // n shifted left until bit 23 is set
  input logic [       4:0] count_zeros_i,  // by this much
  input logic [DWidth-1:0] eps_term_i,  // n^2 max(1, eps)

  input logic                    valid_i,
  input logic [    SumWidth-1:0] sum_i,
  input logic [SquaresWidth-1:0] squares_i,

  output logic     wrong_o,  // pulse: n Σx² < (Σx)², which no values have; factors of the group mean nothing then
  output logic     valid_o,
  output factors_t factors_o
);

  // ---- magnitude of the sum, 24 bits a cycle

  logic [1:0] sum_valid_q;
  logic [23:0] sum_q;  // high half
  logic [SumWidth-1:0] magnitude_q;
  logic [SquaresWidth-1:0] squares_q;
  logic [24:0] low_q;
  logic negative_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) sum_valid_q <= '0;
    else sum_valid_q <= {sum_valid_q[0], valid_i};
    if (valid_i) begin
      sum_q <= sum_i[47:24];
      squares_q <= squares_i;
      low_q <= {1'b0, sum_i[23:0] ^ {24{sum_i[47]}}} + 25'(sum_i[47]);
    end
    if (sum_valid_q[0]) begin
      magnitude_q <= {(sum_q ^ {24{sum_q[23]}}) + 24'(low_q[24]), low_q[23:0]};
      negative_q  <= sum_q[23];
    end
  end

  // ---- the sum normalised, kept for the mean: shifted left until bit 47 is set

  localparam int unsigned Steps = 6;  // by 32, 16, 8, 4, 2, 1
  logic [Steps:0] shift_valid_q;
  logic [Steps:0][SumWidth-1:0] shifted_q;
  logic [Steps:0][5:0] zeros_q;
  logic [Steps:0] shift_negative_q;

  assign shift_valid_q[0] = sum_valid_q[1];
  assign shifted_q[0] = magnitude_q;
  assign zeros_q[0] = '0;
  assign shift_negative_q[0] = negative_q;

  for (genvar i = 0; i < Steps; i++) begin : gen_sum_shift
    localparam int unsigned By = 1 << (Steps - 1 - i);
    logic zero;
    assign zero = shifted_q[i][SumWidth-1-:By] == '0;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) shift_valid_q[i+1] <= 1'b0;
      else shift_valid_q[i+1] <= shift_valid_q[i];
      shifted_q[i+1] <= zero ? shifted_q[i] << By : shifted_q[i];
      zeros_q[i+1] <= zeros_q[i] | (zero ? 6'(By) : 6'd0);
      shift_negative_q[i+1] <= shift_negative_q[i];
    end
  end

  logic mean_valid;
  logic [SumWidth-1:0] mean_sum;
  logic [5:0] mean_zeros;
  logic mean_negative;
  logic kept_ready, kept_valid;
  logic [3:0] kept_count;

  fifo #(
    .Width(SumWidth + 7),
    .Depth(8)
  ) u_kept (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .in_valid_i(shift_valid_q[Steps]),
    .in_ready_o(kept_ready),
    .in_data_i({shift_negative_q[Steps], zeros_q[Steps], shifted_q[Steps]}),
    .out_valid_o(kept_valid),
    .out_ready_i(mean_valid),
    .out_data_o({mean_negative, mean_zeros, mean_sum}),
    .count_o(kept_count)
  );

  // ---- V = n Σx² - (Σx)²

  logic square_valid, scaled_valid;
  logic [95:0] square, scaled;
  logic unused_side_a, unused_side_b;

  mul_serial #(
    .LimbsA(3),
    .LimbsB(3)
  ) u_square (
    .clk_i,
    .rst_ni,
    .valid_i(sum_valid_q[1]),
    .a_i(magnitude_q),
    .b_i(magnitude_q),
    .side_i(1'b0),
    .valid_o(square_valid),
    .product_o(square),
    .side_o(unused_side_a)
  );

  // one product less, so that it is there when the other is
  mul_serial #(
    .LimbsA(2),
    .LimbsB(4)
  ) u_scaled (
    .clk_i,
    .rst_ni,
    .valid_i(sum_valid_q[1]),
    .a_i({8'b0, count_i}),
    .b_i(squares_q),
    .side_i(1'b0),
    .valid_o(scaled_valid),
    .product_o(scaled),
    .side_o(unused_side_b)
  );

  // ---- D = 2^16 V + n² eps, a word a cycle; the products hold for 6 cycles, 3 are used

  logic [4:0] add_valid_q;
  logic [32:0] v0_q, v1_q;
  logic [32:0] v2_q;
  logic wrong_q;
  logic [32:0] d0_q, d1_q, d2_q;
  logic [15:0] d3_q;

  logic [32:0] v0, v1, v2, d1, d2;  // a borrow is a missing carry
  carry_select #(
    .Width(32)
  ) u_v0 (
    .a_i(scaled[31:0]),
    .b_i(~square[31:0]),
    .carry_i(1'b1),
    .sum_o(v0)
  );
  carry_select #(
    .Width(32)
  ) u_v1 (
    .a_i(scaled[63:32]),
    .b_i(~square[63:32]),
    .carry_i(!v0_q[32]),
    .sum_o(v1)
  );
  carry_select #(
    .Width(32)
  ) u_v2 (
    .a_i(scaled[95:64]),
    .b_i(~square[95:64]),
    .carry_i(!v1_q[32]),
    .sum_o(v2)
  );
  carry_select #(
    .Width(32)
  ) u_d1 (
    .a_i({v1_q[15:0], v0_q[31:16]}),
    .b_i(eps_term_i[63:32]),
    .carry_i(d0_q[32]),
    .sum_o(d1)
  );
  carry_select #(
    .Width(32)
  ) u_d2 (
    .a_i({v2_q[15:0], v1_q[31:16]}),
    .b_i(eps_term_i[95:64]),
    .carry_i(d1_q[32]),
    .sum_o(d2)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      add_valid_q <= '0;
      wrong_q <= 1'b0;
    end else begin
      add_valid_q <= {add_valid_q[3:0], square_valid};
      wrong_q <= add_valid_q[2] && v2_q[32];
    end
    if (square_valid) v0_q <= {!v0[32], v0[31:0]};
    if (add_valid_q[0]) v1_q <= {!v1[32], v1[31:0]};
    if (add_valid_q[1]) v2_q <= {!v2[32], v2[31:0]};
    if (add_valid_q[0]) d0_q <= {1'b0, v0_q[15:0], 16'b0} + {1'b0, eps_term_i[31:0]};
    if (add_valid_q[1]) d1_q <= d1;
    if (add_valid_q[2]) d2_q <= d2;
    if (add_valid_q[3]) d3_q <= {8'b0, v2_q[23:16]} + eps_term_i[111:96] + 16'(d2_q[32]);
  end

  assign wrong_o = wrong_q;

  // ---- m = D shifted by an even number until it has 31 or 32 bits; w pairs of zeros before it

  localparam int unsigned Pairs = 6;  // by 64, 32, 16, 8, 4, 2
  logic [Pairs:0] m_valid_q;
  logic [Pairs:0][DWidth-1:0] m_q;
  logic [Pairs:0][5:0] w_q;

  assign m_valid_q[0] = add_valid_q[4];
  assign m_q[0] = {d3_q, d2_q[31:0], d1_q[31:0], d0_q[31:0]};
  assign w_q[0] = '0;

  for (genvar i = 0; i < Pairs; i++) begin : gen_d_shift
    localparam int unsigned By = 1 << (Pairs - i);
    logic zero;
    assign zero = m_q[i][DWidth-1-:By] == '0;
    always_ff @(posedge clk_i) begin
      if (!rst_ni) m_valid_q[i+1] <= 1'b0;
      else m_valid_q[i+1] <= m_valid_q[i];
      // what can still be shifted into the top 32 bits shrinks with each step; synthesis drops the rest
      m_q[i+1] <= zero ? m_q[i] << By : m_q[i];
      w_q[i+1] <= w_q[i] | (zero ? 6'(By / 2) : 6'd0);
    end
  end

  // ---- r = 1 / sqrt(D)

  logic r_valid;
  logic [31:0] r;
  logic [5:0] r_w;

  norm_rsqrt #(
    .SideWidth(6)
  ) u_rsqrt (
    .clk_i,
    .rst_ni,
    .valid_i(m_valid_q[Pairs]),
    .m_i(m_q[Pairs][DWidth-1-:32]),
    .side_i(w_q[Pairs]),
    .valid_o(r_valid),
    .mantissa_o(r),
    .side_o(r_w)
  );

  // ---- factors: products of normalised numbers have one of two lengths

  logic deviation_valid, mean_product_valid;
  logic [63:0] deviation;  // 54 or 55 bits
  logic [79:0] mean;  // 78 or 79 bits, or 0
  logic unused_side_c;
  logic [5:0] w, sum_zeros;
  logic sum_negative;

  assign mean_valid = r_valid;

  mul_serial #(
    .LimbsA(2),
    .LimbsB(2)
  ) u_deviation (
    .clk_i,
    .rst_ni,
    .valid_i(r_valid),
    .a_i({8'b0, count_normal_i}),
    .b_i(r),
    .side_i(1'b0),
    .valid_o(deviation_valid),
    .product_o(deviation),
    .side_o(unused_side_c)
  );

  mul_serial #(
    .LimbsA(3),
    .LimbsB(2),
    .SideWidth(13)
  ) u_mean (
    .clk_i,
    .rst_ni,
    .valid_i(r_valid),
    .a_i(mean_sum),
    .b_i(r),
    .side_i({mean_negative, mean_zeros, r_w}),
    .valid_o(mean_product_valid),
    .product_o(mean),
    .side_o({sum_negative, sum_zeros, w})
  );

  logic [1:0] out_valid_q;
  logic [17:0] deviation_q;
  logic deviation_half_q;
  logic [23:0] mean_q;
  logic mean_half_q, mean_rest_q, mean_negative_q;
  logic [7:0] deviation_exponent_q, mean_exponent_q;
  factors_t factors_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) out_valid_q <= '0;
    else out_valid_q <= {out_valid_q[0], mean_product_valid};

    // rounded to 18 and 24 bits; of a negative number halves go up, that is towards zero
    deviation_q <= deviation[54] ? deviation[54:37] : deviation[53:36];
    deviation_half_q <= deviation[54] ? deviation[36] : deviation[35];
    deviation_exponent_q <= 8'd50 - 8'(deviation[54]) - 8'(w) + 8'(count_zeros_i);
    mean_q <= mean[78] ? mean[78:55] : mean[77:54];
    mean_half_q <= mean[78] ? mean[54] : mean[53];
    mean_rest_q <= mean[52:0] != '0 || (mean[78] && mean[53]);
    mean_exponent_q <= 8'd32 - 8'(mean[78]) - 8'(w) + 8'(sum_zeros);
    mean_negative_q <= sum_negative;

    factors_q.deviation <= 19'(deviation_q) + 19'(deviation_half_q);
    factors_q.deviation_exponent <= deviation_exponent_q;
    factors_q.mean <= 25'(mean_q) + 25'(mean_half_q && (!mean_negative_q || mean_rest_q));
    factors_q.mean_exponent <= mean_exponent_q;
    factors_q.mean_negative <= mean_negative_q;
  end

  assign valid_o = out_valid_q[1];
  assign factors_o = factors_q;

  logic unused;
  assign unused = &{
    1'b0, kept_ready, kept_valid, kept_count, deviation_valid, scaled_valid, v2_q[31:24],
    deviation[63:55], deviation[34:0], mean[79], m_q[Pairs][DWidth-33:0], d2_q[32], d1_q[32], d0_q[32]
  };

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) shift_valid_q[Steps] |-> kept_ready)
  else $error("%m: no place for a group's sum");
  assert property (@(posedge clk_i) disable iff (!rst_ni) r_valid |-> kept_valid)
  else $error("%m: a group's sum is missing");
  assert property (@(posedge clk_i) disable iff (!rst_ni) valid_i |=> !valid_i [* MinSpacing - 1])
  else $error("%m: groups too near to each other");
`endif

endmodule
