// The order of `prep`: steps of at most one read of a source word and at most one slot of a result.
//
// A *chunk* is some neighbouring pixels of the result whose words are read together, a slot is I channels of a chunk in one plane (of
// a pixel in each of as many banks of the operand memory).
//
// Kinds 0 to 3, outermost first: group of P result pixels; stream; block of O channels (a source word); chunk of the group; then
// the chunk's reads, pixel after pixel, and beside them its slots: block of I channels of the word, plane. So a word is
// read once for all of its blocks, and a group is complete before the next begins. With a mean a chunk is one pixel, and each slot reads its four words.
// Kind 4: block of O channels; block of I channels of it; pixel of the result; the four pixels of a mean, so that the sums of
// I channels are complete before those of the next begin.
//
// All addresses are running sums; nothing is multiplied or divided here. Steps come out 2 cycles after the counters stood at them, at most
// one a cycle, while `go_i` is high, and up to two more after it fell.
module prep_walk
  import diffuser_isa_pkg::*;
  import diffuser_pkg::*;
  import prep_pkg::*;
#(
    parameter int unsigned P = 8,
    parameter int unsigned O = 32,
    parameter int unsigned I = 16,
    localparam int unsigned SelWidth = O > I ? $clog2(O / I) : 1,
    localparam int unsigned BankWidth = $clog2(P),
    localparam int unsigned LanesWidth = $clog2(I) + 1,
    localparam int unsigned IndexWidth = $clog2(plane_pixels(P, O, I))
) (
    input logic clk_i,
    input logic rst_ni,

    input logic start_i,  // everything below is valid and stays so until `busy_o` falls
    input logic stop_i,   // give up what is left behind the present chunk; stays
    input logic go_i,
    output logic busy_o,

    // verilator lint_off UNUSEDSIGNAL  // waits and fields of other parts of the unit
    input prep_desc_t            desc_i,
    // verilator lint_on UNUSEDSIGNAL
    input logic [12:0]           last_column_i,   // of the result
    input logic [AddrWidth-1:0]  last_pixel_i,    // of the result
    input logic [AddrWidth-1:0]  rows_i,          // of the operand memory a block: ceil(pixels / P)
    input logic [AddrWidth-1:0]  plane_offset_i,  // rows from the high plane to the low one

    output logic                  valid_o,
    // a read
    output logic                  read_o,
    output logic [IndexWidth-1:0] index_o,   // pixel of its chunk
    output logic [AddrWidth-1:0]  addr_o,
    // a slot
    output logic                  slot_o,
    output logic                  fresh_o,   // of words that no slot before it has used
    output logic [IndexWidth-1:0] pixels_o,  // of its chunk, less one
    output logic [EntryWidth-1:0] affine_o,  // entry of the block's first channel
    output logic [SelWidth-1:0]   select_o,  // block of I lanes within the word
    output logic                  low_o,     // low plane
    output logic                  first_o,   // first, last slot of a result: all four of a mean, or the same one
    output logic                  last_o,
    output logic [AddrWidth-1:0]  dest_o,    // row of the operand memory or word of the stream memory
    output logic [BankWidth-1:0]  bank_o,    // of the chunk's first pixel
    output logic                  swap_o,    // neighbours have exchanged their banks (the operand is spread)
    output logic [LanesWidth-1:0] lanes_o,   // lanes that hold a channel
    output logic                  group_o,   // last of its group
    output logic                  block_o    // kind 4: last pixel of its block
);

  localparam int unsigned SelMax = O / I - 1;
  localparam int unsigned LanePixels = lane_pixels(P, O, I);
  localparam int unsigned PlanePixels = plane_pixels(P, O, I);
  localparam int unsigned ShiftWidth = $clog2(IndexWidth + 1);

  // The descriptor stands long before `start_i`. Of the first one two registers, since one would have too many readers.
  logic to_stream, to_stream_dest, mean, nearest, planes, has_b;
  copies #(
      .Copies(2)
  ) u_to_stream (
      .clk_i,
      .d_i(desc_i.kind == 3'd4),
      .q_o({to_stream, to_stream_dest})
  );
  always_ff @(posedge clk_i) begin
    planes <= desc_i.kind == 3'd2 || desc_i.kind == 3'd3;
    nearest <= desc_i.resample == 2'd1;
    mean <= desc_i.resample == 2'd2;
    has_b <= desc_i.channels_b != '0;
  end

  // ---- pixels of a chunk; the last chunk may hold fewer

  logic single_q;  // chunks are pixels, and each slot reads
  logic [ShiftWidth-1:0] shift;
  logic [IndexWidth-1:0] full, full_q, tail_q;  // less one
  logic [BankWidth-1:0] lane_step_q;
  logic [AddrWidth-1:0] chunks;  // less one
  always_comb begin
    shift = ShiftWidth'($clog2(LanePixels));
    if (mean || to_stream) shift = '0;
    else if (desc_i.kind == 3'd2) shift = ShiftWidth'($clog2(PlanePixels));
    else if (desc_i.kind == 3'd3) shift = ShiftWidth'($clog2(StatePixels));
    full = IndexWidth'((1 << shift) - 1);
    chunks = last_pixel_i >> shift;
  end
  always_ff @(posedge clk_i) begin
    if (start_i) begin
      single_q <= mean || to_stream;
      full_q <= full;
      tail_q <= last_pixel_i[IndexWidth-1:0] & full;
      lane_step_q <= BankWidth'(full) + 1'b1;  // 0 where a chunk is a whole group
    end
  end

  // ---- counters

  logic run_q;
  logic [1:0] quarter_q;
  logic low_q;
  logic [SelWidth-1:0] select_q;
  logic slots_done_q, reads_done_q;  // of the chunk
  logic [IndexWidth-1:0] index_q;
  logic [BankWidth-1:0] lane_q;  // of the chunk
  logic second_q;  // stream

  // the pixel that is read, and the pixel that the group began with
  logic [12:0] x_q, x_group_q;
  logic odd_q, odd_group_q;  // row of the result
  logic second_row_q;  // the group is the second of two
  logic [AddrWidth-1:0] source_q, source_group_q;  // first source pixel of the row that is read
  logic [AddrWidth-1:0] left_q, left_group_q;  // chunks behind this one
  logic end_q, end_group_q;  // it is the last one
  logic [AddrWidth-1:0] number_q;  // of the pixel; kind 4

  // the block of I channels, and the first one of the word
  logic [15:0] channels_q, channels_word_q;  // from this block on
  logic block_last_q, block_last_word_q, block_last_a_q, block_last_b_q;  // no more than I
  logic [EntryWidth-1:0] affine_q, affine_word_q, affine_b_q;
  logic [AddrWidth-1:0] row_q, row_word_q, row_group_q;
  logic [AddrWidth-1:0] word_q;  // address of pixel 0
  logic [AddrWidth-1:0] dest_q;  // kind 4: word of pixel 0

  logic [IndexWidth-1:0] pixels;
  logic read, slot, quarter_end, plane_end, select_last, slots_end, reads_end, chunk_end, chunk_last;
  logic select_step, pixel_step, word_step, stream_step, group_step, finish;
  assign pixels = end_q ? tail_q : full_q;
  assign read = single_q || !reads_done_q;
  assign slot = !slots_done_q;
  assign quarter_end = !mean || quarter_q == 2'd3;
  assign plane_end = slot && quarter_end && (!planes || low_q);
  assign select_last = select_q == SelWidth'(SelMax) || (!to_stream && block_last_q);
  assign slots_end = plane_end && (select_last || to_stream);
  assign reads_end = single_q || reads_done_q || index_q == pixels;
  assign chunk_end = (slots_end || slots_done_q) && reads_end;
  assign chunk_last = end_q || (!to_stream && BankWidth'(lane_q + lane_step_q) == '0);
  assign select_step = to_stream ? plane_end && end_q : plane_end;
  assign pixel_step = single_q ? chunk_end : read;
  assign word_step = chunk_end && select_last && chunk_last;
  assign stream_step = word_step && block_last_q;
  assign group_step = stream_step && (second_q || !has_b);
  assign finish = group_step && end_q;

  // the pixel behind this one, and the one behind this step
  logic row_end;
  logic [12:0] x_next, x_after;
  logic odd_next, odd_after;
  logic [AddrWidth-1:0] source_next, source_after;
  assign row_end = x_q == last_column_i;
  assign x_next = row_end ? '0 : x_q + 13'd1;
  assign odd_next = odd_q ^ row_end;
  always_comb begin
    source_next = source_q;
    if (row_end && mean) source_next = source_q + {{(AddrWidth - 13) {1'b0}}, desc_i.width, 1'b0};
    else if (row_end && (!nearest || odd_q)) source_next = source_q + AddrWidth'(desc_i.width);
    x_after = pixel_step ? x_next : x_q;
    odd_after = pixel_step ? odd_next : odd_q;
    source_after = pixel_step ? source_next : source_q;
  end

  logic [15:0] channels_next;
  logic block_last_next;
  logic [EntryWidth-1:0] affine_next;
  logic [AddrWidth-1:0] row_next;
  always_comb begin
    if (group_step) begin
      channels_next = desc_i.channels_a;
      block_last_next = block_last_a_q;
      affine_next = desc_i.affine;
      row_next = row_group_q + 1'b1;
    end else begin
      channels_next = block_last_q ? '0 : channels_q - 16'(I);
      block_last_next = channels_q <= 16'(2 * I);
      affine_next = affine_q + EntryWidth'(I);
      row_next = row_q + rows_i;
      if (stream_step) begin
        channels_next = desc_i.channels_b;
        block_last_next = block_last_b_q;
        affine_next = affine_b_q;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) run_q <= 1'b0;
    else if (start_i) run_q <= 1'b1;
    else if (run_q && go_i && chunk_end && (finish || stop_i)) run_q <= 1'b0;
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      quarter_q <= '0;
      low_q <= 1'b0;
      select_q <= '0;
      slots_done_q <= 1'b0;
      reads_done_q <= 1'b0;
      index_q <= '0;
      lane_q <= '0;
      second_q <= 1'b0;
      x_q <= '0;
      x_group_q <= '0;
      odd_q <= 1'b0;
      odd_group_q <= 1'b0;
      second_row_q <= 1'b0;
      source_q <= '0;
      source_group_q <= '0;
      left_q <= chunks;
      left_group_q <= chunks;
      end_q <= chunks == '0;
      end_group_q <= chunks == '0;
      number_q <= '0;
      channels_q <= desc_i.channels_a;
      channels_word_q <= desc_i.channels_a;
      block_last_q <= desc_i.channels_a <= 16'(I);
      block_last_word_q <= desc_i.channels_a <= 16'(I);
      block_last_a_q <= desc_i.channels_a <= 16'(I);
      block_last_b_q <= desc_i.channels_b <= 16'(I);
      affine_q <= desc_i.affine;
      affine_word_q <= desc_i.affine;
      affine_b_q <= desc_i.affine + desc_i.channels_a;
      row_q <= desc_i.dest;
      row_word_q <= desc_i.dest;
      row_group_q <= desc_i.dest;
      word_q <= desc_i.stream_a;
      dest_q <= desc_i.dest;
    end else if (run_q && go_i) begin
      if (slot) quarter_q <= quarter_end ? '0 : quarter_q + 2'd1;
      if (slot && quarter_end) low_q <= planes && !low_q;
      slots_done_q <= !chunk_end && (slots_done_q || slots_end);
      reads_done_q <= !chunk_end && reads_end;
      index_q <= chunk_end ? '0 : index_q + IndexWidth'(read && !single_q);
      x_q <= x_after;
      odd_q <= odd_after;
      source_q <= source_after;
      if (chunk_end) begin
        if (chunk_last && !group_step) begin
          lane_q <= '0;
          x_q <= x_group_q;
          odd_q <= odd_group_q;
          source_q <= source_group_q;
          left_q <= left_group_q;
          end_q <= end_group_q;
          number_q <= '0;
        end else begin
          lane_q <= lane_q + lane_step_q;  // of P at the end of a group, but for the last one
          left_q <= left_q - 1'b1;
          end_q <= left_q == AddrWidth'(1);
          number_q <= number_q + 1'b1;
        end
      end
      if (group_step) begin
        x_group_q <= x_after;
        odd_group_q <= odd_after;
        second_row_q <= !second_row_q;
        source_group_q <= source_after;
        left_group_q <= left_q - 1'b1;
        end_group_q <= left_q == AddrWidth'(1);
        row_group_q <= row_group_q + 1'b1;
      end
      if (word_step || (select_step && !select_last)) begin
        select_q <= select_last ? '0 : select_q + 1'b1;
        channels_q <= channels_next;
        block_last_q <= block_last_next;
        affine_q <= affine_next;
        row_q <= row_next;
      end else if (chunk_end && !to_stream) begin
        select_q <= '0;
        channels_q <= channels_word_q;
        block_last_q <= block_last_word_q;
        affine_q <= affine_word_q;
        row_q <= row_word_q;
      end
      if (word_step) begin
        channels_word_q <= channels_next;
        block_last_word_q <= block_last_next;
        affine_word_q <= affine_next;
        row_word_q <= row_next;
        dest_q <= dest_q + desc_i.plane_dest;
        if (group_step) word_q <= desc_i.stream_a;
        else if (stream_step) word_q <= desc_i.stream_b;
        else word_q <= word_q + (second_q ? desc_i.plane_b : desc_i.plane_a);
      end
      if (stream_step) second_q <= !group_step;
    end
  end

  // ---- two stages of sums

  logic valid1_q;
  logic [AddrWidth-1:0] pixel1_q, word1_q, dest1_q, offset1_q;
  logic read1_q, slot1_q, fresh1_q, low1_q, first1_q, last1_q, group1_q, block1_q;
  logic [IndexWidth-1:0] index1_q, pixels1_q;
  logic [EntryWidth-1:0] affine1_q;
  logic [SelWidth-1:0] select1_q;
  logic [BankWidth-1:0] bank1_q;
  logic swap1_q;
  logic [LanesWidth-1:0] lanes1_q;

  logic [13:0] column;
  always_comb begin
    if (mean) column = {x_q, quarter_q[0]};
    else if (nearest) column = {2'b0, x_q[12:1]};
    else column = {1'b0, x_q};
  end

  always_ff @(posedge clk_i) begin
    pixel1_q <= source_q + AddrWidth'(column);
    word1_q <= word_q + (quarter_q[1] ? AddrWidth'(desc_i.width) : '0);
    dest1_q <= to_stream_dest ? dest_q : row_q;
    offset1_q <= to_stream_dest ? number_q : (low_q ? plane_offset_i : '0);
    read1_q <= read;
    index1_q <= index_q;
    slot1_q <= slot;
    fresh1_q <= single_q || (select_q == '0 && !low_q);
    pixels1_q <= pixels;
    low1_q <= low_q;
    first1_q <= quarter_q == '0;
    last1_q <= quarter_end;
    group1_q <= !to_stream && slots_end && chunk_last && block_last_q && (second_q || !has_b);
    block1_q <= plane_end && end_q;
    affine1_q <= affine_q;
    select1_q <= select_q;
    bank1_q <= lane_q;
    swap1_q <= desc_i.spread && second_row_q;
    lanes1_q <= block_last_q ? channels_q[LanesWidth-1:0] : LanesWidth'(I);

    addr_o <= word1_q + pixel1_q;
    dest_o <= dest1_q + offset1_q;
    read_o <= read1_q;
    index_o <= index1_q;
    slot_o <= slot1_q;
    fresh_o <= fresh1_q;
    pixels_o <= pixels1_q;
    low_o <= low1_q;
    first_o <= first1_q;
    last_o <= last1_q;
    group_o <= group1_q;
    block_o <= block1_q;
    affine_o <= affine1_q;
    select_o <= select1_q;
    bank_o <= bank1_q;
    swap_o <= swap1_q;
    lanes_o <= lanes1_q;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid1_q <= 1'b0;
      valid_o  <= 1'b0;
    end else begin
      valid1_q <= run_q && go_i;
      valid_o  <= valid1_q;
    end
  end

  assign busy_o = run_q || valid1_q || valid_o;

endmodule
