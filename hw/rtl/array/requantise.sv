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

  // what the lanes read of the tags, once for each lane, so that none has too many readers
  logic [O-1:0] bank0, bank2, residual2, bank8, stream8;
  copies #(
    .Copies(O)
  ) u_bank0 (
    .clk_i,
    .d_i(tag_i.bank),
    .q_o(bank0)
  );
  logic [O-1:0][1:0] lane2, lane8;
  copies #(
    .Width(2),
    .Copies(O)
  ) u_lane2 (
    .clk_i,
    .d_i({tag_q[1].bank, tag_q[1].residual}),
    .q_o(lane2)
  );
  copies #(
    .Width(2),
    .Copies(O)
  ) u_lane8 (
    .clk_i,
    .d_i({tag_q[7].bank, tag_q[7].stream}),
    .q_o(lane8)
  );
  always_comb begin
    for (int unsigned o = 0; o < O; o++) begin
      {bank2[o], residual2[o]} = lane2[o];
      {bank8[o], stream8[o]} = lane8[o];
    end
  end

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

      biased_q <= acc_q + channel_i[bank0[o]][o].bias;
      mantissa_q <= channel_i[bank0[o]][o].mantissa;
      residual1_q <= residual0_q;

      high_q <= 32'($signed(biased_q[31:16])) * 32'($signed({1'b0, mantissa_q}));
      low_q <= 32'(biased_q[15:0]) * 32'(mantissa_q);
      residual2_q <= residual1_q;

      product_q <= {high_q + 32'(low_q[31:16]), low_q[15:0]};
      shift_q <= channel_i[bank2[o]][o].shift;
      residual_q <= residual2[o] ? residual2_q : '0;
    end
    // equal in all lanes
    copies #(
      .Width(6),
      .Copies(1)
    ) u_residual_shift (
      .clk_i,
      .d_i(tag_q[2].residual_shift),
      .q_o(residual_shift_q)
    );

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
    logic [31:0] sum_q;
    logic y_negative_q, r_negative_q;
    logic signed [32:0] sum;  // the sign of a sum of two equal signs is theirs
    logic [15:0] data_q;
    assign sum = {y_negative_q == r_negative_q ? y_negative_q : sum_q[31], sum_q};
    always_ff @(posedge clk_i) begin
      sum_q <= y + r;
      y_negative_q <= y[31];
      r_negative_q <= r[31];
      if (!channel_i[bank8[o]][o].enable) data_q <= '0;
      else if (stream8[o]) data_q <= sum > 33'sd32767 ? 16'h7fff : sum < -33'sd32768 ? 16'h8000 : sum[15:0];
      else data_q <= sum > 33'sd127 ? 16'd127 : sum < -33'sd127 ? -16'd127 : sum[15:0];
    end
    assign data_o[o] = data_q;
  end

endmodule
