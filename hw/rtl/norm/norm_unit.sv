// `norm` of docs/isa.md: from channel sums to one affine map a channel, for a range of groups.
//
// norm_sums reads and adds a channel a cycle, norm_group makes factors of a group (one each 14 cycles at most), norm_channel
// maps of its channels, one a cycle; all three at once, on different groups. A norm of G groups of C channels takes
// about G * max(C, 14) + 170 cycles where the memories are free.
//
// A flush lets what is under way end and begins nothing more: about 150 cycles. Error `field`: a head with an exponent or a gap outside its range,
// a range of groups that goes past the norm's channels (nothing is written then), sums that cannot be those of `count` values.
//
// Cost (Yosys, synth_xilinx -family xcup): 17 DSPs, about 3,800 LUTs, 7,100 registers, no block RAM.
module norm_unit
  import norm_pkg::*;
  import diffuser_pkg::*;
  import diffuser_isa_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic         desc_valid_i,
  output logic         desc_ready_o,
  input  logic [511:0] desc_i,
  output logic         done_o,
  output logic         error_o,
  output error_e       error_code_o,
  input  logic         flush_i,

  output logic                  param_req_o,
  output logic [EntryWidth-1:0] param_addr_o,
  input  logic                  param_gnt_i,
  input  logic                  param_rvalid_i,
  input  logic [          63:0] param_rdata_i,

  output logic                  sums_req_o,
  output logic [EntryWidth-1:0] sums_addr_o,
  input  logic                  sums_gnt_i,
  input  logic                  sums_rvalid_i,
  input  sums_t                 sums_rdata_i,

  output logic                  affine_we_o,
  output logic [EntryWidth-1:0] affine_waddr_o,
  output affine_t               affine_wdata_o,
  input  logic                  affine_wgnt_i
);

  localparam int unsigned ParamDepth = 16;  // channels read ahead
  localparam int unsigned SumsDepth = 4;  // groups summed ahead
  localparam int unsigned FactorsDepth = 16;  // groups from their sums to their channels
  localparam int unsigned MapsDepth = 32;  // channels from their factors to the memory
  localparam int unsigned Spacing = 14;  // of groups in norm_group

  typedef enum logic [2:0] {
    StateIdle,
    StateSetup,  // the range's products, the head
    StateStart,  // for one cycle
    StateRun,
    StateDone
  } state_e;

  state_e state_q;
  norm_desc_t desc_q;
  logic take, start_soon, head_ready, wrong_q, group_wrong, settled, stopping_q, error_q;
  logic failed_q;  // a group was wrong: its error is told once

  assign desc_ready_o = state_q == StateIdle;
  assign take = desc_valid_i && desc_ready_o;
  // the end of StateSetup, where nothing speaks against it
  assign start_soon = state_q == StateSetup && head_ready && !wrong_q && !stopping_q;
  assign done_o = state_q == StateDone;
  assign error_o = error_q;
  assign error_code_o = ErrorField;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= StateIdle;
      stopping_q <= 1'b0;
      error_q <= 1'b0;
    end else begin
      error_q <= 1'b0;
      if (flush_i || group_wrong) stopping_q <= 1'b1;
      unique case (state_q)
        StateIdle: begin
          stopping_q <= flush_i;
          if (take) state_q <= StateSetup;
        end
        StateSetup: begin
          if (start_soon) begin
            state_q <= StateStart;
          end else if (head_ready) begin
            state_q <= StateDone;
            error_q <= wrong_q;
          end
        end
        StateStart: state_q <= StateRun;
        StateRun: begin
          error_q <= group_wrong && !failed_q;
          if (settled) state_q <= StateDone;
        end
        StateDone: state_q <= StateIdle;
        default: state_q <= StateIdle;
      endcase
    end
  end

  // StateStart, once for each part that begins then
  logic [1:0] start;
  logic [2:0] sums_start, prepare_start;
  copies #(
    .Copies(8)
  ) u_start (
    .clk_i,
    .d_i(start_soon),
    .q_o({start, sums_start, prepare_start})
  );

  always_ff @(posedge clk_i) begin
    if (state_q != StateRun) failed_q <= 1'b0;
    else if (group_wrong) failed_q <= 1'b1;
  end

  // ---- the range's first channel and its number of channels, by one multiplier

  logic [5:0] setup_q;
  logic [15:0] factor_q, channels_q;
  logic [31:0] product_q;
  logic [16:0] total_q, left_in_a_q;
  logic [EntryWidth-1:0] param_first_q, affine_first_q, sums_first_q;
  logic [16:0] behind_a, channels_all_q, first_q;
  logic [17:0] end_q;
  logic in_a, far_q, range_wrong_q;

  assign behind_a = product_q[16:0] - 17'(desc_q.channels_a);
  assign in_a = product_q[16:0] < 17'(desc_q.channels_a);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) setup_q <= '0;
    else setup_q <= {setup_q[4:0], take};
  end

  always_ff @(posedge clk_i) begin
    if (take) desc_q <= desc_i;
    factor_q <= setup_q[0] ? desc_q.first_group : desc_q.groups;
    channels_q <= desc_q.group_channels;
    product_q <= factor_q * channels_q;
    channels_all_q <= 17'(desc_q.channels_a) + 17'(desc_q.channels_b);
    if (setup_q[2]) begin
      first_q <= product_q[16:0];
      far_q <= product_q[31:17] != '0;
      left_in_a_q <= in_a ? -behind_a : '0;
      sums_first_q <= in_a ? desc_q.sums_a + product_q[15:0] : desc_q.sums_b + behind_a[15:0];
      param_first_q <= desc_q.param + product_q[15:0] + 16'd2;
      affine_first_q <= desc_q.affine + product_q[15:0];
    end
    if (setup_q[3]) begin
      total_q <= product_q[16:0];
      end_q   <= {1'b0, product_q[16:0]} + {1'b0, first_q};
      far_q   <= far_q || product_q[31:17] != '0 || product_q == '0;
    end
    if (setup_q[4]) range_wrong_q <= far_q || end_q > {1'b0, channels_all_q};
  end

  // ---- parameters: the head in StateSetup, channel after channel in StateRun

  localparam int unsigned ParamCount = $clog2(ParamDepth + 1);
  logic [EntryWidth-1:0] param_addr_q;
  logic [16:0] param_left_q;
  logic [ParamCount-1:0] param_places_q;
  logic [5:0] param_owed_q;  // reads under way; no memory takes 63 cycles
  logic [1:0] head_left_q, head_got_q;
  norm_head_t head_q;
  logic [1:0] head_late_q;  // the head is there, and checked
  logic param_granted, channel_valid, channel_taken, head_wrong;
  norm_channel_t channel;

  assign param_req_o = head_left_q != '0 || (param_left_q != '0 && param_places_q != '0);
  assign param_addr_o = param_addr_q;
  assign param_granted = param_req_o && param_gnt_i;
  assign head_ready = head_late_q[1];
  assign head_wrong = head_q.exponent < -8'sd16 || head_q.exponent > 8'sd24
      || head_q.gap_a > 8'd7 || head_q.gap_b > 8'd7 || head_q.reserved_88 != '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      head_left_q <= '0;
      head_got_q <= '0;
      head_late_q <= '0;
      wrong_q <= 1'b0;
      param_left_q <= '0;
      param_places_q <= ParamCount'(ParamDepth);
      param_owed_q <= '0;
    end else begin
      // so late that the range is known when the head is
      if (setup_q[5]) head_left_q <= 2'd2;
      else if (head_left_q != '0 && param_granted) head_left_q <= head_left_q - 1'b1;
      head_late_q <= take ? '0 : {head_late_q[0], head_got_q == 2'd2};
      wrong_q <= range_wrong_q || head_wrong;
      if (take) head_got_q <= '0;
      else if (state_q == StateSetup && param_rvalid_i) head_got_q <= head_got_q + 1'b1;

      if (start[0]) param_left_q <= total_q;
      else if (stopping_q && (param_granted || !param_req_o)) param_left_q <= '0;
      else if (param_granted && state_q == StateRun) param_left_q <= param_left_q - 1'b1;

      if (take) param_places_q <= ParamCount'(ParamDepth);
      else if (state_q == StateRun) begin
        param_places_q <= param_places_q + ParamCount'(channel_taken) - ParamCount'(param_granted);
      end
      param_owed_q <= param_owed_q + 6'(param_granted) - 6'(param_rvalid_i);
    end
  end

  always_ff @(posedge clk_i) begin
    if (setup_q[0]) param_addr_q <= desc_q.param;
    else if (start[0]) param_addr_q <= param_first_q;
    else if (param_granted) param_addr_q <= param_addr_q + 1'b1;
    if (state_q == StateSetup && param_rvalid_i) begin
      if (head_got_q == '0) head_q[63:0] <= param_rdata_i;
      else head_q[127:64] <= param_rdata_i;
    end
  end

  logic channel_ready;
  logic [ParamCount-1:0] channel_count;

  fifo #(
    .Width(64),
    .Depth(ParamDepth)
  ) u_channels (
    .clk_i,
    .rst_ni,
    .clear_i(done_o),
    .in_valid_i(param_rvalid_i && state_q == StateRun),
    .in_ready_o(channel_ready),
    .in_data_i(param_rdata_i),
    .out_valid_o(channel_valid),
    .out_ready_i(channel_taken),
    .out_data_o(channel),
    .count_o(channel_count)
  );

  // ---- sums of groups

  logic sums_idle, sums_valid, group_start;
  logic [SumWidth-1:0] sum;
  logic [SquaresWidth-1:0] squares;

  norm_sums #(
    .Depth(SumsDepth)
  ) u_sums (
    .clk_i,
    .rst_ni,
    .start_i(sums_start),
    .first_i(sums_first_q),
    .left_in_a_i(left_in_a_q),
    .groups_i(desc_q.groups),
    .group_channels_i(desc_q.group_channels),
    .second_i(desc_q.sums_b),
    .gap_a_i(head_q.gap_a[2:0]),
    .gap_b_i(head_q.gap_b[2:0]),
    .stop_i(stopping_q),
    .clear_i(done_o),
    .idle_o(sums_idle),
    .req_o(sums_req_o),
    .addr_o(sums_addr_o),
    .gnt_i(sums_gnt_i),
    .rvalid_i(sums_rvalid_i),
    .rdata_i(sums_rdata_i),
    .valid_o(sums_valid),
    .ready_i(group_start),
    .sum_o(sum),
    .squares_o(squares)
  );

  // ---- factors of groups

  localparam int unsigned FactorsCount = $clog2(FactorsDepth + 1);
  logic prepared;
  logic [23:0] count_normal;
  logic [4:0] count_zeros;
  logic [DWidth-1:0] eps_term;
  logic [3:0] wait_q;  // cycles until norm_group takes the next group
  logic [FactorsCount-1:0] factors_places_q, factors_owed_q;
  logic factors_new_valid, factors_valid, factors_taken;
  factors_t factors_new, factors;

  norm_prepare u_prepare (
    .clk_i,
    .rst_ni,
    .valid_i(prepare_start),
    .eps_i(head_q.eps),
    .exponent_i(head_q.exponent),
    .count_i(desc_q.count),
    .ready_o(prepared),
    .count_normal_o(count_normal),
    .count_zeros_o(count_zeros),
    .eps_term_o(eps_term)
  );

  // `prepared` may still speak of the norm before in the cycle of `start`, when there are no sums yet
  assign group_start = sums_valid && prepared && wait_q == '0 && factors_places_q != '0 && !stopping_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      wait_q <= '0;
      factors_places_q <= FactorsCount'(FactorsDepth);
      factors_owed_q <= '0;
    end else begin
      if (group_start) wait_q <= 4'(Spacing - 1);
      else if (wait_q != '0) wait_q <= wait_q - 1'b1;
      if (done_o) factors_places_q <= FactorsCount'(FactorsDepth);
      else factors_places_q <= factors_places_q + FactorsCount'(factors_taken) - FactorsCount'(group_start);
      factors_owed_q <= factors_owed_q + FactorsCount'(group_start) - FactorsCount'(factors_new_valid);
    end
  end

  norm_group u_group (
    .clk_i,
    .rst_ni,
    .count_i(desc_q.count),
    .count_normal_i(count_normal),
    .count_zeros_i(count_zeros),
    .eps_term_i(eps_term),
    .valid_i(group_start),
    .sum_i(sum),
    .squares_i(squares),
    .wrong_o(group_wrong),
    .valid_o(factors_new_valid),
    .factors_o(factors_new)
  );

  logic factors_ready;
  logic [FactorsCount-1:0] factors_count;

  fifo #(
    .Width($bits(factors_t)),
    .Depth(FactorsDepth)
  ) u_factors (
    .clk_i,
    .rst_ni,
    .clear_i(done_o),
    .in_valid_i(factors_new_valid),
    .in_ready_o(factors_ready),
    .in_data_i(factors_new),
    .out_valid_o(factors_valid),
    .out_ready_i(factors_taken),
    .out_data_o(factors),
    .count_o(factors_count)
  );

  // ---- maps of channels

  localparam int unsigned MapsCount = $clog2(MapsDepth + 1);
  logic [15:0] group_left_q;  // channels of the group
  logic [16:0] in_a_left_q;
  logic [MapsCount-1:0] maps_places_q;
  logic map_valid, written;
  affine_t map;

  assign channel_taken = channel_valid && factors_valid && maps_places_q != '0 && !stopping_q;
  assign factors_taken = channel_taken && group_left_q == 16'd1;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) maps_places_q <= MapsCount'(MapsDepth);
    else maps_places_q <= maps_places_q + MapsCount'(written) - MapsCount'(channel_taken);
  end

  always_ff @(posedge clk_i) begin
    if (start[1]) group_left_q <= desc_q.group_channels;
    else if (channel_taken) group_left_q <= factors_taken ? desc_q.group_channels : group_left_q - 1'b1;
    if (start[0]) in_a_left_q <= left_in_a_q;
    else if (channel_taken && in_a_left_q != '0) in_a_left_q <= in_a_left_q - 1'b1;
  end

  norm_channel u_channel (
    .clk_i,
    .rst_ni,
    .valid_i(channel_taken),
    .gamma_i(channel.gamma),
    .beta_i(channel.beta),
    .gap_i(in_a_left_q != '0 ? head_q.gap_a[2:0] : head_q.gap_b[2:0]),
    .factors_i(factors),
    .valid_o(map_valid),
    .affine_o(map)
  );

  // ---- writes

  logic maps_ready;
  logic [MapsCount-1:0] maps_count;
  logic [EntryWidth-1:0] affine_addr_q;
  logic [16:0] write_left_q;

  fifo #(
    .Width($bits(affine_t)),
    .Depth(MapsDepth)
  ) u_maps (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .in_valid_i(map_valid),
    .in_ready_o(maps_ready),
    .in_data_i(map),
    .out_valid_o(affine_we_o),
    .out_ready_i(affine_wgnt_i),
    .out_data_o(affine_wdata_o),
    .count_o(maps_count)
  );

  assign affine_waddr_o = affine_addr_q;
  assign written = affine_we_o && affine_wgnt_i;

  always_ff @(posedge clk_i) begin
    if (start[1]) begin
      affine_addr_q <= affine_first_q;
      write_left_q  <= total_q;
    end else if (written) begin
      affine_addr_q <= affine_addr_q + 1'b1;
      write_left_q  <= write_left_q - 1'b1;
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
      // norm_prepare has to end too before it can begin again
      empty_q <= stopping_q && prepared && param_left_q == '0 && param_owed_q == '0 && sums_idle && factors_owed_q == '0
          && maps_places_q == MapsCount'(MapsDepth);
    end
  end
  assign settled = complete_q || empty_q;

  logic unused;
  assign unused = &{
    1'b0, channel_ready, channel_count,
    factors_ready, factors_count, maps_ready, maps_count, desc_q.opcode, desc_q.waits, desc_q.chain, desc_q.first,
    desc_q.reserved_15, desc_q.wait_dma, desc_q.wait_norm, desc_q.wait_prep, desc_q.wait_array, desc_q.wait_sample, desc_q.tag,
    desc_q.reserved_272, desc_q.reserved_312
  };

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) param_rvalid_i && state_q == StateRun |-> channel_ready)
  else $error("%m: no place for a channel's parameters");
  assert property (@(posedge clk_i) disable iff (!rst_ni) factors_new_valid |-> factors_ready)
  else $error("%m: no place for a group's factors");
  assert property (@(posedge clk_i) disable iff (!rst_ni) map_valid |-> maps_ready)
  else $error("%m: no place for a channel's map");
`endif

endmodule
