// Where slots of `prep` meet their words and maps.
//
//   steps -> reads -> a FIFO of words for each pixel of a chunk -----------> word_o
//                  -> a FIFO of maps -----------------------------------------> map_o
//                  -> slots that wait -> register -> enter
//
// A slot enters when its data are there and its result is sure of a place; from there on nothing waits. Its words stand at `word_o` 2 cycles
// after `enter_o`, and stay for the slots of the chunk behind it; its maps at `map_o` in the cycle of `map_pop_i`, for which
// the client gives 4 cycles or less to pass.
//
// Nobody asks the FIFOs whether they have room: whoever fills one holds credits for its places.
module prep_source
  import diffuser_pkg::*;
#(
    parameter int unsigned I = 16,
    parameter int unsigned WordBits = 512,
    parameter int unsigned Pixels = 4,  // of a chunk at most, a power of two, at least 2
    parameter int unsigned Payload = 8,  // of a slot, for those behind
    localparam int unsigned IndexWidth = $clog2(Pixels)
) (
    input logic clk_i,
    input logic rst_ni,

    input logic norm_i,        // slots need maps; stable
    input logic from_state_i,  // words of the state; stable

    // steps, taken in any cycle; `go_o` is high while there is room for those that come up to 3 cycles later
    output logic                  go_o,
    input  logic                  step_i,
    input  logic                  read_i,
    input  logic [IndexWidth-1:0] index_i,   // pixel of the chunk
    input  logic [AddrWidth-1:0]  addr_i,
    input  logic                  slot_i,
    input  logic                  fresh_i,   // needs the words of a further chunk,
    input  logic [IndexWidth-1:0] pixels_i,  // so many less one
    input  logic [EntryWidth-1:0] affine_i,
    input  logic                  hold_i,    // does not enter while `hold_i` of entry
    input  logic [Payload-1:0]    payload_i,

    output logic                  stream_req_o,
    output logic [AddrWidth-1:0]  stream_addr_o,
    input  logic                  stream_gnt_i,
    input  logic                  stream_rvalid_i,
    input  logic [WordBits-1:0]   stream_rdata_i,
    output logic                  state_req_o,
    output logic [AddrWidth-1:0]  state_addr_o,
    input  logic                  state_gnt_i,
    input  logic                  state_rvalid_i,
    input  logic [127:0]          state_rdata_i,
    output logic                  affine_req_o,
    output logic [EntryWidth-1:0] affine_addr_o,
    input  logic                  affine_gnt_i,
    input  logic                  affine_rvalid_i,
    input  affine_t [I-1:0]       affine_rdata_i,

    input  logic               room_i,   // for its result
    input  logic               held_i,   // those with `hold_i` wait
    output logic               enter_o,
    output logic [Payload-1:0] payload_o,
    output logic [IndexWidth-1:0] pixels_o,
    output logic               hold_o,
    output logic [Pixels-1:0][WordBits-1:0] word_o,
    input  logic               map_pop_i,
    output affine_t [I-1:0]    map_o,
    output logic               busy_o
);

  localparam int unsigned Steps = 16;
  localparam int unsigned Slots = 16;  // between their issue and their entry
  localparam int unsigned Words = 16;  // between their request and the slot that is the first to use them
  localparam int unsigned Maps = 32;  // those of slots, and of such as have entered and not come to their maps

  // ---------------------------------------------------------------- steps

  typedef struct packed {
    logic fresh;
    logic [IndexWidth-1:0] pixels;
    logic hold;
    logic [Payload-1:0] payload;
  } slot_t;

  typedef struct packed {
    logic read;
    logic [IndexWidth-1:0] index;
    logic [AddrWidth-1:0] addr;
    logic slot;
    logic [EntryWidth-1:0] affine;
    slot_t of;
  } step_t;

  step_t walked, next, step;  // `step` stands in a register, `next` behind it in the FIFO
  logic next_valid, next_pop, issue_valid, issue_pop, steps_fit;
  logic [4:0] steps_count;
  assign walked = '{
      read: read_i,
      index: index_i,
      addr: addr_i,
      slot: slot_i,
      affine: affine_i,
      of: '{fresh: fresh_i, pixels: pixels_i, hold: hold_i, payload: payload_i}
  };
  fifo #(
      .Width($bits(step_t)),
      .Depth(Steps)
  ) u_steps (
      .clk_i,
      .rst_ni,
      .clear_i(1'b0),
      .in_valid_i(step_i),
      .in_ready_o(steps_fit),
      .in_data_i(walked),
      .out_valid_o(next_valid),
      .out_ready_i(next_pop),
      .out_data_o(next),
      .count_o(steps_count)
  );
  always_ff @(posedge clk_i) begin
    if (!rst_ni) go_o <= 1'b0;
    else go_o <= steps_count < 5'd10;
  end
  assign next_pop = next_valid && (!issue_valid || issue_pop);
  always_ff @(posedge clk_i) begin
    if (!rst_ni) issue_valid <= 1'b0;
    else issue_valid <= next_valid || (issue_valid && !issue_pop);
    if (next_pop) step <= next;
  end

  // ---------------------------------------------------------------- issue of reads

  logic word_room_q, slot_room_q, word_done_q, map_done_q;
  logic [4:0] owed_q, pending_q;
  logic word_req, word_gnt, word_sent, word_ok, map_ok, pop_words, enter;
  slot_t head_q;  // the slot that enters next
  assign word_req = issue_valid && word_room_q && step.read && !word_done_q;
  assign stream_req_o = word_req && !from_state_i;
  assign state_req_o = word_req && from_state_i;
  assign stream_addr_o = step.addr;
  assign state_addr_o = step.addr;
  assign affine_req_o = issue_valid && slot_room_q && step.slot && norm_i && !map_done_q;
  assign affine_addr_o = step.affine;
  assign word_gnt = from_state_i ? state_gnt_i : stream_gnt_i;
  assign word_sent = word_req && word_gnt;
  assign word_ok = !step.read || word_done_q || word_sent;
  assign map_ok = !step.slot || (slot_room_q && (!norm_i || map_done_q || affine_gnt_i));
  assign issue_pop = issue_valid && word_ok && map_ok;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      word_done_q <= 1'b0;
      map_done_q <= 1'b0;
      owed_q <= '0;
      pending_q <= '0;
      word_room_q <= 1'b1;
      slot_room_q <= 1'b1;
    end else begin
      word_done_q <= !issue_pop && (word_done_q || word_sent);
      map_done_q <= !issue_pop && (map_done_q || (affine_req_o && affine_gnt_i));
      owed_q <= owed_q + 5'(word_sent) - (pop_words ? 5'(head_q.pixels) + 5'd1 : 5'd0);
      pending_q <= pending_q + 5'(issue_pop && step.slot) - 5'(enter);
      // What leaves is seen a cycle late, what is issued at once: a request does not go away.
      word_room_q <= owed_q < 5'(Words - 1) || (owed_q == 5'(Words - 1) && !word_sent);
      slot_room_q <= pending_q < 5'(Slots - 1) || (pending_q == 5'(Slots - 1) && !(issue_pop && step.slot));
    end
  end

  // ---------------------------------------------------------------- words, a FIFO for each pixel of a chunk

  logic tag_fits, tag_valid, word_back;
  logic [IndexWidth-1:0] tag;
  logic [WordBits-1:0] word_in;
  logic [$clog2(Words+1)-1:0] unused_tags;
  assign word_back = stream_rvalid_i || state_rvalid_i;
  // of the state 128 bits; in four parts, so that no choice drives too many
  logic [3:0] from_state_q;
  copies #(
      .Copies(4)
  ) u_from_state (
      .clk_i,
      .d_i(from_state_i),
      .q_o(from_state_q)
  );
  always_comb begin
    word_in = stream_rdata_i;
    for (int unsigned k = 0; k < 4; k++) if (from_state_q[k]) word_in[32*k+:32] = state_rdata_i[32*k+:32];
  end
  fifo #(
      .Width(IndexWidth),
      .Depth(Words)
  ) u_tags (
      .clk_i,
      .rst_ni,
      .clear_i(1'b0),
      .in_valid_i(word_sent),
      .in_ready_o(tag_fits),
      .in_data_i(step.index),
      .out_valid_o(tag_valid),
      .out_ready_i(word_back),
      .out_data_o(tag),
      .count_o(unused_tags)
  );

  logic [Pixels-1:0] here_q, need_q, word_pop_q, words_fit;
  for (genvar p = 0; p < Pixels; p++) begin : gen_words
    logic push, take, more, unused_valid;
    logic [4:0] count_q;  // less those whose slot has entered
    logic [WordBits-1:0] head;
    logic [$clog2(Words+1)-1:0] unused_count;
    assign push = word_back && tag == IndexWidth'(p);
    assign take = enter && need_q[p];
    assign more = count_q > 5'd1;
    fifo #(
        .Width(WordBits),
        .Depth(Words)
    ) u_words (
        .clk_i,
        .rst_ni,
        .clear_i(1'b0),
        .in_valid_i(push),
        .in_ready_o(words_fit[p]),
        .in_data_i(word_in),
        .out_valid_o(unused_valid),
        .out_ready_i(word_pop_q[p]),
        .out_data_o(head),
        .count_o(unused_count)
    );
    always_ff @(posedge clk_i) begin
      if (!rst_ni) begin
        count_q <= '0;
        here_q[p] <= 1'b0;
        word_pop_q[p] <= 1'b0;
      end else begin
        count_q <= count_q + 5'(push) - 5'(take);
        here_q[p] <= push || (take ? more : here_q[p]);
        word_pop_q[p] <= take;
      end
      if (word_pop_q[p]) word_o[p] <= head;
    end
  end

  // ---------------------------------------------------------------- maps

  logic maps_fit, unused_map_valid, map_here_q;
  logic [5:0] map_count_q;
  logic [$clog2(Maps+1)-1:0] unused_map_count;
  fifo #(
      .Width(I * $bits(affine_t)),
      .Depth(Maps)
  ) u_maps (
      .clk_i,
      .rst_ni,
      .clear_i(1'b0),
      .in_valid_i(affine_rvalid_i),
      .in_ready_o(maps_fit),
      .in_data_i(affine_rdata_i),
      .out_valid_o(unused_map_valid),
      .out_ready_i(map_pop_i),
      .out_data_o(map_o),
      .count_o(unused_map_count)
  );
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      map_count_q <= '0;
      map_here_q  <= 1'b0;
    end else begin
      map_count_q <= map_count_q + 6'(affine_rvalid_i) - 6'(enter && norm_i);
      map_here_q  <= affine_rvalid_i || (enter && norm_i ? map_count_q > 6'd1 : map_here_q);
    end
  end

  // ---------------------------------------------------------------- slots that wait, and the one that enters next

  slot_t waiting;
  logic waiting_valid, waiting_pop, head_valid_q, slots_fit;
  logic [$clog2(Slots+1)-1:0] unused_waiting;
  fifo #(
      .Width($bits(slot_t)),
      .Depth(Slots)
  ) u_waiting (
      .clk_i,
      .rst_ni,
      .clear_i(1'b0),
      .in_valid_i(issue_pop && step.slot),
      .in_ready_o(slots_fit),
      .in_data_i(step.of),
      .out_valid_o(waiting_valid),
      .out_ready_i(waiting_pop),
      .out_data_o(waiting),
      .count_o(unused_waiting)
  );
  assign waiting_pop = waiting_valid && (!head_valid_q || enter);
  always_ff @(posedge clk_i) begin
    if (!rst_ni) head_valid_q <= 1'b0;
    else head_valid_q <= waiting_valid || (head_valid_q && !enter);
    if (waiting_pop) begin
      head_q <= waiting;
      for (int unsigned p = 0; p < Pixels; p++) need_q[p] <= waiting.fresh && p <= 32'(waiting.pixels);
    end
  end
  assign enter = head_valid_q && (need_q & ~here_q) == '0 && (!norm_i || map_here_q) && room_i && !(head_q.hold && held_i);
  assign pop_words = enter && head_q.fresh;
  assign enter_o = enter;
  assign payload_o = head_q.payload;
  assign pixels_o = head_q.pixels;
  assign hold_o = head_q.hold;
  assign busy_o = next_valid || issue_valid || waiting_valid || head_valid_q;

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) step_i |-> steps_fit)
  else $error("%m: a step is lost");
  assert property (@(posedge clk_i) disable iff (!rst_ni) word_sent |-> tag_fits)
  else $error("%m: more words than places");
  assert property (@(posedge clk_i) disable iff (!rst_ni) word_back |-> tag_valid && words_fit[tag])
  else $error("%m: a word is lost");
  assert property (@(posedge clk_i) disable iff (!rst_ni) affine_rvalid_i |-> maps_fit)
  else $error("%m: maps are lost");
  assert property (@(posedge clk_i) disable iff (!rst_ni) issue_pop && step.slot |-> slots_fit)
  else $error("%m: a slot is lost");
`endif

endmodule
