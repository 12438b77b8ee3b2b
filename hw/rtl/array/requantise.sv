// One pixel's accumulators a cycle to what is stored: y = sat32(rnd((acc + bias) * mantissa, shift)), then sat16(y + residual) for a
// stream, sat8(y) else; lanes that are no channel give 0. No back-pressure. Latency 10 cycles; 2 multipliers of 17 x 16 bits a lane.
//
// The residual comes with its accumulator; times 2^33 it is shifted right by 33 + residual_shift bits less one, so that a shift to the left
// saturates and one to the right rounds in the same way.

module requantise
  import array_pkg::*;
#(
  parameter int unsigned O = 8
) (
  input logic clk_i,
  input logic rst_ni,

  input channel_t [1:0][O-1:0] channel_i,  // two banks; one stays as it is until the last pixel that names it has left

  input logic valid_i,
  input drain_tag_t tag_i,
  input logic [O-1:0][31:0] acc_i,
  input logic [O-1:0][15:0] residual_i,

  output logic valid_o,
  output drain_tag_t tag_o,
  output logic [O-1:0][15:0] data_o  // sat8 extended to 16 bits
);

  localparam int unsigned Stages = 10;

  logic [Stages-1:0] valid_q;
  drain_tag_t [Stages-1:0] tag_q;
  always_ff @(posedge clk_i) begin
    valid_q <= rst_ni ? {valid_q[Stages-2:0], valid_i} : '0;
    tag_q   <= {tag_q[Stages-2:0], tag_i};
  end
  assign valid_o = valid_q[Stages-1];
  assign tag_o = tag_q[Stages-1];

  // bank of each stage that reads channels
  logic bank0, bank2, bank8;
  assign bank0 = tag_q[0].bank;
  assign bank2 = tag_q[2].bank;
  assign bank8 = tag_q[8].bank;

  for (genvar o = 0; o < O; o++) begin : gen_lane
    // stages 0 to 3: bias, product of 32 x 16 bits in two halves
    logic [31:0] acc_q, biased_q;
    logic [15:0] mantissa_q;
    logic signed [31:0] high_q;  // |high| < 2^15 * 2^16
    logic [31:0] low_q;
    logic [15:0] residual0_q, residual1_q, residual2_q;
    logic [47:0] product_q;
    logic [5:0] shift_q, residual_shift_q;
    logic [15:0] residual_q;
    always_ff @(posedge clk_i) begin
      acc_q <= acc_i[o];
      residual0_q <= residual_i[o];

      biased_q <= acc_q + channel_i[bank0][o].bias;
      mantissa_q <= channel_i[bank0][o].mantissa;
      residual1_q <= residual0_q;

      high_q <= 32'($signed(biased_q[31:16])) * 32'($signed({1'b0, mantissa_q}));
      low_q <= 32'(biased_q[15:0]) * 32'(mantissa_q);
      residual2_q <= residual1_q;

      product_q <= {high_q + 32'(low_q[31:16]), low_q[15:0]};
      shift_q <= channel_i[bank2][o].shift;
      residual_q <= tag_q[2].residual ? residual2_q : '0;
      residual_shift_q <= tag_q[2].residual_shift;
    end

    // stages 4 to 7: rounding shifts
    logic signed [31:0] y, r;
    round_shift u_round (
      .clk_i,
      .x_i({product_q[47], product_q}),
      .shift_i(shift_q),
      .y_o(y)
    );
    round_shift u_residual (
      .clk_i,
      .x_i({residual_q, 33'b0}),
      .shift_i(residual_shift_q),
      .y_o(r)
    );

    // stages 8 and 9: sum, saturation
    logic signed [32:0] sum_q;
    logic [15:0] data_q;
    always_ff @(posedge clk_i) begin
      sum_q <= 33'(y) + 33'(r);
      if (!channel_i[bank8][o].enable) data_q <= '0;
      else if (tag_q[8].stream) data_q <= sum_q > 33'sd32767 ? 16'h7fff : sum_q < -33'sd32768 ? 16'h8000 : sum_q[15:0];
      else data_q <= sum_q > 33'sd127 ? 16'd127 : sum_q < -33'sd127 ? -16'd127 : sum_q[15:0];
    end
    assign data_o[o] = data_q;
  end

endmodule
