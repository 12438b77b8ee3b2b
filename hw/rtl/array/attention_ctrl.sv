// Controller of `attention`: docs/isa.md says what the descriptor does, array_unit.sv what the ports are.
//
// A group is P queries of one head. The array works in the order
//
//   QK(0) QK(1) EV(0) QK(2) EV(1) ... QK(n-1) EV(n-2) EV(n-1)
//
// so that the softmax of a group has the time of one EV and one QK, and the division of its results another. Buffers for two groups, one
// written and one read, follow from that order alone: the logits of group g + 2 begin behind EV(g), whose weights were
// made of those of group g. Only reciprocals of group g + 2 must wait for the results of group g to be written.
//
// Cycles of a head: ceil(N / P) * max(KT dI + DT KB, 2 P KT, P dI), and about 150 at the end of the descriptor.
module attention_ctrl
  import diffuser_pkg::*;
  import diffuser_isa_pkg::*;
#(
  parameter int unsigned P = 4,
  parameter int unsigned O = 8,
  parameter int unsigned I = 8,
  parameter int unsigned MaxKeys = 256  // a power of two, 2 O to 16384; descriptors of more pixels are refused
) (
  input logic clk_i,
  input logic rst_ni,

  // queue
  input logic desc_valid_i,
  output logic desc_ready_o,
  input logic [DescriptorBits-1:0] desc_i,
  output logic done_o,
  output logic error_o,
  output error_e error_code_o,
  input logic flush_i,

  // cycle T
  output issue_t issue_o,
  output logic [AddrWidth-1:0] weight_addr_o,
  output logic read_o,
  output logic [AddrWidth-1:0] row_o,
  output logic bypass_o,
  // cycle T + BypassDelay
  output logic [P-1:0][I-1:0][7:0] bypass_operand_o,

  input logic acc_valid_i,
  input logic [P-1:0][O-1:0][31:0] acc_i,

  output logic operand_we_o,
  output logic [AddrWidth-1:0] operand_waddr_o,
  output logic [P-1:0] operand_wstrb_o,
  output logic [P-1:0][I-1:0][7:0] operand_wdata_o,
  input logic operand_wgnt_i,

  output logic param_req_o,
  output logic [EntryWidth-1:0] param_addr_o,
  input logic param_gnt_i,
  input logic param_rvalid_i,
  input logic [63:0] param_rdata_i
);

  localparam int unsigned Tiles = 16;  // of results
  localparam int unsigned TileWidth = $clog2(MaxKeys / O);
  localparam int unsigned BlockWidth = $clog2(MaxKeys / I);
  localparam int unsigned PixelWidth = $clog2(MaxKeys) + 1;
  localparam int unsigned RowWidth = $clog2(P);
  localparam int unsigned SubShift = $clog2(O / I);

  // ---------------------------------------------------------------- descriptor

  typedef enum logic [2:0] {
    Idle,
    Check,
    Head,
    Run,
    Flush,
    Done
  } state_e;
  state_e state_q;

  // verilator lint_off UNUSEDSIGNAL  // waits are the sequencer's
  attention_desc_t desc_q;
  attention_head_t head_q;
  // verilator lint_on UNUSEDSIGNAL
  logic asked_q, start_q, start, given_up_q, busy;
  logic [7:0] start_many_q;  // start_q for addresses and counters: one for all would have too many readers
  logic [6:0] flush_q;  // cycles until nothing is under way

  logic [AddrWidth-1:0] rows_q;  // groups of a head
  logic [RowWidth-1:0] last_row_q;
  logic [TileWidth-1:0] last_tile_q;
  logic [BlockWidth-1:0] last_block_q;
  logic [O-1:0] last_keys_q;
  logic [AddrWidth-1:0] last_group_q;
  logic [7:0] last_head_q, last_dblock_q, last_value_tile_q;
  logic refused_q;

  logic [PixelWidth-1:0] last_pixel;  // number of the last one
  assign last_pixel = PixelWidth'(desc_q.pixels - 1'b1);

  assign desc_ready_o = state_q == Idle;
  assign error_code_o = ErrorField;
  assign start = state_q == Head && !refused_q && param_rvalid_i && rst_ni;
  copies #(
    .Copies(8)
  ) u_start (
    .clk_i,
    .d_i(start),
    .q_o(start_many_q)
  );
  assign param_req_o = state_q == Head && !refused_q && !asked_q;
  assign param_addr_o = desc_q.param;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
      done_o  <= 1'b0;
      error_o <= 1'b0;
      start_q <= 1'b0;
    end else begin
      done_o  <= 1'b0;
      error_o <= 1'b0;
      start_q <= start;
      unique case (state_q)
        Idle: if (desc_valid_i) state_q <= Check;
        Check: state_q <= Head;
        Head:
        if (refused_q) begin
          error_o <= 1'b1;
          state_q <= Done;
        end else if (param_rvalid_i) begin
          state_q <= Run;
        end
        Run: begin
          if (!busy && !start_q) state_q <= Done;
          if (given_up_q) state_q <= Flush;
        end
        Flush: if (flush_q == '0 && !busy) state_q <= Done;
        Done: begin
          state_q <= Idle;
          done_o  <= 1'b1;
        end
        default: state_q <= Idle;
      endcase
      if (state_q == Check) asked_q <= 1'b0;
      else if (param_req_o && param_gnt_i) asked_q <= 1'b1;
      given_up_q <= state_q != Idle && (given_up_q || flush_i);
    end
    if (desc_ready_o) desc_q <= desc_i;
    if (param_rvalid_i) head_q <= param_rdata_i;
    flush_q <= state_q == Flush ? flush_q - 7'd1 : 7'd127;

    refused_q <= desc_q.pixels > AddrWidth'(MaxKeys) || desc_q.pixels == '0;
    rows_q <= (desc_q.pixels + AddrWidth'(P - 1)) >> RowWidth;
    last_row_q <= last_pixel[RowWidth-1:0];
    last_tile_q <= TileWidth'(last_pixel >> $clog2(O));
    last_block_q <= BlockWidth'(last_pixel >> $clog2(I));
    for (int unsigned o = 0; o < O; o++) last_keys_q[o] <= o <= 32'(last_pixel[$clog2(O)-1:0]);
    last_group_q <= AddrWidth'(last_pixel >> RowWidth);
    last_head_q <= desc_q.heads - 8'd1;
    last_dblock_q <= desc_q.head_blocks - 8'd1;
    last_value_tile_q <= (desc_q.head_blocks - 8'd1) >> SubShift;
  end

  logic clear, flushing, flushing_q;  // state Flush, a cycle late
  logic [7:0] drain_clear_q;  // `clear` for the drain's widest queue
  assign flushing = rst_ni && state_q == Flush;
  always_ff @(posedge clk_i) flushing_q <= flushing;
  assign clear = start_q || flushing_q;
  copies #(
    .Copies(8)
  ) u_drain_clear (
    .clk_i,
    .d_i(start || flushing),
    .q_o(drain_clear_q)
  );

  // ---------------------------------------------------------------- the array's work

  typedef enum logic [1:0] {
    None,
    Logits,
    Values
  } work_e;
  work_e work_q;

  logic weights_done, reciprocals_done, tile_free, group_free;

  // Counters run down beside a flag that they are at their last, so that nothing is compared on the way to an end.
  logic one_group_q, one_head_q, one_dblock_q, one_tile_q, one_block_q, one_value_tile_q;  // there is but one; static
  always_ff @(posedge clk_i) begin
    one_group_q <= last_group_q == '0;
    one_head_q <= last_head_q == '0;
    one_dblock_q <= last_dblock_q == '0;
    one_tile_q <= last_tile_q == '0;
    one_block_q <= last_block_q == '0;
    one_value_tile_q <= last_value_tile_q == '0;
  end

  // the group whose logits are summed next, and that whose values are
  logic [7:0] qk_heads_left_q, ev_heads_left_q;
  logic [AddrWidth-1:0] qk_groups_left_q, ev_groups_left_q;
  logic qk_left_q, ev_set_q;
  logic qk_head_end, qk_head_end_q, qk_head_end_query_q;  // the same twice, since one would have too many readers
  logic ev_head_end_q, qk_head_last_q, ev_head_last_q, qk_all, ev_all;
  assign qk_all = qk_head_end_q && qk_head_last_q;
  assign ev_all = ev_head_end_q && ev_head_last_q;

  // logits: key tile, block of channels
  logic [TileWidth-1:0] key_tiles_left_q;
  logic [7:0] blocks_left_q;
  logic [AddrWidth-1:0] query_q, query_group_q, key_q, key_head_q;
  logic block_first_q, block_last_q, key_tile_last_q, qk_step, qk_end;
  assign qk_step = work_q == Logits;
  assign qk_end = qk_step && block_last_q && key_tile_last_q;

  // values: tile of channels, block of keys
  logic [7:0] value_tiles_left_q;
  logic [BlockWidth-1:0] key_block_q, key_blocks_left_q;
  logic [AddrWidth-1:0] value_q, value_head_q;
  logic ev_first_q, ev_last_q, value_tile_last_q, ev_step, ev_end, may_begin_q;
  logic [1:0] weights_q;  // groups whose weights are there
  logic [$clog2(Tiles+1)-1:0] free_q;  // tiles of results
  assign ev_step = work_q == Values && weights_q != '0 && (!ev_first_q || may_begin_q);
  assign ev_end = ev_step && ev_last_q && value_tile_last_q;

  logic two_q;  // the first group's logits are summed: from the second on the array alternates
  always_ff @(posedge clk_i) begin
    if (!rst_ni || state_q == Flush) begin
      work_q <= None;
    end else if (start_q) begin
      work_q <= Logits;
      two_q <= 1'b0;
    end else if (qk_end) begin
      work_q <= !two_q && !qk_all ? Logits : Values;
      two_q <= 1'b1;
    end else if (ev_end) begin
      work_q <= ev_all ? None : qk_left_q ? Logits : Values;
    end
  end

  // logits: addresses
  always_ff @(posedge clk_i) begin
    if (start_many_q[2]) begin
      query_q <= desc_q.query;
      query_group_q <= desc_q.query;
    end else if (qk_step) begin
      query_q <= block_last_q ? query_group_q : query_q + rows_q;
      if (qk_end) begin
        // the last row of the last group's last block is the last of the head; and so are the words of K
        query_q <= qk_head_end_query_q ? query_q + 1'b1 : query_group_q + 1'b1;
        query_group_q <= qk_head_end_query_q ? query_q + 1'b1 : query_group_q + 1'b1;
      end
    end
    if (start_many_q[0]) begin
      key_q <= desc_q.key;
      key_head_q <= desc_q.key;
    end else if (qk_step) begin
      key_q <= qk_end && !qk_head_end_q ? key_head_q : key_q + 1'b1;
      if (qk_end && qk_head_end_q) key_head_q <= key_q + 1'b1;
    end
  end

  always_comb begin
    qk_head_end = qk_head_end_q;
    if (start_q) qk_head_end = one_group_q;
    else if (qk_end) qk_head_end = qk_head_end_q ? one_group_q : qk_groups_left_q == AddrWidth'(1);
  end
  copies #(
    .Copies(2)
  ) u_qk_head_end (
    .clk_i,
    .d_i(qk_head_end),
    .q_o({qk_head_end_q, qk_head_end_query_q})
  );

  // logits: counters
  always_ff @(posedge clk_i) begin
    if (start_many_q[3]) begin
      qk_left_q <= 1'b1;
      qk_heads_left_q <= last_head_q;
      qk_head_last_q <= one_head_q;
      qk_groups_left_q <= last_group_q;
      key_tiles_left_q <= last_tile_q;
      key_tile_last_q <= one_tile_q;
      blocks_left_q <= last_dblock_q;
      block_first_q <= 1'b1;
      block_last_q <= one_dblock_q;
    end else if (qk_step) begin
      block_first_q <= block_last_q;
      blocks_left_q <= block_last_q ? last_dblock_q : blocks_left_q - 1'b1;
      block_last_q <= block_last_q ? one_dblock_q : blocks_left_q == 8'd1;
      if (block_last_q) begin
        key_tiles_left_q <= key_tile_last_q ? last_tile_q : key_tiles_left_q - 1'b1;
        key_tile_last_q <= key_tile_last_q ? one_tile_q : key_tiles_left_q == TileWidth'(1);
      end
      if (qk_end) begin
        qk_left_q <= !qk_all;
        qk_groups_left_q <= qk_head_end_q ? last_group_q : qk_groups_left_q - 1'b1;
        if (qk_head_end_q) begin
          qk_heads_left_q <= qk_heads_left_q - 1'b1;
          qk_head_last_q <= qk_heads_left_q == 8'd1;
        end
      end
    end
  end

  // values
  always_ff @(posedge clk_i) begin
    if (start_many_q[1]) begin
      value_q <= desc_q.value;
      value_head_q <= desc_q.value;
    end else if (ev_step) begin
      value_q <= ev_end && !ev_head_end_q ? value_head_q : value_q + 1'b1;
      if (ev_end && ev_head_end_q) value_head_q <= value_q + 1'b1;
    end
    if (start_many_q[4]) begin
      ev_set_q <= 1'b0;
      ev_heads_left_q <= last_head_q;
      ev_head_last_q <= one_head_q;
      ev_groups_left_q <= last_group_q;
      ev_head_end_q <= one_group_q;
      value_tiles_left_q <= last_value_tile_q;
      value_tile_last_q <= one_value_tile_q;
      key_block_q <= '0;
      key_blocks_left_q <= last_block_q;
      ev_first_q <= 1'b1;
      ev_last_q <= one_block_q;
    end else if (ev_step) begin
      key_block_q <= ev_last_q ? '0 : key_block_q + 1'b1;
      key_blocks_left_q <= ev_last_q ? last_block_q : key_blocks_left_q - 1'b1;
      ev_first_q <= ev_last_q;
      ev_last_q <= ev_last_q ? one_block_q : key_blocks_left_q == BlockWidth'(1);
      if (ev_last_q) begin
        value_tiles_left_q <= value_tile_last_q ? last_value_tile_q : value_tiles_left_q - 1'b1;
        value_tile_last_q <= value_tile_last_q ? one_value_tile_q : value_tiles_left_q == 8'd1;
      end
      if (ev_end) begin
        ev_set_q <= !ev_set_q;
        ev_groups_left_q <= ev_head_end_q ? last_group_q : ev_groups_left_q - 1'b1;
        ev_head_end_q <= ev_head_end_q ? one_group_q : ev_groups_left_q == AddrWidth'(1);
        if (ev_head_end_q) begin
          ev_heads_left_q <= ev_heads_left_q - 1'b1;
          ev_head_last_q <= ev_heads_left_q == 8'd1;
        end
      end
    end
  end

  logic tile_begun;
  assign tile_begun = ev_step && ev_first_q;
  always_ff @(posedge clk_i) begin
    if (clear) begin
      weights_q <= '0;
      free_q <= ($clog2(Tiles + 1))'(Tiles);
      may_begin_q <= 1'b1;
    end else begin
      weights_q <= weights_q + 2'(weights_done) - 2'(ev_end);
      if (tile_free && !tile_begun) begin
        free_q <= free_q + 1'b1;
        may_begin_q <= 1'b1;
      end else if (tile_begun && !tile_free) begin
        free_q <= free_q - 1'b1;
        may_begin_q <= free_q != ($clog2(Tiles + 1))'(1);
      end
    end
  end

  // a register more on the way to the array; softmax has one for the weights' memory, which is read with it
  always_ff @(posedge clk_i) begin
    issue_o <= '{
        valid: rst_ni && state_q != Flush && (qk_step || ev_step),
        first: ev_step ? ev_first_q : block_first_q,
        last: ev_step ? ev_last_q : block_last_q,
        shift: 1'b0
    };
    weight_addr_o <= ev_step ? value_q : key_q;
    read_o <= rst_ni && qk_step && state_q != Flush;
    row_o <= query_q;
    bypass_o <= ev_step;
  end

  // ---------------------------------------------------------------- what comes back

  logic tag_values, tag_fits, tag_valid;
  logic [5:0] unused_count;
  fifo #(
    .Width(1),
    .Depth(32)
  ) u_tags (
    .clk_i,
    .rst_ni,
    .clear_i(start_q),
    .in_valid_i(issue_o.valid && issue_o.last),
    .in_ready_o(tag_fits),
    .in_data_i(bypass_o),
    .out_valid_o(tag_valid),
    .out_ready_i(acc_valid_i),
    .out_data_o(tag_values),
    .count_o(unused_count)
  );
