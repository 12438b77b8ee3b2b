// Kinds 2 and 3 of `prep`: I channels of the pixels of a chunk as one of two planes.
//
// `x_i` (values of streams) with its plane at `stream_low_i` 4 cycles later; `plane_o` 5 cycles after `x_i`. Words of the state with
// `state_valid_i`, and `state_first_i` a cycle before; their planes 9 cycles later, `state_low_i` 8 cycles later.
module prep_planes
  import prep_pkg::*;
#(
    parameter int unsigned I = 16,
    parameter int unsigned Pixels = 4,
    localparam int unsigned Channels = 4  // of a word of the state
) (
    input logic clk_i,

    input logic       from_state_i,  // stable
    input logic       mean_i,        // stable; of the state, four words for one
    input logic [4:0] shift_i,       // stable; of the state

    input logic signed [Pixels-1:0][I-1:0][15:0] x_i,
    input logic                                  stream_low_i,

    input logic                                          state_valid_i,
    input logic                                          state_first_i,
    input logic [StatePixels-1:0][Channels-1:0][31:0] state_i,
    input logic                                          state_low_i,

    output logic [Pixels-1:0][I-1:0][7:0] plane_o
);

  localparam logic signed [15:0] Max = 16'sd16319;  // spec::operand::PLANES_MAX

  logic [StatePixels-1:0][Channels-1:0][15:0] of_state;
  for (genvar p = 0; p < StatePixels; p++) begin : gen_state
    prep_state u_state (
        .clk_i,
        .mean_i(mean_i && p == 0),
        .shift_i,
        .valid_i(state_valid_i),
        .first_i(state_first_i || p != 0),
        .x_i(state_i[p]),
        .value_o(of_state[p])
    );
  end

  // some for each pixel, so that none drives too many
  localparam int unsigned Copies = I > 4 ? 4 : I;
  localparam int unsigned Part = I / Copies;
  logic [Pixels-1:0][Copies-1:0] low_q, from_state_q;
  copies #(
      .Copies(Pixels * Copies)
  ) u_low (
      .clk_i,
      .d_i(from_state_i ? state_low_i : stream_low_i),
      .q_o(low_q)
  );
  copies #(
      .Copies(Pixels * Copies)
  ) u_from_state (
      .clk_i,
      .d_i(from_state_i),
      .q_o(from_state_q)
  );

  for (genvar p = 0; p < Pixels; p++) begin : gen_pixel
    for (genvar i = 0; i < I; i++) begin : gen_lane
      logic signed [15:0] half1_q, clamped2_q, value3_q, biased4_q;
      always_ff @(posedge clk_i) begin
        half1_q <= 16'((17'($signed(x_i[p][i])) + 17'sd1) >>> 1);
        if (half1_q > Max) clamped2_q <= Max;
        else if (half1_q < -Max) clamped2_q <= -Max;
        else clamped2_q <= half1_q;
        biased4_q <= value3_q + 16'sd64;
        plane_o[p][i] <= low_q[p][i/Part] ? {{2{!biased4_q[6]}}, biased4_q[5:0]} : biased4_q[14:7];
      end
      if (p < StatePixels && i < Channels) begin : gen_either
        always_ff @(posedge clk_i) value3_q <= from_state_q[p][i/Part] ? of_state[p][i] : clamped2_q;
      end else begin : gen_stream
        always_ff @(posedge clk_i) value3_q <= from_state_q[p][i/Part] ? '0 : clamped2_q;
      end
      logic unused_sign;
      assign unused_sign = biased4_q[15];
    end
  end

endmodule
