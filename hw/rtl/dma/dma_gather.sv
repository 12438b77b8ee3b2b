// Reads the words of a store out of their memory and hands them on in beats of 16 bytes.
//
// It asks for no more words than its FIFO has places for, since data cannot be held back.
module dma_gather
  import diffuser_isa_pkg::*;
  import diffuser_pkg::*;
  import control_pkg::*;
#(
  parameter int unsigned O = 32,
  parameter int unsigned Depth = 16  // words on their way or waiting, at least 8
) (
  input logic clk_i,
  input logic rst_ni,
  input logic stop_i,  // ask for nothing more, drop what comes
  output logic idle_o,  // nothing is asked for or on its way

  input  logic                 valid_i,
  output logic                 ready_o,
  input  space_e               space_i,
  input  logic [AddrWidth-1:0] address_i,
  input  logic [         23:0] words_i,  // not 0

  output logic                 stream_req_o,
  output logic [AddrWidth-1:0] stream_addr_o,
  input  logic                 stream_gnt_i,
  input  logic                 stream_rvalid_i,
  input  logic [O-1:0][15:0]   stream_rdata_i,

  output logic                 state_req_o,
  output logic [AddrWidth-1:0] state_addr_o,
  input  logic                 state_gnt_i,
  input  logic                 state_rvalid_i,
  input  logic [3:0][31:0]     state_rdata_i,

  output logic                beat_valid_o,
  input  logic                beat_ready_i,
  output logic [BeatBits-1:0] beat_o
);

  localparam int unsigned WordBits = 16 * O;
  localparam int unsigned WordBeats = WordBits / BeatBits;
  localparam int unsigned CountWidth = $clog2(Depth + 1);
  localparam int unsigned SubWidth = WordBeats > 1 ? $clog2(WordBeats) : 1;
  localparam int unsigned PixelLatency = 4;

  logic active, active_q, active_count_q;  // the same twice, since one would have too many readers
  space_e space_q;
  logic [AddrWidth-1:0] address_q, req_address_q;
  logic [23:0] ask_q, come_q;  // words to be asked for, words that are to come out of the conversion
  logic [CountWidth-1:0] credit_q, pending_q;
  logic req_q, req_stream_q;  // a request outlives its store where that is dropped
  logic granted, present, arrived, pop;

  assign ready_o = !active_q && !stop_i;
  assign granted = req_q && (req_stream_q ? stream_gnt_i : state_gnt_i);
  assign present = active_q && ask_q != '0 && credit_q != '0 && (!req_q || granted) && !stop_i;
  assign stream_req_o = req_q && req_stream_q;
  assign state_req_o = req_q && !req_stream_q;
  assign stream_addr_o = req_address_q;
  assign state_addr_o = req_address_q;
  assign arrived = stream_rvalid_i || state_rvalid_i;
  assign idle_o = !req_q && pending_q == '0;

  // ---------------------------------------------------------------- words to the FIFO

  logic [PixelLatency-1:0] pixel_valid_q;
  logic [3:0][7:0] pixel;
  logic [2:0][31:0] pack_q;
  logic [1:0] packed_q, packed_next;
  logic [2:0][1:0] packed_part_q;  // the same for 32 bits each
  logic push_q, final_pixel;
  logic [WordBits-1:0] word_q, word;
  logic word_valid, unused_ready;
  logic [CountWidth-1:0] unused_count;

  for (genvar c = 0; c < 4; c++) begin : gen_pixel
    dma_pixel u_pixel (
      .clk_i,
      .value_i(state_rdata_i[c]),
      .byte_o(pixel[c])
    );
  end

  // of the low 128 bits, 32 each: one would have too many readers
  logic [3:0][$bits(space_e)-1:0] space_part_q;
  copies #(
    .Width($bits(space_e)),
    .Copies(4)
  ) u_space (
    .clk_i,
    .d_i(space_q),
    .q_o(space_part_q)
  );

  assign packed_next = !rst_ni || stop_i || (valid_i && ready_o) ? '0 : packed_q + 2'(pixel_valid_q[PixelLatency-1]);
  copies #(
    .Width(2),
    .Copies(4)
  ) u_packed (
    .clk_i,
    .d_i(packed_next),
    .q_o({packed_q, packed_part_q})
  );

  assign final_pixel = pixel_valid_q[PixelLatency-1] && (packed_q == 2'd3 || come_q == 24'd1);

  always_ff @(posedge clk_i) begin
    if (pixel_valid_q[PixelLatency-1]) begin
      if (packed_q != 2'd3) pack_q[packed_q] <= pixel;
    end
    // of the state and of pixels one beat is taken
    word_q <= stream_rdata_i;
    for (int unsigned i = 0; i < 4; i++) begin
      unique case (space_e'(space_part_q[i]))
        SpaceStream: ;
        SpaceState: word_q[32*i+:32] <= state_rdata_i[i];
        // a last word with fewer pixels: what lies above them is not written
        default: word_q[32*i+:32] <= i == 3 || packed_part_q[i%3] == 2'(i) ? pixel : pack_q[i%3];
      endcase
    end
    if (!rst_ni || stop_i || (valid_i && ready_o)) begin
      pixel_valid_q <= '0;
      push_q <= 1'b0;
    end else begin
      pixel_valid_q <= {pixel_valid_q[PixelLatency-2:0], state_rvalid_i && space_q == SpacePixel};
      push_q <= space_q == SpacePixel ? final_pixel : arrived;
    end
  end

  fifo #(
    .Width(WordBits),
    .Depth(Depth)
  ) u_words (
    .clk_i,
    .rst_ni,
    .clear_i(stop_i),
    .in_valid_i(push_q),
    .in_ready_o(unused_ready),
    .in_data_i(word_q),
    .out_valid_o(word_valid),
    .out_ready_i(pop),
    .out_data_o(word),
    .count_o(unused_count)
  );

  // ---------------------------------------------------------------- words to beats

  logic [SubWidth-1:0] sub_q, sub;
  logic word_end;
  // for 16 bits of a beat each: one would have too many readers
  localparam int unsigned Parts = BeatBits / 16;
  logic [Parts-1:0][SubWidth-1:0] sub_part_q;
  logic [23:0] left_q;  // words, of pixels too, that the FIFO is to give

  assign word_end = space_q != SpaceStream || sub_q == SubWidth'(WordBeats - 1);
  assign beat_valid_o = word_valid;
  always_comb begin
    sub = sub_q;
    if (word_valid && beat_ready_i) sub = word_end ? '0 : sub_q + 1'b1;
    if (!rst_ni || stop_i) sub = '0;
  end
  copies #(
    .Width(SubWidth),
    .Copies(Parts)
  ) u_sub (
    .clk_i,
    .d_i(sub),
    .q_o(sub_part_q)
  );
  for (genvar k = 0; k < Parts; k++) begin : gen_beat
    assign beat_o[16*k+:16] = word[BeatBits*32'(sub_part_q[k])+16*k+:16];
  end
  assign pop = beat_ready_i && word_end;

  always_ff @(posedge clk_i) begin
    sub_q <= sub;
    if (!active_q) begin
      space_q <= space_i;
      address_q <= address_i;
      ask_q <= words_i;
    end else if (present) begin
      address_q <= address_q + 1'b1;
      ask_q <= ask_q - 1'b1;
    end
    if (!active_count_q) begin
      come_q <= words_i;
      left_q <= words_i;
    end else begin
      if (pixel_valid_q[PixelLatency-1]) come_q <= come_q - 1'b1;
      if (word_valid && pop) left_q <= space_q != SpacePixel ? left_q - 1'b1 : left_q > 24'd4 ? left_q - 24'd4 : '0;
    end
    if (present) begin
      req_address_q <= address_q;
      req_stream_q  <= space_q == SpaceStream;
    end
  end

  assign active = rst_ni && !stop_i && (active_q ? left_q != '0 : valid_i);
  copies #(
    .Copies(2)
  ) u_active (
    .clk_i,
    .d_i(active),
    .q_o({active_q, active_count_q})
  );
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      req_q <= 1'b0;
      pending_q <= '0;
      credit_q <= CountWidth'(Depth);
    end else begin
      if (present) req_q <= 1'b1;
      else if (granted) req_q <= 1'b0;
      pending_q <= pending_q + CountWidth'(granted) - CountWidth'(arrived);
      // a place is given back for each word; four at once where they came out as one
      if (!active_q) credit_q <= CountWidth'(Depth);
      else credit_q <= credit_q - CountWidth'(present) + (word_valid && pop ? CountWidth'(space_q == SpacePixel ? 4 : 1) : '0);
    end
  end

`ifndef SYNTHESIS
  initial assert (WordBits >= BeatBits && Depth % 4 == 0)
  else $error("%m: an array of this shape was not thought of");
  assert property (@(posedge clk_i) disable iff (!rst_ni || stop_i) push_q |-> unused_ready)
  else $error("%m: no place for a word");
`endif

endmodule
