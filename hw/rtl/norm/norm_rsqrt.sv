// Two Newton steps towards 1 / sqrt(m / 2^32), from a table: crates/spec/src/rsqrt.rs from `m` on.
//
// `m_i` has 31 or 32 bits. Latency 6 serial products and the registers between them, 54 cycles; one number each 9 cycles
// at most (a product's time). Cost: 6 DSPs, a table of 96 x 16 bits in LUTs.
module norm_rsqrt #(
  parameter int unsigned SideWidth = 6  // of what goes beside the number
) (
  input logic clk_i,
  input logic rst_ni,

  input logic                 valid_i,
  input logic [         31:0] m_i,
  input logic [SideWidth-1:0] side_i,

  output logic                 valid_o,
  output logic [         31:0] mantissa_o,  // 2^30 to 2^31
  output logic [SideWidth-1:0] side_o
);

  // round(2^15 / sqrt((i + 32.5) / 128)), as in crates/spec/src/tables.rs
  localparam logic [15:0] Seed[96] = '{
    65030, 64052, 63117, 62222, 61363, 60540, 59748, 58987, 58254, 57548, 56867, 56210,
    55574, 54960, 54366, 53791, 53233, 52693, 52169, 51660, 51165, 50685, 50218, 49763,
    49321, 48890, 48470, 48061, 47663, 47273, 46894, 46523, 46161, 45807, 45462, 45124,
    44793, 44470, 44153, 43843, 43540, 43243, 42951, 42666, 42386, 42112, 41843, 41579,
    41320, 41065, 40816, 40571, 40330, 40093, 39861, 39632, 39408, 39187, 38970, 38756,
    38546, 38340, 38136, 37936, 37739, 37545, 37354, 37166, 36980, 36798, 36618, 36441,
    36266, 36093, 35924, 35756, 35591, 35428, 35267, 35109, 34953, 34798, 34646, 34496,
    34347, 34201, 34056, 33913, 33772, 33633, 33496, 33360, 33225, 33093, 32962, 32832
  };

  // [0] from the table, [1] after the first step, [2] after the second
  logic [2:0] y_valid_q;
  logic [2:0][31:0] y_q, m_q;
  logic [2:0][SideWidth-1:0] side_q;

  logic [6:0] seed_index;
  assign seed_index = m_i[31:25] - 7'd32;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) y_valid_q[0] <= 1'b0;
    else y_valid_q[0] <= valid_i;
    y_q[0] <= {1'b0, Seed[seed_index], 15'b0};
    m_q[0] <= m_i;
    side_q[0] <= side_i;
  end

  for (genvar i = 0; i < 2; i++) begin : gen_step
    logic square_valid, scaled_valid, factor_valid_q, next_valid;
    logic [63:0] square, scaled, next;
    logic [31:0] square_y, square_m, scaled_y, scaled_m, next_m;
    logic [SideWidth-1:0] square_side, scaled_side, next_side;
    logic [31:0] factor_q;  // 3 - x y^2, about 2, Q30

    // y^2 < 2^32: y is under 2^31 at both inputs, by the table and since Newton's step stays below 1 / sqrt(x)
    mul_serial #(
      .LimbsA(2),
      .LimbsB(2),
      .SideWidth(64 + SideWidth)
    ) u_square (
      .clk_i,
      .rst_ni,
      .valid_i(y_valid_q[i]),
      .a_i(y_q[i]),
      .b_i(y_q[i]),
      .side_i({y_q[i], m_q[i], side_q[i]}),
      .valid_o(square_valid),
      .product_o(square),
      .side_o({square_y, square_m, square_side})
    );

    mul_serial #(
      .LimbsA(2),
      .LimbsB(2),
      .SideWidth(64 + SideWidth)
    ) u_scaled (
      .clk_i,
      .rst_ni,
      .valid_i(square_valid),
      .a_i(square_m),
      .b_i(square[61:30]),
      .side_i({square_y, square_m, square_side}),
      .valid_o(scaled_valid),
      .product_o(scaled),
      .side_o({scaled_y, scaled_m, scaled_side})
    );

    always_ff @(posedge clk_i) begin
      if (!rst_ni) factor_valid_q <= 1'b0;
      else factor_valid_q <= scaled_valid;
      factor_q <= 32'hc000_0000 - scaled[63:32];
    end

    mul_serial #(
      .LimbsA(2),
      .LimbsB(2),
      .SideWidth(32 + SideWidth)
    ) u_next (
      .clk_i,
      .rst_ni,
      .valid_i(factor_valid_q),
      .a_i(scaled_y),
      .b_i(factor_q),
      .side_i({scaled_m, scaled_side}),
      .valid_o(next_valid),
      .product_o(next),
      .side_o({next_m, next_side})
    );

    always_ff @(posedge clk_i) begin
      if (!rst_ni) y_valid_q[i+1] <= 1'b0;
      else y_valid_q[i+1] <= next_valid;
      y_q[i+1] <= next[62:31];
      m_q[i+1] <= next_m;
      side_q[i+1] <= next_side;
    end

    logic unused;
    assign unused = &{1'b0, square[63:62], square[29:0], scaled[31:0], next[63], next[30:0]};
  end

  logic unused_m;
  assign unused_m = &{1'b0, m_q[2]};

  assign valid_o = y_valid_q[2];
  assign mantissa_o = y_q[2][31:30] == '0 ? 32'h4000_0000 : y_q[2];
  assign side_o = side_q[2];

endmodule
