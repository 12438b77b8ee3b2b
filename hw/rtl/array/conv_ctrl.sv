// The controller of `conv`: descriptors go through setup, taps, issue and drain, each stage at its own pace; two may be under way.
//
// A flush gives up what is under way: nothing more is requested, what is on its way arrives, then every stage is cleared and what was
// taken retires. Its results are undefined then.
//
// What the next one may do while the one before still drains: everything but read its residual. If the one before writes
// to the operand or weight memory (Q, K, V), the next one multiplies only when that has retired.

module conv_ctrl
  import diffuser_pkg::*;
  import diffuser_isa_pkg::*;
  import array_pkg::*;
#(
  parameter int unsigned P = 4,
  parameter int unsigned O = 8,
  parameter int unsigned I = 8
) (
  input logic clk_i,
  input logic rst_ni,

  input logic desc_valid_i,
  output logic desc_ready_o,
  input logic [DescriptorBits-1:0] desc_i,
  output logic done_o,
  output logic error_o,
  output error_e error_code_o,
  input logic flush_i,
  output logic idle_o,  // no descriptor is under way

  input logic [AddrWidth-1:0] chain_groups_i,

  // request to array_front
  output issue_t issue_o,
  output logic [AddrWidth-1:0] weight_addr_o,
  output logic read_o,
  output logic [P-1:0] bank_en_o,
  output logic [P-1:0][AddrWidth-1:0] row_o,
  output logic [P-1:0] load_o,
  output logic [P-1:0][$clog2(P)-1:0] bank_o,
  output logic [P-1:0] fill_o,
  output logic [7:0] fill_value_o,

  input logic acc_soon_i,
  input logic acc_valid_i,
  input logic [P-1:0][O-1:0][31:0] acc_i,

  output logic operand_we_o,
  output logic [AddrWidth-1:0] operand_waddr_o,
  output logic [P-1:0] operand_wstrb_o,
  output logic [P-1:0][I-1:0][7:0] operand_wdata_o,
  input logic operand_wgnt_i,

  output logic weight_we_o,
  output logic [AddrWidth-1:0] weight_waddr_o,
  output logic [O-1:0][I-1:0] weight_wstrb_o,
  output logic [O-1:0][I-1:0][7:0] weight_wdata_o,
  input logic weight_wgnt_i,

  output logic stream_req_o,
  output logic [AddrWidth-1:0] stream_addr_o,
  input logic stream_gnt_i,
  input logic stream_rvalid_i,
  input logic [O-1:0][15:0] stream_rdata_i,
  output logic stream_we_o,
  output logic [AddrWidth-1:0] stream_waddr_o,
  output logic [O-1:0] stream_wstrb_o,
  output logic [O-1:0][15:0] stream_wdata_o,
  input logic stream_wgnt_i,

  output logic param_req_o,
  output logic [EntryWidth-1:0] param_addr_o,
  input logic param_gnt_i,
  input logic param_rvalid_i,
  input logic [63:0] param_rdata_i,

  output logic sums_req_o,
  output logic [EntryWidth-1:0] sums_addr_o,
  input logic sums_gnt_i,
  input logic sums_rvalid_i,
  input sums_t sums_rdata_i,
  output logic sums_we_o,
  output logic [EntryWidth-1:0] sums_waddr_o,
  output sums_t sums_wdata_o,
  input logic sums_wgnt_i,

  output logic stall_operand_o,
  output logic stall_bank_o,
  output logic stall_store_o
);

  localparam int unsigned LaneWidth = $clog2(P);
  localparam int unsigned GroupWidth = 24 - LaneWidth;
  localparam int unsigned DrainGroups = 8;

  // ---- two places; descriptor n (modulo 4) is in place n mod 2 ----

  conv_cfg_t [1:0] cfg_q;
  conv_head_t [1:0] head_q;
  logic [1:0] head_valid_q;
  logic [1:0][P-1:0][LaneWidth-1:0] lane_row_q, lane_column_q;
  logic [1:0][LaneWidth:0] group_rows_q, group_columns_q;

  // numbers: set up so far; next for taps, issue, parameters; retired
  logic [1:0] ready_q, taps_q, issue_q, params_q, retired_q;

  // ---- giving up ----

  // longer than setup takes, and than a product takes to its accumulators
  localparam int unsigned StopCycles = 63;
  logic stop_q, stopping, stages_stop_q, quiet, clear, drain_done;
  // of taps and issue, of all else, of the drain's queues: one for all would have too many readers
  logic [4:0] clear_q;
  logic [1:0] stage_rst_n;
  logic [5:0] stop_count_q;
  logic [1:0] given_up_q;  // descriptors that retire without a result
  logic [2:0][6:0] awaited_q;  // reads granted and not answered: param, stream, sums
  logic [2:0] granted, answered, waiting;
  assign granted = {sums_req_o && sums_gnt_i, stream_req_o && stream_gnt_i, param_req_o && param_gnt_i};
  assign answered = {sums_rvalid_i, stream_rvalid_i, param_rvalid_i};
  assign waiting = {
    sums_req_o || sums_we_o, stream_req_o || stream_we_o, param_req_o || operand_we_o || weight_we_o
  };
  assign quiet = stop_count_q == 6'(StopCycles) && awaited_q == '0 && waiting == '0;
  assign stopping = stop_q || clear_q[0] || given_up_q != '0;
  assign stage_rst_n = {2{rst_ni}} & ~clear_q[1:0];
  assign clear = rst_ni && stop_q && quiet;
  copies #(
    .Copies(5)
  ) u_clear (
    .clk_i,
    .d_i(clear),
    .q_o(clear_q)
  );
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      stop_q <= 1'b0;
      given_up_q <= '0;
      awaited_q <= '0;
    end else begin
      if (flush_i && !idle_o && !stopping) stop_q <= 1'b1;
      else if (quiet) stop_q <= 1'b0;
      if (clear_q[0]) given_up_q <= ready_q - retired_q - 2'(drain_done);
      else if (given_up_q != '0) given_up_q <= given_up_q - 1'b1;
      for (int unsigned k = 0; k < 3; k++) awaited_q[k] <= awaited_q[k] + 7'(granted[k]) - 7'(answered[k]);
    end
    stages_stop_q <= stopping;
    if (!stop_q) stop_count_q <= '0;
    else if (stop_count_q != 6'(StopCycles)) stop_count_q <= stop_count_q + 1'b1;
  end

  // ---- taking one ----

  conv_desc_t desc;
  logic setup_busy, setup_valid, full, wrong_opcode, wrong_field, wrong_desc_q, take_good, take_wrong, chain_open_q, chain_done;
  assign desc = desc_i;
  assign wrong_opcode = desc.opcode != OpcodeConv;
  // what the ranges of single fields do not say
  assign wrong_field = !conv_desc_in_range(desc) || (desc.dest_kind != '0 && (desc.residual || desc.sums || desc.interleave))
      || (desc.add_sums && !desc.sums) || (desc.interleave && desc.residual)
      || (desc.dest_kind[1] && desc.head_blocks == '0);
  // found a cycle before: a descriptor that is offered stays until it is taken
  logic checked_q, wrong_opcode_q, none_q;  // none_q: no descriptor is under way
  always_ff @(posedge clk_i) begin
    none_q <= ready_q == retired_q && !setup_busy && !done_o;
    checked_q <= rst_ni && desc_valid_i && !desc_ready_o;
    wrong_opcode_q <= wrong_opcode;
    wrong_desc_q <= wrong_opcode || wrong_field;
  end
  assign full = (ready_q ^ retired_q) == 2'b10;
  // chain_groups_i is of the descriptor taken last
  assign desc_ready_o = checked_q && !setup_busy && !stopping && (wrong_desc_q ? none_q : !full && !chain_open_q);
  assign take_good = desc_valid_i && desc_ready_o && !wrong_desc_q;
  assign take_wrong = desc_valid_i && desc_ready_o && wrong_desc_q;

  logic wrong_q;
  error_e code_q;
  always_ff @(posedge clk_i) begin
    wrong_q <= rst_ni && take_wrong;
    code_q  <= wrong_opcode_q ? ErrorOpcode : ErrorField;
  end
  assign error_o = wrong_q;
  assign error_code_o = code_q;
  assign done_o = drain_done || wrong_q || given_up_q != '0;
  assign idle_o = !setup_busy && ready_q == retired_q && !wrong_q && !stopping;

  conv_cfg_t setup_cfg;
  logic [P-1:0][LaneWidth-1:0] setup_lane_row, setup_lane_column;
  logic [LaneWidth:0] setup_group_rows, setup_group_columns;
  conv_setup #(
    .P(P),
    .O(O),
    .I(I)
  ) u_setup (
    .clk_i,
    .rst_ni,
    .start_i(take_good),
    .desc_i(desc),
    .busy_o(setup_busy),
    .valid_o(setup_valid),
    .cfg_o(setup_cfg),
    .lane_row_o(setup_lane_row),
    .lane_column_o(setup_lane_column),
    .group_rows_o(setup_group_rows),
    .group_columns_o(setup_group_columns)
  );

  logic taps_done, issue_done, params_done, head_valid;
  conv_head_t head;
  // what the stages look at of their descriptor
  localparam int unsigned TapsWidth = $bits(conv_cfg_t) + 2 * P * LaneWidth + 2 * (LaneWidth + 1);
  logic [1:0] taps_next, issue_next;
  logic [1:0][TapsWidth-1:0] taps_places;
  conv_cfg_t taps_cfg, issue_cfg;
  logic [P-1:0][LaneWidth-1:0] taps_lane_row, taps_lane_column;
  logic [LaneWidth:0] taps_group_rows, taps_group_columns;
  assign taps_next = stage_rst_n[0] ? taps_q + 2'(taps_done) : '0;
  assign issue_next = stage_rst_n[0] ? issue_q + 2'(issue_done) : '0;
  for (genvar n = 0; n < 2; n++) begin : gen_taps_place
    assign taps_places[n] = {cfg_q[n], lane_row_q[n], lane_column_q[n], group_rows_q[n], group_columns_q[n]};
  end
  conv_pick #(
    .Width(TapsWidth)
  ) u_taps_place (
    .clk_i,
    .next_i(taps_next[0]),
    .word_i(taps_places),
    .word_o({taps_cfg, taps_lane_row, taps_lane_column, taps_group_rows, taps_group_columns})
  );
  conv_pick #(
    .Width($bits(conv_cfg_t))
  ) u_issue_place (
    .clk_i,
    .next_i(issue_next[0]),
    .word_i(cfg_q),
    .word_o(issue_cfg)
  );

  always_ff @(posedge clk_i) begin
    if (setup_valid) begin
      cfg_q[ready_q[0]] <= setup_cfg;
      lane_row_q[ready_q[0]] <= setup_lane_row;
      lane_column_q[ready_q[0]] <= setup_lane_column;
      group_rows_q[ready_q[0]] <= setup_group_rows;
      group_columns_q[ready_q[0]] <= setup_group_columns;
      head_valid_q[ready_q[0]] <= 1'b0;
    end
    if (head_valid) begin
      head_q[params_q[0]] <= head;
      head_valid_q[params_q[0]] <= 1'b1;
    end
    ready_q   <= stage_rst_n[1] ? ready_q + 2'(setup_valid) : '0;
    taps_q    <= taps_next;
    issue_q   <= issue_next;
    params_q  <= stage_rst_n[1] ? params_q + 2'(params_done) : '0;
    retired_q <= stage_rst_n[1] ? retired_q + 2'(drain_done) : '0;
    if (!stage_rst_n[0]) chain_open_q <= 1'b0;
    else if (take_good) chain_open_q <= desc.chain;
    else if (chain_done) chain_open_q <= 1'b0;
  end

  // ---- taps and issue ----

  logic tap_valid, tap_ready;
  tap_flags_t flags;
  logic [P-1:0] served, rest;
  logic single;
  logic [P-1:0][LaneWidth-1:0] bank;
  logic [P-1:0][GroupWidth-1:0] group;
  logic [P-1:0][P-1:0] conflict;
  logic [GroupWidth-1:0] last_group;
  conv_taps #(
    .P(P)
  ) u_taps (
    .clk_i,
    .rst_ni(stage_rst_n[0]),
    .valid_i(taps_q != ready_q),
    .done_o(taps_done),
    .cfg_i(taps_cfg),
    .lane_row_i(taps_lane_row),
    .lane_column_i(taps_lane_column),
    .group_rows_i(taps_group_rows),
    .group_columns_i(taps_group_columns),
    .tap_valid_o(tap_valid),
    .tap_ready_i(tap_ready),
    .flags_o(flags),
    .served_o(served),
    .rest_o(rest),
    .single_o(single),
    .bank_o(bank),
    .group_o(group),
    .conflict_o(conflict),
    .last_group_o(last_group)
  );

  logic start, group_freed;
  assign start = head_valid_q[issue_q[0]] && (issue_q == retired_q || cfg_q[!issue_q[0]].dest_kind == '0);
  conv_issue #(
    .P(P),
    .DrainGroups(DrainGroups)
  ) u_issue (
    .clk_i,
    .rst_ni(stage_rst_n[0]),
    .start_i(start),
    .cfg_i(issue_cfg),
    .zero_point_i(head_q[issue_q[0]].zero_point),
    .done_o(issue_done),
    .chain_done_o(chain_done),
    .chain_groups_i,
    .stop_i(stages_stop_q),
    .group_freed_i(group_freed),
    .tap_valid_i(tap_valid),
    .tap_ready_o(tap_ready),
    .flags_i(flags),
    .served_i(served),
    .rest_i(rest),
    .single_i(single),
    .bank_i(bank),
    .group_i(group),
    .conflict_i(conflict),
    .last_group_i(last_group),
    .issue_o,
    .weight_addr_o,
    .read_o,
    .bank_en_o,
    .row_o,
    .load_o,
    .bank_o,
    .fill_o,
    .fill_value_o,
    .stall_operand_o,
    .stall_bank_o,
    .stall_store_o
  );

  // ---- parameters and drain ----

  channel_t [1:0][O-1:0] channel;
  logic [1:0] channel_full, channel_free;
  conv_params #(
    .O(O)
  ) u_params (
    .clk_i,
    .rst_ni(stage_rst_n[1]),
    .stop_i(stages_stop_q),
    .valid_i(params_q != ready_q),
    .done_o(params_done),
    .param_i(cfg_q[params_q[0]].param),
    .tiles_i(cfg_q[params_q[0]].tiles),
    .param_req_o,
    .param_addr_o,
    .param_gnt_i,
    .param_rvalid_i,
    .param_rdata_i,
    .head_valid_o(head_valid),
    .head_o(head),
    .channel_o(channel),
    .full_o(channel_full),
    .free_i(channel_free)
  );

  conv_drain #(
    .P(P),
    .O(O),
    .I(I),
    .Groups(DrainGroups)
  ) u_drain (
    .clk_i,
    .rst_ni(stage_rst_n[1]),
    .unit_rst_ni(rst_ni),
    .clear_i(clear_q[4:2]),
    .stop_i(stages_stop_q),
    .cfg_i(cfg_q),
    .head_i(head_q),
    .ready_i(ready_q),
    .retired_i(retired_q),
    .done_o(drain_done),
    .acc_soon_i,
    .acc_valid_i,
    .acc_i,
    .group_freed_o(group_freed),
    .channel_i(channel),
    .channel_full_i(channel_full),
    .channel_free_o(channel_free),
    .operand_we_o,
    .operand_waddr_o,
    .operand_wstrb_o,
    .operand_wdata_o,
    .operand_wgnt_i,
    .weight_we_o,
    .weight_waddr_o,
    .weight_wstrb_o,
    .weight_wdata_o,
    .weight_wgnt_i,
    .stream_req_o,
    .stream_addr_o,
    .stream_gnt_i,
    .stream_rvalid_i,
    .stream_rdata_i,
    .stream_we_o,
    .stream_waddr_o,
    .stream_wstrb_o,
    .stream_wdata_o,
    .stream_wgnt_i,
    .sums_req_o,
    .sums_addr_o,
    .sums_gnt_i,
    .sums_rvalid_i,
    .sums_rdata_i,
    .sums_we_o,
    .sums_waddr_o,
    .sums_wdata_o,
    .sums_wgnt_i
  );

endmodule
