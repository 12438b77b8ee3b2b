// Where the result of a `conv` goes: takes requantised pixels in order and writes them to the stream memory, to the operand memory (Q) or
// to the weight memory as K or V. A pixel is one write, for Q and K one for each of its O / I blocks.
//
// An address is that of the channel block plus that of the pixel; both run along, no product is formed. Of an interleaved result
// pixels are two words apart, and one row of the stream lies between two of its rows.

module conv_writer
  import diffuser_pkg::*;
  import array_pkg::*;
#(
  parameter int unsigned P = 4,
  parameter int unsigned O = 8,
  parameter int unsigned I = 8
) (
  input logic clk_i,
  input logic rst_ni,

  input logic stop_i,  // make no new request; what was requested stays until it is granted

  // descriptor of the pixels that come; stays until done_o
  // verilator lint_off UNUSEDSIGNAL
  input conv_cfg_t cfg_i,  // each stage uses a part
  // verilator lint_on UNUSEDSIGNAL
  output logic done_o,  // pulse: its last write is granted

  input logic valid_i,
  output logic ready_o,
  input logic tile_end_i,
  input logic desc_end_i,
  input logic [O-1:0][15:0] data_i,

  output logic stream_we_o,
  output logic [AddrWidth-1:0] stream_waddr_o,
  output logic [O-1:0] stream_wstrb_o,
  output logic [O-1:0][15:0] stream_wdata_o,
  input logic stream_wgnt_i,

  output logic operand_we_o,
  output logic [AddrWidth-1:0] operand_waddr_o,
  output logic [P-1:0] operand_wstrb_o,
  output logic [P-1:0][I-1:0][7:0] operand_wdata_o,
  input logic operand_wgnt_i,

  output logic weight_we_o,
  output logic [AddrWidth-1:0] weight_waddr_o,
  output logic [O-1:0][I-1:0] weight_wstrb_o,
  output logic [O-1:0][I-1:0][7:0] weight_wdata_o,
  input logic weight_wgnt_i
);

  localparam int unsigned Blocks = O / I;
  localparam int unsigned BlockWidth = Blocks > 1 ? $clog2(Blocks) : 1;
  localparam int unsigned Widest = O > P ? O : P;
  localparam int unsigned PlaceWidth = $clog2(Widest);

  typedef enum logic [1:0] {
    Stream = 2'd0,
    Query = 2'd1,
    Key = 2'd2,
    Value = 2'd3
  } kind_e;

  // ---- loops: tile, pixel, block ----

  logic run_q;
  kind_e kind_q;
  logic [AddrWidth-1:0] step_q, head_step_q;
  logic [7:0] head_blocks_q, last_place_q;  // blocks of a head, and less one
  logic key_q, one_block_head_q, single_q;  // K; with heads of one block; a pixel is one write
  logic [AddrWidth-1:0] tile_base_q, base_q, base_next;  // of the tile's first block, of this one
  logic [7:0] tile_place_q, place_q, place_next;  // of the block within its head (K)
  logic [AddrWidth-1:0] offset_q;  // of the pixel
  logic interleave_q;
  logic [11:0] last_column_q, columns_left_q;  // columns less one, behind this one
  logic row_end_q;
  logic [AddrWidth-1:0] row_step_q;  // interleaved, from a row's last pixel to the next one's first
  logic [AddrWidth-1:0] offset_step;
  logic [PlaceWidth-1:0] pixel_q, wrap;  // low bits of its number; ones where the next has another offset
  logic [BlockWidth-1:0] block_q;
  logic last_block, advance, out_ready;
  logic head_end_q, tile_head_end_q, head_end_next;  // K: this block, the tile's first one, the next one is the last of its head

  assign place_next = head_end_q ? '0 : place_q + 1'b1;
  assign head_end_next = key_q && (head_end_q ? one_block_head_q : place_q + 1'b1 == last_place_q);
  assign base_next = base_q + (head_end_q ? head_step_q : step_q);
  assign last_block = single_q || block_q == BlockWidth'(Blocks - 1);
  assign advance = run_q && valid_i && out_ready;
  assign ready_o = run_q && out_ready && last_block;

  always_comb begin
    if (key_q) offset_step = AddrWidth'(head_blocks_q);
    else if (!interleave_q) offset_step = AddrWidth'(1);
    else offset_step = row_end_q ? row_step_q : AddrWidth'(2);
  end

  always_comb begin
    unique case (kind_q)
      Stream: wrap = '0;
      Query:  wrap = PlaceWidth'(P - 1);
      Key:    wrap = PlaceWidth'(O - 1);
      Value:  wrap = PlaceWidth'(I - 1);
    endcase
  end

  always_ff @(posedge clk_i) begin
    if (!run_q) begin
      run_q <= valid_i;
      kind_q <= kind_e'(cfg_i.dest_kind);
      step_q <= cfg_i.dest_kind == 2'd2 ? AddrWidth'(1) : cfg_i.step;
      head_step_q <= cfg_i.head_step;
      head_blocks_q <= cfg_i.head_blocks;
      last_place_q <= cfg_i.head_blocks - 1'b1;
      key_q <= cfg_i.dest_kind == 2'd2;
      one_block_head_q <= cfg_i.head_blocks == 8'd1;
      single_q <= Blocks == 1 || cfg_i.dest_kind == 2'd0 || cfg_i.dest_kind == 2'd3;
      head_end_q <= cfg_i.dest_kind == 2'd2 && cfg_i.head_block + 1'b1 == cfg_i.head_blocks;
      tile_head_end_q <= cfg_i.dest_kind == 2'd2 && cfg_i.head_block + 1'b1 == cfg_i.head_blocks;
      tile_base_q <= cfg_i.base;
      base_q <= cfg_i.base;
      tile_place_q <= cfg_i.head_block;
      place_q <= cfg_i.head_block;
      offset_q <= '0;
      interleave_q <= cfg_i.interleave;
      last_column_q <= cfg_i.out_width - 1'b1;
      columns_left_q <= cfg_i.out_width - 1'b1;
      row_end_q <= cfg_i.out_width == 12'd1;
      row_step_q <= AddrWidth'({cfg_i.out_width, 1'b0}) + AddrWidth'(2);
      pixel_q <= '0;
      block_q <= '0;
    end else if (advance) begin
      if (!last_block) begin
        block_q <= block_q + 1'b1;
        base_q <= base_next;
        place_q <= place_next;
        head_end_q <= head_end_next;
      end else begin
        block_q <= '0;
        if (row_end_q || tile_end_i) begin
          columns_left_q <= last_column_q;
          row_end_q <= last_column_q == '0;
        end else begin
          columns_left_q <= columns_left_q - 1'b1;
          row_end_q <= columns_left_q == 12'd1;
        end
        if (tile_end_i) begin
          pixel_q <= '0;
          offset_q <= '0;
          tile_base_q <= base_next;
          base_q <= base_next;
          tile_place_q <= place_next;
          place_q <= place_next;
          tile_head_end_q <= head_end_next;
          head_end_q <= head_end_next;
        end else begin
          pixel_q <= pixel_q + 1'b1;
          if ((pixel_q & wrap) == wrap) offset_q <= offset_q + offset_step;
          base_q <= tile_base_q;
          place_q <= tile_place_q;
          head_end_q <= tile_head_end_q;
        end
        if (desc_end_i) run_q <= 1'b0;
      end
    end
    if (!rst_ni) run_q <= 1'b0;
  end

  // ---- the write ----

  logic out_valid_q, out_end_q, granted;
  kind_e out_kind_q;
  logic [AddrWidth-1:0] out_addr_q;
  logic [PlaceWidth-1:0] out_pixel_q;
  logic [O-1:0][15:0] out_data_q;
  logic [I-1:0][7:0] out_block_q, block;

  always_comb begin
    for (int unsigned i = 0; i < I; i++) block[i] = data_i[32'(block_q)*I+i][7:0];
  end

  assign out_ready = !out_valid_q || granted;
  always_ff @(posedge clk_i) begin
    if (out_ready) begin
      out_valid_q <= advance;
      out_end_q <= last_block && desc_end_i;
      out_kind_q <= kind_q;
      out_addr_q <= base_q + offset_q;
      out_pixel_q <= pixel_q;
      out_data_q <= data_i;
      out_block_q <= block;
    end
    if (!rst_ni) out_valid_q <= 1'b0;
  end
  assign done_o = out_valid_q && granted && out_end_q;

  logic held_q, write;  // requested and not granted
  assign write = out_valid_q && (!stop_i || held_q);
  always_ff @(posedge clk_i) held_q <= rst_ni && write && !granted;
  assign stream_we_o = write && out_kind_q == Stream;
  assign operand_we_o = write && out_kind_q == Query;
  assign weight_we_o = write && (out_kind_q == Key || out_kind_q == Value);
  assign granted = (stream_we_o && stream_wgnt_i) || (operand_we_o && operand_wgnt_i) || (weight_we_o && weight_wgnt_i);

  assign stream_waddr_o = out_addr_q;
  assign stream_wstrb_o = '1;
  assign stream_wdata_o = out_data_q;

  assign operand_waddr_o = out_addr_q;
  always_comb begin
    for (int unsigned p = 0; p < P; p++) begin
      operand_wstrb_o[p] = out_pixel_q[$clog2(P)-1:0] == ($clog2(P))'(p);
      operand_wdata_o[p] = out_block_q;
    end
  end

  // K: lane o is a key, all bytes of a lane together. V: byte i is a key, a byte of each lane.
  assign weight_waddr_o = out_addr_q;
  always_comb begin
    for (int unsigned o = 0; o < O; o++) begin
      for (int unsigned i = 0; i < I; i++) begin
        if (out_kind_q == Key) begin
          weight_wstrb_o[o][i] = out_pixel_q[$clog2(O)-1:0] == ($clog2(O))'(o);
          weight_wdata_o[o][i] = out_block_q[i];
        end else begin
          weight_wstrb_o[o][i] = out_pixel_q[$clog2(I)-1:0] == ($clog2(I))'(i);
          weight_wdata_o[o][i] = out_data_q[o][7:0];
        end
      end
    end
  end

endmodule
