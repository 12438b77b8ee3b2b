// `sample` of docs/isa.md: one step of the sampler, pixel by pixel, channel by channel.
//
//   readers ──► element ──► x0, eps ──► clamp ──► next state ──► writes
//   Philox ──► normal ──┘   (4 terms)             (5 terms)
//
// An element each 5 cycles, the terms of the longest form; about 60 cycles from the first to its result, some 130 more before it with
// noise. 32 x 32 pixels of 3 channels take 15.5 thousand cycles. x0_previous stands in a memory of this unit, 49 bits an element (its
// magnitude is 2^47 at most).
//
// A flush lets elements under way end and begins no more. Error `field`: a head whose coefficients or exponent are out of range;
// nothing is written then.
//
// Cost: 24 DSPs, 2.5 block RAMs for the normal distribution and 24 for 4,096 pixels of x0_previous.
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

  localparam int unsigned Period = 5;  // cycles an element
  localparam int unsigned Ahead = 8;  // pixels read ahead
  localparam int unsigned Elements = 16;  // between their start and their last form
  localparam int unsigned Results = 8;  // between their last form and the memory
  localparam int unsigned ElementsCount = $clog2(Elements + 1);
  localparam int unsigned ResultsCount = $clog2(Results + 1);
  localparam int unsigned IndexWidth = $clog2(StateDepth);
  // lanes of x0_previous: 49 bits in whole units of a block RAM's write enable
  localparam int unsigned PreviousLane = 54;

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

  // ---- what an element is made of

  logic stream_idle, state_idle, previous_idle;
  logic stream_valid, state_valid, previous_valid, noise_valid;
  logic pixel_taken, noise_taken;
  logic [3:0][15:0] stream;
  logic [3:0][31:0] state;
  logic [3:0][PreviousLane-1:0] previous, previous_rdata;
  logic signed [27:0] normal;

  sample_reader #(
    .AddrWidth(AddrWidth),
    .DataWidth(64),
    .Depth(Ahead)
  ) u_stream (
    .clk_i,
    .rst_ni,
    .start_i(start),
    .first_i(desc_q.stream),
    .count_i(desc_q.pixels),
    .stop_i(stopping_q),
    .clear_i(clear),
    .idle_o(stream_idle),
    .req_o(stream_req_o),
    .addr_o(stream_addr_o),
    .gnt_i(stream_gnt_i),
    .rvalid_i(stream_rvalid_i),
    .rdata_i(stream_rdata_i[3:0]),
    .valid_o(stream_valid),
    .ready_i(pixel_taken),
    .data_o(stream)
  );

  sample_reader #(
    .AddrWidth(AddrWidth),
    .DataWidth(128),
    .Depth(Ahead)
  ) u_state (
    .clk_i,
    .rst_ni,
    .start_i(start),
    .first_i(desc_q.state),
    .count_i(desc_q.pixels),
    .stop_i(stopping_q),
    .clear_i(clear),
    .idle_o(state_idle),
    .req_o(state_req_o),
    .addr_o(state_addr_o),
    .gnt_i(state_gnt_i),
    .rvalid_i(state_rvalid_i),
    .rdata_i(state_rdata_i),
    .valid_o(state_valid),
    .ready_i(pixel_taken),
    .data_o(state)
  );

  logic previous_req, previous_we;
  logic [IndexWidth-1:0] previous_addr, previous_waddr_q;
  logic [1:0] previous_rvalid_q;
  logic [3:0] previous_wstrb;
  prediction_t x0;

  sample_reader #(
    .AddrWidth(IndexWidth),
    .DataWidth(4 * PreviousLane),
    .Depth(Ahead)
  ) u_previous (
    .clk_i,
    .rst_ni,
    .start_i(start),
    .first_i(desc_q.state[IndexWidth-1:0]),
    .count_i(desc_q.pixels),
    .stop_i(stopping_q),
    .clear_i(clear),
    .idle_o(previous_idle),
    .req_o(previous_req),
    .addr_o(previous_addr),
    .gnt_i(1'b1),
    .rvalid_i(previous_rvalid_q[1]),
    .rdata_i(previous_rdata),
    .valid_o(previous_valid),
    .ready_i(pixel_taken),
    .data_o(previous)
  );

  mem_1r1w #(
    .Width(4 * PreviousLane),
    .Depth(StateDepth),
    .Lanes(4),
    .ZeroInit(1'b1)
  ) u_previous_mem (
    .clk_i,
    .we_i(previous_we),
    .waddr_i(previous_waddr_q),
    .wdata_i({4{PreviousLane'(x0)}}),
    .wstrb_i(previous_wstrb),
    .re_i(previous_req),
    .raddr_i(previous_addr),
    .rdata_o(previous_rdata)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) previous_rvalid_q <= '0;
    else previous_rvalid_q <= {previous_rvalid_q[0], previous_req};
  end

  sample_noise u_noise (
    .clk_i,
    .rst_ni,
    .run_i(state_q == StateRun && desc_q.noise),
    .clear_i(clear),
    .seed_i(seed_q),
    .image_i(image_all_q),
    .purpose_i(purpose_q),
    .valid_o(noise_valid),
    .ready_i(noise_taken),
    .normal_o(normal)
  );

  // ---- an element begins: its values stay for Period cycles, the output shifted to Q24 in the first two

  logic [2:0] wait_q;  // cycles until the next may begin
  logic [1:0] channel_q;
  logic begins, last_channel;
  logic [ElementsCount-1:0] element_places_q;
  logic [31:0] s1_state_q, s2_state_q, s3_state_q;
  logic [15:0] s1_out_q;
  logic signed [22:0] s2_out_q;
  logic signed [55:0] s3_out_q;
  prediction_t s1_previous_q;
  logic signed [27:0] s1_noise_q;
  logic [6:0] phase_q;  // [s]: cycles since an element began, less one

  assign begins = stream_valid && state_valid && previous_valid && (noise_valid || !desc_q.noise)
      && wait_q == '0 && element_places_q != '0 && state_q == StateRun && !stopping_q;
  assign last_channel = channel_q == 2'(desc_q.channels - 3'd1);
  assign pixel_taken = begins && last_channel;
  assign noise_taken = begins && desc_q.noise;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear) begin
      wait_q <= '0;
      channel_q <= '0;
      phase_q <= '0;
    end else begin
      if (begins) wait_q <= 3'(Period - 1);
      else if (wait_q != '0) wait_q <= wait_q - 1'b1;
      if (begins) channel_q <= last_channel ? '0 : channel_q + 1'b1;
      phase_q <= {phase_q[5:0], begins};
    end
  end

  always_ff @(posedge clk_i) begin
    if (begins) begin
      s1_state_q <= state[channel_q];
      s1_out_q <= stream[channel_q];
      s1_previous_q <= first_step_q ? '0 : previous[channel_q][$bits(prediction_t)-1:0];
      s1_noise_q <= desc_q.noise ? normal : '0;
    end
    s2_out_q <= 23'(signed'(s1_out_q)) << form.shift[2:0];
    s2_state_q <= s1_state_q;
    s3_out_q <= 56'(s2_out_q) << {form.shift[5:3], 3'b0};
    s3_state_q <= s2_state_q;
  end

  // ---- x0 and eps, 4 terms in phases 3 to 6 (s3_out_q, s3_state_q hold)

  localparam int unsigned OutLimbs = 4;
  localparam int unsigned OutWidth = 17 * OutLimbs + 1;
  logic prediction_valid, prediction_first, prediction_last, prediction_done;
  coefficient_t prediction_coefficient;
  logic signed [OutWidth-1:0] prediction_value;
  logic signed [75:0] prediction_sum;

  assign prediction_valid = phase_q[5:2] != '0;
  assign prediction_first = phase_q[2] || phase_q[4];
  assign prediction_last = phase_q[3] || phase_q[5];
  assign prediction_value = prediction_first ? OutWidth'(signed'(s3_state_q)) : OutWidth'(s3_out_q);

  // one of the phases at most
  assign prediction_coefficient = (form.x0_state & {50{phase_q[2]}}) | (form.x0_stream & {50{phase_q[3]}})
      | (form.eps_state & {50{phase_q[4]}}) | (form.eps_stream & {50{phase_q[5]}});

  sample_form #(
    .ValueLimbs(OutLimbs)
  ) u_prediction (
    .clk_i,
    .rst_ni,
    .valid_i(prediction_valid),
    .first_i(prediction_first),
    .last_i(prediction_last),
    .coefficient_i(prediction_coefficient),
    .value_i(prediction_value),
    .valid_o(prediction_done),
    .result_o(prediction_sum)
  );

  // x0, then eps
  localparam logic [47:0] EpsLimit = 48'h8000_0000_0000;
  logic sum_is_eps_q, clamped_is_eps_q, clamped_valid;
  prediction_t clamped, x0_q;

  sample_clamp u_clamp (
    .clk_i,
    .rst_ni,
    .valid_i(prediction_done),
    .value_i(prediction_sum),
    .limit_i(sum_is_eps_q ? EpsLimit : form.clip),
    .minus_limit_i(sum_is_eps_q ? -{1'b0, EpsLimit} : form.minus_clip),
    .valid_o(clamped_valid),
    .value_o(clamped)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      sum_is_eps_q <= 1'b0;
      clamped_is_eps_q <= 1'b0;
    end else begin
      sum_is_eps_q <= sum_is_eps_q ^ prediction_done;
      clamped_is_eps_q <= clamped_is_eps_q ^ clamped_valid;
    end
  end

  always_ff @(posedge clk_i) begin
    if (clamped_valid && !clamped_is_eps_q) x0_q <= clamped;
  end

  // ---- elements whose predictions are ready; the next state, 5 terms

  localparam int unsigned ValueLimbs = 3;
  localparam int unsigned ValueWidth = 17 * ValueLimbs + 1;
  logic element_valid, element_ready, predicted_valid, predicted_ready, next_taken;
  logic [ElementsCount-1:0] element_count, predicted_count;
  logic [31:0] x;
  prediction_t x0_previous, eps;
  logic signed [27:0] noise;

  fifo #(
    .Width(32 + $bits(prediction_t) + 28),
    .Depth(Elements)
  ) u_elements (
    .clk_i,
    .rst_ni,
    .clear_i(clear),
    .in_valid_i(phase_q[0]),
    .in_ready_o(element_ready),
    .in_data_i({s1_state_q, s1_previous_q, s1_noise_q}),
    .out_valid_o(element_valid),
    .out_ready_i(next_taken),
    .out_data_o({x, x0_previous, noise}),
    .count_o(element_count)
  );

  fifo #(
    .Width(2 * $bits(prediction_t)),
    .Depth(Elements)
  ) u_predicted (
    .clk_i,
    .rst_ni,
    .clear_i(clear),
    .in_valid_i(clamped_valid && clamped_is_eps_q),
    .in_ready_o(predicted_ready),
    .in_data_i({x0_q, clamped}),
    .out_valid_o(predicted_valid),
    .out_ready_i(next_taken),
    .out_data_o({x0, eps}),
    .count_o(predicted_count)
  );

  logic [2:0] term_q;
  logic next_go, next_valid, next_done;
  logic [ResultsCount-1:0] result_places_q;
  coefficient_t next_coefficient;
  logic signed [ValueWidth-1:0] next_value;
  logic signed [75:0] next_sum;

  // a place is counted at the first term; nothing stops the others
  assign next_go = predicted_valid && element_valid && result_places_q != '0;
  assign next_valid = next_go || term_q != '0;
  assign next_taken = term_q == 3'd4;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) term_q <= '0;
    else if (next_valid) term_q <= next_taken ? '0 : term_q + 1'b1;
  end

  always_comb begin
    unique case (term_q)
      3'd0: begin
        next_coefficient = form.next_state;
        next_value = ValueWidth'(signed'(x));
      end
      3'd1: begin
        next_coefficient = form.next_x0;
        next_value = ValueWidth'(x0);
      end
      3'd2: begin
        next_coefficient = form.next_eps;
        next_value = ValueWidth'(eps);
      end
      3'd3: begin
        next_coefficient = form.next_previous;
        next_value = ValueWidth'(x0_previous);
      end
      default: begin
        next_coefficient = form.next_noise;
        next_value = ValueWidth'(noise);
      end
    endcase
  end

  sample_form #(
    .ValueLimbs(ValueLimbs)
  ) u_next (
    .clk_i,
    .rst_ni,
    .valid_i(next_valid),
    .first_i(term_q == '0),
    .last_i(next_taken),
    .coefficient_i(next_coefficient),
    .value_i(next_value),
    .valid_o(next_done),
    .result_o(next_sum)
  );

  // x0 of the element goes to the memory with its last term
  logic [1:0] previous_channel_q;

  assign previous_we = next_taken;
  assign previous_wstrb = 4'b0001 << previous_channel_q;

  always_ff @(posedge clk_i) begin
    if (start) begin
      previous_waddr_q <= desc_q.state[IndexWidth-1:0];
      previous_channel_q <= '0;
    end else if (next_taken) begin
      if (previous_channel_q == 2'(desc_q.channels - 3'd1)) begin
        previous_channel_q <= '0;
        previous_waddr_q <= previous_waddr_q + 1'b1;
      end else begin
        previous_channel_q <= previous_channel_q + 1'b1;
      end
    end
  end

  // ---- the state, saturated and written

  logic result_valid_q, result_ready, result_fits, written;
  logic [31:0] result_q, result;
  logic [ResultsCount-1:0] result_count;
  logic [AddrWidth-1:0] write_addr_q;
  logic [1:0] write_channel_q;
  logic [23:0] write_left_q;  // pixels

  assign result_fits = next_sum[75:31] == {45{next_sum[75]}};

  always_ff @(posedge clk_i) begin
    if (!rst_ni) result_valid_q <= 1'b0;
    else result_valid_q <= next_done;
    result_q <= result_fits ? next_sum[31:0] : {next_sum[75], {31{!next_sum[75]}}};
  end

  fifo #(
    .Width(32),
    .Depth(Results)
  ) u_results (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .in_valid_i(result_valid_q),
    .in_ready_o(result_ready),
    .in_data_i(result_q),
    .out_valid_o(state_we_o),
    .out_ready_i(state_wgnt_i),
    .out_data_o(result),
    .count_o(result_count)
  );

  assign state_waddr_o = write_addr_q;
  assign state_wstrb_o = 4'b0001 << write_channel_q;
  assign state_wdata_o = {4{result}};
  assign written = state_we_o && state_wgnt_i;

  always_ff @(posedge clk_i) begin
    if (start) begin
      write_addr_q <= desc_q.state;
      write_left_q <= desc_q.pixels;
      write_channel_q <= '0;
    end else if (written) begin
      if (write_channel_q == 2'(desc_q.channels - 3'd1)) begin
        write_channel_q <= '0;
        write_addr_q <= write_addr_q + 1'b1;
        write_left_q <= write_left_q - 1'b1;
      end else begin
        write_channel_q <= write_channel_q + 1'b1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      element_places_q <= ElementsCount'(Elements);
      result_places_q  <= ResultsCount'(Results);
    end else begin
      element_places_q <= element_places_q + ElementsCount'(next_taken) - ElementsCount'(begins);
      result_places_q  <= result_places_q + ResultsCount'(written) - ResultsCount'(next_valid && term_q == '0);
    end
  end

  // All is written; or nothing is on its way any more, and nothing will be.
  logic complete_q, empty_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || state_q != StateRun) begin
      complete_q <= 1'b0;
      empty_q <= 1'b0;
    end else begin
      complete_q <= write_left_q == '0;
      empty_q <= stopping_q && stream_idle && state_idle && previous_idle
          && element_places_q == ElementsCount'(Elements) && result_places_q == ResultsCount'(Results);
    end
  end
  assign settled = complete_q || empty_q;

  logic unused;
  assign unused = &{
    1'b0, phase_q[6], stream_rdata_i, element_ready, element_count, predicted_ready, predicted_count, result_ready, result_count,
    previous, desc_q.opcode, desc_q.waits, desc_q.chain, desc_q.first, desc_q.reserved_15, desc_q.wait_dma, desc_q.wait_norm,
    desc_q.wait_prep, desc_q.wait_array, desc_q.wait_sample, desc_q.tag, desc_q.reserved_152, desc_q.reserved_164,
    desc_q.reserved_216, desc_q.reserved_248, desc_q.reserved_280
  };

`ifndef SYNTHESIS
  initial assert (O >= 4)
  else $error("%m: a pixel of 4 channels has to fit in a stream word");
  assert property (@(posedge clk_i) disable iff (!rst_ni) phase_q[0] |-> element_ready)
  else $error("%m: no place for an element");
  assert property (@(posedge clk_i) disable iff (!rst_ni) result_valid_q |-> result_ready)
  else $error("%m: no place for a result");
  assert property (@(posedge clk_i) disable iff (!rst_ni) next_taken |-> predicted_valid && element_valid)
  else $error("%m: an element vanished");
`endif

endmodule
