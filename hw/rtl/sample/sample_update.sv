// The update of one channel of a pixel a cycle: x0 and eps of the network's output and the state, clamped; then the next state.
//
//   state, stream -> two forms of 2 terms -> clamps -> form of 5 terms -> saturation
//
// Nothing stalls: x0 comes PredictionLatency cycles after its element, the next state UpdateLatency. Cost: 16 DSPs for the
// predictions, 26 for the next state.
module sample_update
  import sample_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input form_t form_i,  // stable while elements are on their way

  // an element
  input logic               valid_i,
  input logic signed [15:0] stream_i,  // the network's output
  input logic signed [31:0] state_i,
  input prediction_t        previous_i,
  input logic signed [27:0] noise_i,  // Q24

  output logic               x0_valid_o,
  output prediction_t        x0_o,
  output logic               valid_o,
  output logic signed [31:0] state_o
);

  logic [UpdateLatency-1:0] valid_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[UpdateLatency-2:0], valid_i};
  end
  assign x0_valid_o = valid_q[PredictionLatency-1];
  assign valid_o = valid_q[UpdateLatency-1];

  // ---- predictions: the state has two limbs, the output one, its shifted coefficient four

  localparam int unsigned PredictionCoefficient = 4;
  localparam int unsigned PredictionValue = 2;
  typedef logic signed [26*PredictionCoefficient:0] wide_t;
  typedef logic signed [17*PredictionValue:0] short_t;
  logic [1:0][26*PredictionCoefficient:0] x0_coefficient, eps_coefficient;
  logic [1:0][17*PredictionValue:0] values;
  logic signed [75:0] x0_sum, eps_sum;
  prediction_t x0, eps;
  assign values = {short_t'(stream_i), short_t'(state_i)};
  assign x0_coefficient = {wide_t'(form_i.x0_stream), wide_t'(form_i.x0_state)};
  assign eps_coefficient = {wide_t'(form_i.eps_stream), wide_t'(form_i.eps_state)};

  sample_form #(
    .Terms(2),
    .CoefficientLimbs({3'd4, 3'd2}),
    .ValueLimbs({3'd1, 3'd2}),
    .MaxCoefficient(PredictionCoefficient),
    .MaxValue(PredictionValue)
  ) u_x0 (
    .clk_i,
    .coefficient_i(x0_coefficient),
    .value_i(values),
    .result_o(x0_sum)
  );

  sample_form #(
    .Terms(2),
    .CoefficientLimbs({3'd4, 3'd2}),
    .ValueLimbs({3'd1, 3'd2}),
    .MaxCoefficient(PredictionCoefficient),
    .MaxValue(PredictionValue)
  ) u_eps (
    .clk_i,
    .coefficient_i(eps_coefficient),
    .value_i(values),
    .result_o(eps_sum)
  );

  localparam logic [47:0] EpsLimit = 48'h8000_0000_0000;

  sample_clamp u_clamp_x0 (
    .clk_i,
    .value_i(x0_sum),
    .limit_i(form_i.clip),
    .minus_limit_i(form_i.minus_clip),
    .value_o(x0)
  );

  sample_clamp u_clamp_eps (
    .clk_i,
    .value_i(eps_sum),
    .limit_i(EpsLimit),
    .minus_limit_i(-{1'b0, EpsLimit}),
    .value_o(eps)
  );
  assign x0_o = x0;

  // ---- what the next state needs besides, as late as the predictions

  logic [PredictionLatency-1:0][31:0] state_q;
  logic [PredictionLatency-1:0][48:0] previous_q;
  logic [PredictionLatency-1:0][27:0] noise_q;
  logic signed [31:0] state;
  prediction_t previous;
  logic signed [27:0] noise;
  always_ff @(posedge clk_i) begin
    state_q <= {state_q[PredictionLatency-2:0], state_i};
    previous_q <= {previous_q[PredictionLatency-2:0], previous_i};
    noise_q <= {noise_q[PredictionLatency-2:0], noise_i};
  end
  assign state = state_q[PredictionLatency-1];
  assign previous = previous_q[PredictionLatency-1];
  assign noise = noise_q[PredictionLatency-1];

  // ---- the next state: its terms in the order x0, eps, x0 before, state, noise, the shortest as the latest

  localparam int unsigned NextCoefficient = 2;
  localparam int unsigned NextValue = 3;
  typedef logic signed [26*NextCoefficient:0] factor_t;
  typedef logic signed [17*NextValue:0] value_t;
  logic [4:0][26*NextCoefficient:0] next_coefficient;
  logic [4:0][17*NextValue:0] next_values;
  logic signed [75:0] next_sum;
  assign next_coefficient = {
    factor_t'(form_i.next_noise),
    factor_t'(form_i.next_state),
    factor_t'(form_i.next_previous),
    factor_t'(form_i.next_eps),
    factor_t'(form_i.next_x0)
  };
  assign next_values = {value_t'(noise), value_t'(state), value_t'(previous), value_t'(eps), value_t'(x0)};

  sample_form #(
    .Terms(5),
    .CoefficientLimbs({3'd2, 3'd2, 3'd2, 3'd2, 3'd2}),
    .ValueLimbs({3'd2, 3'd2, 3'd3, 3'd3, 3'd3}),
    .MaxCoefficient(NextCoefficient),
    .MaxValue(NextValue)
  ) u_next (
    .clk_i,
    .coefficient_i(next_coefficient),
    .value_i(next_values),
    .result_o(next_sum)
  );

  logic fits;
  assign fits = next_sum[75:31] == {45{next_sum[75]}};
  always_ff @(posedge clk_i) state_o <= fits ? next_sum[31:0] : {next_sum[75], {31{!next_sum[75]}}};

endmodule
