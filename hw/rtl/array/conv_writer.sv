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
  input logic [1:0] tile_end_i,  // the same twice, since one would have too many readers
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

  logic run_q, run;
  logic [2:0] run_many_q;  // the same again, as above
  kind_e kind_q;
  logic [AddrWidth-1:0] step_q, head_step_q;
  logic [7:0] head_blocks_q, before_last_q;  // blocks of a head, and less two
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
  logic [BlockWidth-1:0] block_q, block_next;
  logic last_block, advance, out_ready;
  logic head_end_q, tile_head_end_q, head_end_next;  // K: this block, the tile's first one, the next one is the last of its head

  assign place_next = head_end_q ? '0 : place_q + 1'b1;
  assign head_end_next = key_q && (head_end_q ? one_block_head_q : place_q == before_last_q);
  assign base_next = base_q + (head_end_q ? head_step_q : step_q);
  assign last_block = single_q || block_q == BlockWidth'(Blocks - 1);
  assign advance = run_q && valid_i && out_ready && !stop_i;
  assign ready_o = run_q && out_ready && !stop_i && last_block;

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

  logic pixel_step, tile_step;  // to the next pixel, to the next tile's first
  assign pixel_step = advance && last_block;
  assign tile_step = pixel_step && tile_end_i[0];
  always_comb begin
    run = run_q;
    if (!run_q) run = valid_i;
    else if (pixel_step && desc_end_i) run = 1'b0;
    if (!rst_ni) run = 1'b0;
  end
  copies #(
    .Copies(3)
  ) u_run_many (
    .clk_i,
    .d_i(run),
    .q_o(run_many_q)
  );

  always_ff @(posedge clk_i) begin
    run_q <= run;
    if (!run_q) begin
      kind_q <= kind_e'(cfg_i.dest_kind);
      step_q <= cfg_i.dest_kind == 2'd2 ? AddrWidth'(1) : cfg_i.step;
      head_step_q <= cfg_i.head_step;
      head_blocks_q <= cfg_i.head_blocks;
      before_last_q <= cfg_i.head_blocks - 8'd2;
      key_q <= cfg_i.dest_kind == 2'd2;
      one_block_head_q <= cfg_i.head_blocks == 8'd1;
      single_q <= Blocks == 1 || cfg_i.dest_kind == 2'd0 || cfg_i.dest_kind == 2'd3;
      interleave_q <= cfg_i.interleave;
      last_column_q <= cfg_i.out_width - 1'b1;
      row_step_q <= AddrWidth'({cfg_i.out_width, 1'b0}) + AddrWidth'(2);
    end
  end

  // where the block is: its tile's address, its own
  always_ff @(posedge clk_i) begin
    if (!run_many_q[0]) begin
      tile_base_q <= cfg_i.base;
      base_q <= cfg_i.base;
    end else if (advance) begin
      if (tile_step) tile_base_q <= base_next;
      base_q <= last_block && !tile_end_i[0] ? tile_base_q : base_next;
    end
  end

  always_comb begin
    block_next = block_q;
    if (!run_q) block_next = '0;
    else if (advance) block_next = last_block ? '0 : block_q + 1'b1;
  end
  always_ff @(posedge clk_i) block_q <= block_next;

  // its place in a head
  always_ff @(posedge clk_i) begin
    if (!run_many_q[2]) begin
      head_end_q <= cfg_i.head_end;
      tile_head_end_q <= cfg_i.head_end;
      tile_place_q <= cfg_i.head_block;
      place_q <= cfg_i.head_block;
    end else if (advance) begin
      if (tile_step) begin
        tile_place_q <= place_next;
        tile_head_end_q <= head_end_next;
      end
      place_q <= last_block && !tile_end_i[1] ? tile_place_q : place_next;
      head_end_q <= last_block && !tile_end_i[1] ? tile_head_end_q : head_end_next;
    end
  end

  // the pixel
  always_ff @(posedge clk_i) begin
    if (!run_many_q[1]) begin
      offset_q <= '0;
      columns_left_q <= cfg_i.out_width - 1'b1;
      row_end_q <= cfg_i.out_width == 12'd1;
      pixel_q <= '0;
    end else if (pixel_step) begin
      if (row_end_q || tile_end_i[1]) begin
        columns_left_q <= last_column_q;
        row_end_q <= last_column_q == '0;
      end else begin
        columns_left_q <= columns_left_q - 1'b1;
        row_end_q <= columns_left_q == 12'd1;
      end
      if (tile_end_i[1]) begin
        pixel_q <= '0;
        offset_q <= '0;
      end else begin
        pixel_q <= pixel_q + 1'b1;
        if ((pixel_q & wrap) == wrap) offset_q <= offset_q + offset_step;
      end
    end
  end

  // ---- the write ----

  logic out_valid_q, out_end_q, granted;
  logic out_stream_q, out_operand_q, out_weight_q;  // which memory's
  logic [AddrWidth-1:0] out_addr_q;
  // the pixel's place among banks, rows of keys, bytes of values; whether these are keys, for 8 bytes and for 32 strobes of the weights each
  logic [P-1:0] out_bank_q;
  logic [O-1:0] out_row_q;
  logic [I-1:0] out_byte_q;
  localparam int unsigned DataParts = O * I / 8;
  localparam int unsigned StrobeParts = O * I > 32 ? O * I / 32 : 1;
  logic [1:0] keys_q;
  logic [DataParts-1:0] data_keys_q;
  logic [StrobeParts-1:0] strobe_keys_q;
  logic [O-1:0][15:0] out_data_q;
  logic [I-1:0][7:0] out_block_q;

  // what a quarter of a block looks at: one for all would have too many readers
  localparam int unsigned Quarter = I / 4;
  logic [3:0] out_valid_part_q;
  logic [3:0][BlockWidth-1:0] block_part_q;
  logic out_valid;
  for (genvar k = 0; k < 4; k++) begin : gen_quarter
    copies #(
      .Width(1 + BlockWidth),
      .Copies(1)
    ) u_quarter (
      .clk_i,
      .d_i({out_valid, block_next}),
      .q_o({out_valid_part_q[k], block_part_q[k]})
    );
    always_ff @(posedge clk_i) begin
      if (!out_valid_part_q[k] || granted) begin
        for (int unsigned i = k * Quarter; i < (k + 1) * Quarter; i++) out_block_q[i] <= data_i[32'(block_part_q[k])*I+i][7:0];
      end
    end
  end

  assign out_ready = !out_valid_q || granted;
  assign out_valid = rst_ni && (out_ready ? advance : out_valid_q);
  always_ff @(posedge clk_i) begin
    if (out_ready) begin
      out_end_q <= last_block && desc_end_i;
      out_stream_q <= advance && kind_q == Stream;
      out_operand_q <= advance && kind_q == Query;
      out_weight_q <= advance && (kind_q == Key || kind_q == Value);
      out_addr_q <= base_q + offset_q;
      for (int unsigned p = 0; p < P; p++) out_bank_q[p] <= pixel_q[$clog2(P)-1:0] == ($clog2(P))'(p);
      for (int unsigned o = 0; o < O; o++) out_row_q[o] <= pixel_q[$clog2(O)-1:0] == ($clog2(O))'(o);
      for (int unsigned i = 0; i < I; i++) out_byte_q[i] <= pixel_q[$clog2(I)-1:0] == ($clog2(I))'(i);
      out_data_q <= data_i;
    end
    out_valid_q <= out_valid;
    if (!rst_ni) {out_stream_q, out_operand_q, out_weight_q} <= '0;
  end
  assign done_o = out_valid_q && granted && out_end_q;

  assign stream_we_o = out_stream_q;
  assign operand_we_o = out_operand_q;
  assign weight_we_o = out_weight_q;
  assign granted = (stream_we_o && stream_wgnt_i) || (operand_we_o && operand_wgnt_i) || (weight_we_o && weight_wgnt_i);

  assign stream_waddr_o = out_addr_q;
  assign stream_wstrb_o = '1;
  assign stream_wdata_o = out_data_q;

  assign operand_waddr_o = out_addr_q;
  always_comb begin
    for (int unsigned p = 0; p < P; p++) begin
      operand_wstrb_o[p] = out_bank_q[p];
      operand_wdata_o[p] = out_block_q;
    end
  end

  // K: lane o is a key, all bytes of a lane together. V: byte i is a key, a byte of each lane.
  assign weight_waddr_o = out_addr_q;
  // the kind stands from two cycles before the first write to the last one
  copies #(
    .Copies(2)
  ) u_keys (
    .clk_i,
    .d_i(cfg_i.dest_kind == 2'd2),
    .q_o(keys_q)
  );
  copies #(
    .Copies(DataParts)
  ) u_data_keys (
    .clk_i,
    .d_i(keys_q[0]),
    .q_o(data_keys_q)
  );
  copies #(
    .Copies(StrobeParts)
  ) u_strobe_keys (
    .clk_i,
    .d_i(keys_q[1]),
    .q_o(strobe_keys_q)
  );
  always_comb begin
    for (int unsigned o = 0; o < O; o++) begin
      for (int unsigned i = 0; i < I; i++) begin
        weight_wstrb_o[o][i] = strobe_keys_q[(o*I+i)*StrobeParts/(O*I)] ? out_row_q[o] : out_byte_q[i];
        weight_wdata_o[o][i] = data_keys_q[(o*I+i)/8] ? out_block_q[i] : out_data_q[o][7:0];
      end
    end
  end

endmodule
