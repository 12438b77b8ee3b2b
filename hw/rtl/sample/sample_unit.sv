// `sample` of docs/isa.md: one step of the sampler, pixel by pixel, channel by channel.
//
//   sample_elements (readers, x0 of the step before, noise) -> sample_update -> sample_writer
//
// A channel of a pixel a cycle; about 60 cycles from start to end besides, some 80 more with noise. 32 x 32 pixels of 3 channels take
// 3.1 thousand cycles.
//
// A flush lets elements under way end and begins no more. Error `field`: a head whose coefficients or exponent are out of range;
// nothing is written then.
//
// Cost: 68 DSPs, 2.5 block RAMs for the normal distribution and 24 for 4,096 pixels of x0 of the step before.
module sample_unit
  import diffuser_pkg::*;
  import diffuser_isa_pkg::*;
  import sample_pkg::*;
#(
  parameter int unsigned O = 32,  // lanes of a stream word, at least 4
  parameter int unsigned StateDepth = 4096  // words of the state memory
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic         desc_valid_i,
  output logic         desc_ready_o,
  input  logic [511:0] desc_i,
  input  logic [ 31:0] step_i,
  output logic         done_o,
  output logic         error_o,
  output error_e       error_code_o,
  input  logic         flush_i,
  input  logic [ 63:0] seed_i,  // registers SEED and IMAGE, as they are when the descriptor is taken
  input  logic [ 63:0] image_i,

  output logic                  param_req_o,
  output logic [EntryWidth-1:0] param_addr_o,
  input  logic                  param_gnt_i,
  input  logic                  param_rvalid_i,
  input  logic [          63:0] param_rdata_i,

  output logic                 stream_req_o,
  output logic [AddrWidth-1:0] stream_addr_o,
  input  logic                 stream_gnt_i,
  input  logic                 stream_rvalid_i,
  input  logic [  O-1:0][15:0] stream_rdata_i,

  output logic                 state_req_o,
  output logic [AddrWidth-1:0] state_addr_o,
  input  logic                 state_gnt_i,
  input  logic                 state_rvalid_i,
  input  logic [    3:0][31:0] state_rdata_i,

  output logic                 state_we_o,
  output logic [AddrWidth-1:0] state_waddr_o,
  output logic [          3:0] state_wstrb_o,
  output logic [    3:0][31:0] state_wdata_o,
  input  logic                 state_wgnt_i
);

  typedef enum logic [1:0] {
    StateIdle,
    StateSetup,  // the head is read
    StateRun,
    StateDone
  } state_e;

  state_e state_q;
  sample_desc_t desc_q;
  logic take, start, head_ready, head_wrong, settled, stopping_q, error_q, clear;

  assign desc_ready_o = state_q == StateIdle;
  assign take = desc_valid_i && desc_ready_o;
  assign start = state_q == StateSetup && head_ready && !head_wrong && !stopping_q;
  assign done_o = state_q == StateDone;
  assign clear = state_q == StateDone;
  assign error_o = error_q;
  assign error_code_o = ErrorField;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= StateIdle;
      stopping_q <= 1'b0;
      error_q <= 1'b0;
    end else begin
      error_q <= 1'b0;
      if (flush_i) stopping_q <= 1'b1;
      unique case (state_q)
        StateIdle: begin
          stopping_q <= flush_i;
          if (take) state_q <= StateSetup;
        end
        StateSetup: begin
          if (start) begin
            state_q <= StateRun;
          end else if (head_ready) begin
            state_q <= StateDone;
            error_q <= head_wrong;
          end
        end
        StateRun: if (settled) state_q <= StateDone;
        StateDone: state_q <= StateIdle;
      endcase
    end
  end

  // ---- what the descriptor says, and numbers made of it; the head takes longer

  logic taken_q;
  logic [63:0] seed_q, image_q, image_all_q;
  logic [32:0] image_low_q;
  logic [31:0] step_q, purpose_q;
  logic first_step_q, head_ready_late;
  form_t form;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) taken_q <= 1'b0;
    else taken_q <= take;
  end

  always_ff @(posedge clk_i) begin
    if (take) begin
      desc_q  <= desc_i;
      seed_q  <= seed_i;
      image_q <= image_i;
      step_q  <= step_i;
    end
    purpose_q <= step_q == '1 ? step_q : step_q + 1'b1;
    first_step_q <= step_q == '0;
    image_low_q <= {1'b0, image_q[31:0]} + 33'(desc_q.image);
    image_all_q <= {image_q[63:32] + 32'(image_low_q[32]), image_low_q[31:0]};
  end

  sample_head u_head (
    .clk_i,
    .rst_ni,
    .start_i(taken_q),
    .first_i(desc_q.param),
    .ready_o(head_ready_late),
    .wrong_o(head_wrong),
    .form_o(form),
    .req_o(param_req_o),
    .addr_o(param_addr_o),
    .gnt_i(param_gnt_i),
    .rvalid_i(param_rvalid_i),
    .rdata_i(param_rdata_i)
  );

  // it is that of the descriptor before until start_i
  assign head_ready = head_ready_late && !taken_q;

  // ---- elements, their update, its results

  logic elements_idle, room, begins, element_valid, x0_valid, result_valid, complete, none;
  logic signed [15:0] stream;
  logic signed [31:0] state;
  prediction_t previous, x0;
  logic signed [27:0] noise;
  logic signed [31:0] result;

  sample_elements #(
    .O(O),
    .StateDepth(StateDepth)
  ) u_elements (
    .clk_i,
    .rst_ni,
    .desc_i(desc_q),
    .first_step_i(first_step_q),
    .seed_i(seed_q),
    .image_i(image_all_q),
    .purpose_i(purpose_q),
    .start_i(start),
    .run_i(state_q == StateRun),
    .stop_i(stopping_q),
    .clear_i(clear),
    .idle_o(elements_idle),
    .stream_req_o,
    .stream_addr_o,
    .stream_gnt_i,
    .stream_rvalid_i,
    .stream_rdata_i,
    .state_req_o,
    .state_addr_o,
    .state_gnt_i,
    .state_rvalid_i,
    .state_rdata_i,
    .ready_i(room),
    .taken_o(begins),
    .valid_o(element_valid),
    .stream_o(stream),
    .state_o(state),
    .previous_o(previous),
    .noise_o(noise),
    .x0_valid_i(x0_valid),
    .x0_i(x0)
  );

  sample_update u_update (
    .clk_i,
    .rst_ni,
    .form_i(form),
    .valid_i(element_valid),
    .stream_i(stream),
    .state_i(state),
    .previous_i(previous),
    .noise_i(noise),
    .x0_valid_o(x0_valid),
    .x0_o(x0),
    .valid_o(result_valid),
    .state_o(result)
  );

  sample_writer u_writer (
    .clk_i,
    .rst_ni,
    .start_i(start),
    .first_i(desc_q.state),
    .pixels_i(desc_q.pixels),
    .channels_i(desc_q.channels),
    .begins_i(begins),
    .room_o(room),
    .valid_i(result_valid),
    .state_i(result),
    .complete_o(complete),
    .none_o(none),
    .we_o(state_we_o),
    .waddr_o(state_waddr_o),
    .wstrb_o(state_wstrb_o),
    .wdata_o(state_wdata_o),
    .wgnt_i(state_wgnt_i)
  );

  // All is written; or nothing is on its way any more, and nothing will be.
  logic empty_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || state_q != StateRun) empty_q <= 1'b0;
    else empty_q <= stopping_q && elements_idle && none;
  end
  assign settled = complete || empty_q;

`ifndef SYNTHESIS
  initial assert (O >= 4)
  else $error("%m: a pixel of 4 channels has to fit in a stream word");
`endif

endmodule