`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) issue_o.valid && issue_o.last |-> tag_fits)
  else $error("%m: more sums under way than expected");
  assert property (@(posedge clk_i) disable iff (!rst_ni || state_q == Idle) acc_valid_i |-> tag_valid)
  else $error("%m: sums that nobody asked for");
`endif

  logic logit_we, logit_set_q, logit_set, logits_end;
  logic [TileWidth-1:0] logit_tile_q, logit_tile;
  assign logit_we = acc_valid_i && !tag_values;
  assign logits_end = logit_we && logit_tile_q == last_tile_q;
  always_comb begin
    logit_tile = logit_tile_q;
    if (clear || logits_end) logit_tile = '0;
    else if (logit_we) logit_tile = logit_tile_q + 1'b1;
    logit_set = !clear && (logit_set_q ^ logits_end);
  end
  always_ff @(posedge clk_i) begin
    logit_tile_q <= logit_tile;
    logit_set_q  <= logit_set;
  end

  // Groups whose logits wait for the softmax; groups between the begin of their softmax and their last result; groups whose
  // reciprocals are there.
  logic [1:0] logits_q, open_q, reciprocals_q;
  logic softmax_ready, softmax_start;
  assign softmax_start = softmax_ready && logits_q != '0 && open_q < 2'd2;
  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear) begin
      logits_q <= '0;
      open_q <= '0;
      reciprocals_q <= '0;
    end else begin
      logits_q <= logits_q + 2'(logits_end) - 2'(softmax_start);
      open_q <= open_q + 2'(softmax_start) - 2'(group_free);
      reciprocals_q <= reciprocals_q + 2'(reciprocals_done) - 2'(group_free);
    end
  end

  logic [1:0] row_set;
  logic [1:0][RowWidth-1:0] row;
  logic [16:0] row_mantissa;
  logic [4:0] row_top;
  softmax #(
    .P(P),
    .O(O),
    .I(I),
    .MaxKeys(MaxKeys)
  ) u_softmax (
    .clk_i,
    .rst_ni,
    .clear_i(clear),
    .last_tile_i(last_tile_q),
    .last_keys_i(last_keys_q),
    .mantissa_i(head_q.mantissa),
    .shift_i(head_q.shift[5:0]),
    .logit_we_i(logit_we),
    .logit_next_set_i(logit_set),
    .logit_next_tile_i(logit_tile),
    .logit_i(acc_i),
    .ready_o(softmax_ready),
    .start_i(softmax_start),
    .done_o(weights_done),
    .e_set_i(ev_set_q),
    .e_block_i(key_block_q),
    .e_o(bypass_operand_o),
    .reciprocals_o(reciprocals_done),
    .row_set_i(row_set),
    .row_i(row),
    .row_mantissa_o(row_mantissa),
    .row_top_o(row_top)
  );

  attention_drain #(
    .P(P),
    .O(O),
    .I(I),
    .Tiles(Tiles)
  ) u_drain (
    .clk_i,
    .rst_ni,
    .start_i(start_many_q[7:5]),
    .stop_i(flushing_q),
    .clear_i(drain_clear_q),
    .last_head_i(last_head_q),
    .last_group_i(last_group_q),
    .last_block_i(last_dblock_q),
    .rows_i(rows_q),
    .last_row_i(last_row_q),
    .dest_i(desc_q.dest),
    .gain_i(head_q.gain),
    .we_i(acc_valid_i && tag_values && !flushing_q),
    .sum_i(acc_i),
    .tile_o(tile_free),
    .ready_i(reciprocals_q != '0),
    .row_set_o(row_set),
    .row_o(row),
    .mantissa_i(row_mantissa),
    .top_i(row_top),
    .group_o(group_free),
    .busy_o(busy),
    .operand_we_o,
    .operand_waddr_o,
    .operand_wstrb_o,
    .operand_wdata_o,
    .operand_wgnt_i
  );

endmodule
