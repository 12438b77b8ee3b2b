// What all groups of a norm share, from its head and its number of values: once a descriptor, a bit or two a cycle.
//
//   eps_term = n² max(1, rnd(eps, 24 - 2 exponent))      eps saturated to 2^63 - 1
//   n shifted left until bit 23 is set
//
// At most 60 cycles from `valid_i` to `ready_o`; some 35 for exponents near 10. Cost: 2 DSPs.
module norm_prepare
  import norm_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input logic        [ 2:0] valid_i,  // the same for parts, since one would have too many readers
  input logic        [63:0] eps_i,
  input logic signed [ 7:0] exponent_i,  // -16 to 24
  input logic        [23:0] count_i,  // not 0; stable until `ready_o`

  output logic              ready_o,  // what follows is valid; falls with `valid_i`
  output logic [      23:0] count_normal_o,
  output logic [       4:0] count_zeros_o,
  output logic [DWidth-1:0] eps_term_o
);

  // ---- eps, two places a cycle

  logic [63:0] eps_q;
  logic half_q;  // the last bit that left on the right
  logic over_q;  // more than 2^63 - 1
  logic shifting_q;
  logic [1:0] left_q;  // the same twice
  logic [4:0] steps_q;
  logic signed [7:0] steps;

  assign steps = 8'sd12 - exponent_i;

  // rounded a half at a time, then at least 1
  logic [1:0] round_q;
  logic [32:0] low_q;
  logic rounded_q;
  logic [63:0] scaled_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      shifting_q <= 1'b0;
      round_q <= '0;
      rounded_q <= 1'b0;
    end else begin
      if (valid_i[0]) shifting_q <= 1'b1;
      else if (steps_q == '0) shifting_q <= 1'b0;
      round_q   <= {round_q[0], shifting_q && steps_q == '0};
      rounded_q <= round_q[1];
    end
  end

  copies #(
    .Copies(2)
  ) u_left (
    .clk_i,
    .d_i(valid_i[0] ? steps < 8'sd0 : left_q[0]),
    .q_o(left_q)
  );

  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < 64; i++) begin
      if (valid_i[1+i/32]) eps_q[i] <= eps_i[i];
      else if (shifting_q && steps_q != '0) begin
        if (left_q[i/32]) eps_q[i] <= i < 2 ? 1'b0 : eps_q[(i+62)%64];
        else eps_q[i] <= i < 62 && eps_q[(i+2)%64];
      end
    end

    if (valid_i[0]) begin
      half_q <= 1'b0;
      over_q <= 1'b0;
      steps_q <= steps < 8'sd0 ? 5'(-steps) : 5'(steps);
    end else if (shifting_q && steps_q != '0) begin
      steps_q <= steps_q - 1'b1;
      if (left_q[1]) over_q <= over_q || eps_q[63:62] != '0;
      else half_q <= eps_q[1];
    end

    if (round_q[0]) begin
      low_q  <= {1'b0, eps_q[31:0]} + 33'(half_q);
      over_q <= over_q || eps_q[63];
    end
    if (round_q[1]) begin
      scaled_q[63:32] <= eps_q[63:32] + 32'(low_q[32]);
      scaled_q[31:0]  <= low_q[31:0];
      // rounding up gives at least 1
      if (over_q) scaled_q <= {1'b0, {63{1'b1}}};
      else if (eps_q[63:32] == '0 && low_q == '0) scaled_q <= 64'd1;
    end
  end

  // ---- n, a place a cycle

  logic [23:0] normal_q;
  logic [ 4:0] zeros_q;

  always_ff @(posedge clk_i) begin
    if (valid_i[0]) begin
      normal_q <= count_i;
      zeros_q  <= '0;
    end else if (!normal_q[23]) begin
      normal_q <= normal_q << 1;
      zeros_q  <= zeros_q + 1'b1;
    end
  end

  // ---- n², then times eps

  logic squared, term_valid;
  logic [63:0] square;
  logic [111:0] term;
  logic square_ready_q, scaled_ready_q, term_start_q, term_ready_q;
  logic unused_side_a, unused_side_b;

  mul_serial #(
    .LimbsA(2),
    .LimbsB(2)
  ) u_square (
    .clk_i,
    .rst_ni,
    .valid_i(valid_i[0]),
    .a_i({8'b0, count_i}),
    .b_i({8'b0, count_i}),
    .side_i(1'b0),
    .valid_o(squared),
    .product_o(square),
    .side_o(unused_side_a)
  );

  mul_serial #(
    .LimbsA(3),
    .LimbsB(4)
  ) u_term (
    .clk_i,
    .rst_ni,
    .valid_i(term_start_q),
    .a_i(square[47:0]),
    .b_i(scaled_q),
    .side_i(1'b0),
    .valid_o(term_valid),
    .product_o(term),
    .side_o(unused_side_b)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni || valid_i[0]) begin
      square_ready_q <= 1'b0;
      scaled_ready_q <= 1'b0;
      term_start_q   <= 1'b0;
      term_ready_q   <= 1'b0;
    end else begin
      if (squared) square_ready_q <= 1'b1;
      if (rounded_q) scaled_ready_q <= 1'b1;
      term_start_q <= square_ready_q && scaled_ready_q;
      if (term_start_q) begin
        square_ready_q <= 1'b0;
        scaled_ready_q <= 1'b0;
        term_start_q   <= 1'b0;
      end
      if (term_valid) term_ready_q <= 1'b1;
    end
  end

  assign ready_o = term_ready_q && normal_q[23];
  assign count_normal_o = normal_q;
  assign count_zeros_o = zeros_q;
  assign eps_term_o = term;

  logic unused;
  assign unused = &{1'b0, square[63:48]};

endmodule
