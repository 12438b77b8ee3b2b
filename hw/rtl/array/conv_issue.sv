// The innermost loop of a `conv`: goes over the blocks of a tap, and over the cycles that a block's operands take where lanes read one
// bank in different rows; requests rows and weights of array_front. One request a cycle, without a gap between taps, groups and tiles.
//
// It waits for a chained `prep`, and with the last product of a group for the drain: room for a group, and P cycles since the last one
// before, in which those accumulators leave.

module conv_issue
  import diffuser_pkg::*;
  import array_pkg::*;
#(
  parameter int unsigned P = 4,
  parameter int unsigned DrainGroups = 8,  // groups that the drain holds
  localparam int unsigned LaneWidth = $clog2(P),
  localparam int unsigned GroupWidth = 24 - LaneWidth
) (
  input logic clk_i,
  input logic rst_ni,

  // the descriptor whose taps come next
  input logic start_i,  // it may begin, once it has a tap
  // verilator lint_off UNUSEDSIGNAL
  input conv_cfg_t cfg_i,  // each stage uses a part
  // verilator lint_on UNUSEDSIGNAL
  input logic [7:0] zero_point_i,
  output logic done_o,  // pulse: all is requested
  output logic chain_done_o,  // pulse: nothing more of a chained descriptor has to wait

  input logic [AddrWidth-1:0] chain_groups_i,
  input logic stop_i,  // issue nothing more
  input logic group_freed_i,  // the drain has emptied a group

  input logic tap_valid_i,
  output logic tap_ready_o,
  input tap_flags_t flags_i,
  input logic [P-1:0] served_i,
  input logic [P-1:0] rest_i,
  input logic single_i,
  input logic [P-1:0][LaneWidth-1:0] bank_i,
  input logic [P-1:0][GroupWidth-1:0] group_i,
  input logic [P-1:0][P-1:0] conflict_i,
  input logic [GroupWidth-1:0] last_group_i,

  // request to array_front
  output issue_t issue_o,
  output logic [AddrWidth-1:0] weight_addr_o,
  output logic read_o,
  output logic [P-1:0] bank_en_o,
  output logic [P-1:0][AddrWidth-1:0] row_o,
  output logic [P-1:0] load_o,
  output logic [P-1:0][LaneWidth-1:0] bank_o,
  output logic [P-1:0] fill_o,
  output logic [7:0] fill_value_o,

  output logic stall_operand_o,
  output logic stall_bank_o,
  output logic stall_store_o
);

  // ---- the present tap ----

  typedef struct packed {
    tap_flags_t flags;
    logic [P-1:0] served;  // in the first cycle of a block
    logic [P-1:0] rest;
    logic single;
    logic [P-1:0][LaneWidth-1:0] bank;
    logic [P-1:0][GroupWidth-1:0] group;
    logic [P-1:0][P-1:0] conflict;
  } tap_t;
  tap_t tap_q;
  logic valid_q, chain_ok_q;
  logic [GroupWidth-1:0] last_group_q;
  logic finish;  // the last request of the tap

  assign tap_ready_o = !valid_q || finish;
  always_ff @(posedge clk_i) begin
    // compared one cycle ahead with what chain_groups_i was then: progress only grows while a descriptor looks at it
    if (tap_ready_o) chain_ok_q <= AddrWidth'(last_group_i) < chain_groups_i;
    else chain_ok_q <= AddrWidth'(last_group_q) < chain_groups_i;
    if (tap_ready_o) begin
      tap_q <= '{flags_i, served_i, rest_i, single_i, bank_i, group_i, conflict_i};
      last_group_q <= last_group_i;
      valid_q <= tap_valid_i;
    end
    if (!rst_ni) valid_q <= 1'b0;
  end

  // ---- its descriptor ----

  logic run_q, begin_desc;
  logic [AddrWidth-1:0] operand_q, block_rows_q;
  logic [15:0] last_block_index_q;  // blocks - 1
  logic one_block_q, one_tap_q, chain_q;
  logic [7:0] fill_value_q;
  assign begin_desc = !run_q && valid_q && start_i;

  // ---- what it waits for ----

  logic [$clog2(DrainGroups+1)-1:0] free_q;
  logic [LaneWidth-1:0] gap_q;  // cycles until the accumulators before have left
  logic some_free_q, gap_open_q;  // free_q != 0, gap_q == 0
  logic ends_group, chain_wait, store_wait, go;
  logic [15:0] left_q;  // blocks after this one
  logic last_block_q;

  assign ends_group = tap_q.flags.group_end && last_block_q;
  assign chain_wait = chain_q && tap_q.flags.tile0 && !chain_ok_q;
  assign store_wait = ends_group && !(some_free_q && gap_open_q);
  assign go = run_q && valid_q && !chain_wait && !store_wait && !stop_i;

  // ---- lanes that this cycle reads: those whose bank no earlier lane wants in another row; found a cycle ahead ----

  logic [P-1:0] served_q, rest_q, served_next;
  logic last_pass_q;
  always_comb begin
    for (int unsigned j = 0; j < P; j++) served_next[j] = rest_q[j] && (tap_q.conflict[j] & rest_q) == '0;
  end
  always_ff @(posedge clk_i) begin
    if (tap_ready_o) begin
      served_q <= served_i;
      rest_q <= rest_i;
      last_pass_q <= single_i;
    end else if (go) begin
      served_q <= last_pass_q ? tap_q.served : served_next;
      rest_q <= last_pass_q ? tap_q.rest : rest_q & ~served_next;
      last_pass_q <= last_pass_q ? tap_q.single : (rest_q & ~served_next) == '0;
    end
  end
  assign finish = go && last_pass_q && last_block_q;
  assign done_o = finish && tap_q.flags.desc_end;
  assign chain_done_o = finish && chain_q && (tap_q.flags.tile0 && tap_q.flags.tile_end);

  // ---- addresses ----

  logic [AddrWidth-1:0] offset_q, offset_next, plane1_q;  // of the block's first row
  logic [AddrWidth-1:0] weight_q, tile_weight_q;
  logic plane_q;  // in the second plane
  assign offset_next = offset_q + block_rows_q;

  always_ff @(posedge clk_i) begin
    if (begin_desc) begin
      run_q <= 1'b1;
      operand_q <= cfg_i.operand;
      block_rows_q <= cfg_i.block_rows;
      last_block_index_q <= cfg_i.blocks - 1'b1;
      one_block_q <= cfg_i.blocks == 16'd1;
      one_tap_q <= cfg_i.kernel_last == '0;
      chain_q <= cfg_i.chain;
      fill_value_q <= cfg_i.planes ? '0 : zero_point_i;
      offset_q <= cfg_i.operand;
      weight_q <= cfg_i.weights;
      tile_weight_q <= cfg_i.weights;
      left_q <= cfg_i.blocks - 1'b1;
      last_block_q <= cfg_i.blocks == 16'd1;
    end else if (go) begin
      if (last_pass_q) begin
        weight_q <= weight_q + 1'b1;
        if (!last_block_q) begin
          left_q <= left_q - 1'b1;
          last_block_q <= left_q == 16'd1;
          offset_q <= offset_next;
        end else begin
          left_q <= last_block_index_q;
          last_block_q <= one_block_q;
          // the second plane begins behind the first one's last block
          if (tap_q.flags.first) plane1_q <= offset_next;
          if (tap_q.flags.plane_end) offset_q <= one_tap_q ? offset_next : plane1_q;
          else if (tap_q.flags.group_end || !plane_q) offset_q <= operand_q;
          else offset_q <= plane1_q;
          // both planes and all groups of a tile have the same weights
          if (tap_q.flags.tile_end) tile_weight_q <= weight_q + 1'b1;
          else if (tap_q.flags.group_end || tap_q.flags.plane_end) weight_q <= tile_weight_q;
          if (tap_q.flags.desc_end) run_q <= 1'b0;
        end
      end
    end
    if (!rst_ni) run_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (begin_desc) plane_q <= 1'b0;
    else if (finish) plane_q <= tap_q.flags.plane_end || (plane_q && !tap_q.flags.group_end);
  end

  logic group_issued;
  assign group_issued = finish && tap_q.flags.group_end;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      free_q <= ($clog2(DrainGroups + 1))'(DrainGroups);
      some_free_q <= 1'b1;
      gap_q <= '0;
      gap_open_q <= 1'b1;
    end else begin
      if (group_issued && !group_freed_i) begin
        free_q <= free_q - 1'b1;
        some_free_q <= free_q != 1;
      end else if (group_freed_i && !group_issued) begin
        free_q <= free_q + 1'b1;
        some_free_q <= 1'b1;
      end
      if (group_issued) begin
        gap_q <= LaneWidth'(P - 1);
        gap_open_q <= 1'b0;
      end else if (!gap_open_q) begin
        gap_q <= gap_q - 1'b1;
        gap_open_q <= gap_q == LaneWidth'(1);
      end
    end
  end

  assign stall_operand_o = run_q && valid_q && chain_wait;
  assign stall_store_o = run_q && valid_q && !chain_wait && store_wait;
  assign stall_bank_o = go && !last_pass_q;

  // ---- stage 1: group of each bank; stage 2: row ----

  typedef struct packed {
    issue_t issue;
    logic [AddrWidth-1:0] weight;
    logic read;
    logic [P-1:0] served;
    logic [P-1:0] fill;
    logic [P-1:0][LaneWidth-1:0] bank;
    logic [7:0] fill_value;
  } request_t;
  request_t request1_q, request2_q, request3_q;
  logic [AddrWidth-1:0] offset1_q, offset2_q;
  logic [P-1:0][GroupWidth-1:0] group1_q, bank_group2_q;
  logic [P-1:0] bank_en2_q, bank_en3_q;
  logic [P-1:0][AddrWidth-1:0] row3_q;

  logic [P-1:0] bank_en;
  logic [P-1:0][GroupWidth-1:0] bank_group;
  always_comb begin
    bank_en = '0;
    bank_group = '0;
    for (int unsigned b = 0; b < P; b++) begin
      logic [P-1:0] taken;
      for (int unsigned j = 0; j < P; j++) taken[j] = request1_q.served[j] && request1_q.bank[j] == LaneWidth'(b);
      bank_en[b] = |taken;
      for (int unsigned j = 0; j < P; j++) begin
        bank_group[b] |= {GroupWidth{taken[j]}} & group1_q[j];  // equal where more than one is taken
      end
    end
  end

  always_ff @(posedge clk_i) begin
    request1_q <= '{
        issue: '{
            valid: go && last_pass_q,
            first: tap_q.flags.first && left_q == last_block_index_q,
            last: ends_group,
            shift: tap_q.flags.plane_first && left_q == last_block_index_q
        },
        weight: weight_q,
        read: go && served_q != '0,
        served: go ? served_q : '0,
        fill: go ? ~(tap_q.served | tap_q.rest) : '0,
        bank: tap_q.bank,
        fill_value: fill_value_q
    };
    offset1_q <= offset_q;
    group1_q <= tap_q.group;

    request2_q <= request1_q;
    offset2_q <= offset1_q;
    bank_group2_q <= bank_group;
    bank_en2_q <= bank_en;

    request3_q <= request2_q;
    bank_en3_q <= bank_en2_q;
    for (int unsigned b = 0; b < P; b++) row3_q[b] <= offset2_q + AddrWidth'(bank_group2_q[b]);

    if (!rst_ni) begin
      request1_q.issue.valid <= 1'b0;
      request2_q.issue.valid <= 1'b0;
      request3_q.issue.valid <= 1'b0;
      request1_q.read <= 1'b0;
      request2_q.read <= 1'b0;
      request3_q.read <= 1'b0;
    end
  end

  assign issue_o = request3_q.issue;
  assign weight_addr_o = request3_q.weight;
  assign read_o = request3_q.read;
  assign bank_en_o = bank_en3_q;
  assign row_o = row3_q;
  assign load_o = request3_q.served;
  assign bank_o = request3_q.bank;
  assign fill_o = request3_q.fill;
  assign fill_value_o = request3_q.fill_value;

endmodule
