// Makes of a `conv` descriptor what the loops need: sizes, steps, the places of the first P pixels. One multiplier, used in turn; about
// P + 10 cycles, 30 for Q, K and V, while the descriptor before is multiplied.

module conv_setup
  import diffuser_isa_pkg::*;
  import array_pkg::*;
#(
  parameter int unsigned P = 4,
  parameter int unsigned O = 8,
  parameter int unsigned I = 8,
  localparam int unsigned LaneWidth = $clog2(P)
) (
  input logic clk_i,
  input logic rst_ni,

  input logic start_i,  // while not busy
  input conv_desc_t desc_i,
  output logic busy_o,
  output logic valid_o,  // a pulse: the outputs below are right, and stay until the next start
  output conv_cfg_t cfg_o,
  output logic [P-1:0][LaneWidth-1:0] lane_row_o,  // place of pixel j
  output logic [P-1:0][LaneWidth-1:0] lane_column_o,
  output logic [LaneWidth:0] group_rows_o,  // from a pixel to the one P later: P div width rows,
  output logic [LaneWidth:0] group_columns_o  // P mod width columns
);

  localparam int unsigned PShift = $clog2(P);
  localparam int unsigned OShift = $clog2(O);
  localparam int unsigned IShift = $clog2(I);
  localparam int unsigned TileBlocksShift = OShift - IShift;
  localparam int unsigned BlockWidth = 8 + TileBlocksShift;  // of a number of blocks in front of `first_tile`

  typedef enum logic [3:0] {
    Idle,
    InPixels,
    OutPixels,
    Offset,  // Q, V: blocks or tiles before this descriptor
    Divide,  // K: the head of the first block, and its place there
    HeadSize,  // K: words of a head
    HeadOffset,  // K: words of the heads before
    Finish
  } state_e;

  state_e state_q;
  // waits and reserved bits are the control unit's
  // verilator lint_off UNUSEDSIGNAL
  conv_desc_t desc_q;
  // verilator lint_on UNUSEDSIGNAL
  conv_cfg_t cfg_q;

  logic walked_q;

  assign busy_o = state_q != Idle;
  assign valid_o = state_q == Finish && walked_q;
  assign cfg_o = cfg_q;

  // Fields that are used as they are.
  conv_cfg_t plain;
  always_comb begin
    plain = '0;
    plain.dest_kind = desc_q.dest_kind;
    plain.planes = desc_q.planes;
    plain.kernel_last = {desc_q.kernel[0], desc_q.kernel[1]};  // 0: 1x1, 1: 3x3, 2: 2x2
    plain.stride = desc_q.stride;
    plain.upsample = desc_q.upsample;
    plain.residual = desc_q.residual;
    plain.sums = desc_q.sums;
    plain.add_sums = desc_q.add_sums;
    plain.interleave = desc_q.interleave;
    plain.chain = desc_q.chain;
    plain.spread = desc_q.spread;
    plain.pad_top = desc_q.pad_top;
    plain.pad_left = desc_q.pad_left;
    plain.tiles = desc_q.tiles;
    plain.blocks = desc_q.blocks;
    plain.operand = desc_q.operand;
    plain.weights = desc_q.weights;
    plain.in_width = desc_q.in_width;
    plain.rows = desc_q.upsample ? {desc_q.in_height, 1'b0} : {1'b0, desc_q.in_height};
    plain.columns = desc_q.upsample ? {desc_q.in_width, 1'b0} : {1'b0, desc_q.in_width};
    plain.out_width = desc_q.out_width;
    plain.base = desc_q.dest;
    plain.step = desc_q.dest_plane;
    plain.head_blocks = desc_q.head_blocks;
    plain.residual_at = desc_q.residual_at;
    plain.dest_plane = desc_q.dest_plane;
    plain.sums_base = desc_q.sums_base;
    plain.param = desc_q.param;
  end

  // A product is ready three cycles after its state was entered.
  logic [1:0] beat_q;
  logic [23:0] factor_a, factor_a_q;
  logic [BlockWidth+4-1:0] factor_b, factor_b_q;  // 12 bits at least
  logic [23:0] product_q;
  logic product_ready;
  assign product_ready = beat_q == 2'd2;
  always_ff @(posedge clk_i) begin
    factor_a_q <= factor_a;
    factor_b_q <= factor_b;
    product_q <= 24'(factor_a_q * 24'(factor_b_q));
  end

  // Restoring division of the first block's number by the blocks of a head, a bit a cycle.
  logic [BlockWidth-1:0] head_q;  // dividend, then quotient
  logic [7:0] rest_q;
  logic [8:0] rest_next;
  logic [$clog2(BlockWidth)-1:0] bits_q;
  assign rest_next = {rest_q, head_q[BlockWidth-1]};

  logic [BlockWidth-1:0] first_block;
  if (TileBlocksShift == 0) begin : gen_one_block
    assign first_block = desc_q.first_tile;
  end else begin : gen_blocks
    assign first_block = {desc_q.first_tile, (TileBlocksShift)'(0)};
  end

  always_comb begin
    factor_a = 24'(desc_q.in_width);
    factor_b = (BlockWidth + 4)'(desc_q.in_height);
    unique case (state_q)
      OutPixels: begin
        factor_a = 24'(desc_q.out_width);
        factor_b = (BlockWidth + 4)'(desc_q.out_height);
      end
      Offset: begin
        factor_a = cfg_q.step;
        factor_b = (BlockWidth + 4)'(desc_q.dest_kind == 2'd1 ? first_block : BlockWidth'(desc_q.first_tile));
      end
      HeadSize: begin
        factor_a = cfg_q.step;  // tiles of keys
        factor_b = (BlockWidth + 4)'(desc_q.head_blocks);
      end
      HeadOffset: begin
        factor_a = cfg_q.head_step;
        factor_b = (BlockWidth + 4)'(head_q);
      end
      default: ;
    endcase
  end

  // Walks over the first P pixels in raster order.
  logic [LaneWidth-1:0] lane_q;
  logic [LaneWidth:0] row_q, column_q, column_next;
  logic [P-1:0][LaneWidth-1:0] lane_row_q, lane_column_q;
  assign column_next = column_q + 1'b1;
  assign lane_row_o = lane_row_q;
  assign lane_column_o = lane_column_q;
  assign group_rows_o = row_q;
  assign group_columns_o = column_q;
  always_ff @(posedge clk_i) begin
    if (state_q == Idle) begin
      walked_q <= 1'b0;
      lane_q   <= '0;
      row_q    <= '0;
      column_q <= '0;
    end else if (!walked_q) begin
      lane_row_q[lane_q] <= row_q[LaneWidth-1:0];
      lane_column_q[lane_q] <= column_q[LaneWidth-1:0];
      lane_q <= lane_q + 1'b1;
      walked_q <= lane_q == LaneWidth'(P - 1);
      if (12'(column_next) == desc_q.out_width) begin
        column_q <= '0;
        row_q <= row_q + 1'b1;
      end else begin
        column_q <= column_next;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (state_q == Idle && start_i) desc_q <= desc_i;
  end

  always_ff @(posedge clk_i) begin
    beat_q <= product_ready ? '0 : beat_q + 1'b1;
    unique case (state_q)
      Idle: begin
        beat_q <= '0;
        if (start_i) state_q <= InPixels;
      end
      InPixels: begin
        cfg_q <= plain;
        cfg_q.block_rows <= (product_q + 24'(P - 1)) >> PShift;
        if (product_ready) state_q <= OutPixels;
      end
      OutPixels: begin
        cfg_q.pixels <= product_q;
        cfg_q.groups <= (product_q + 24'(P - 1)) >> PShift;
        unique case (desc_q.dest_kind)
          2'd0: ;
          2'd1: cfg_q.step <= (product_q + 24'(P - 1)) >> PShift;
          2'd2: cfg_q.step <= (product_q + 24'(O - 1)) >> OShift;
          2'd3: cfg_q.step <= (product_q + 24'(I - 1)) >> IShift;
        endcase
        head_q <= first_block;
        rest_q <= '0;
        bits_q <= ($clog2(BlockWidth))'(BlockWidth - 1);
        if (product_ready) begin
          unique case (desc_q.dest_kind)
            2'd0: state_q <= Finish;
            2'd2: state_q <= Divide;
            default: state_q <= Offset;
          endcase
        end
      end
      Offset: begin
        cfg_q.base <= desc_q.dest + product_q;
        if (product_ready) state_q <= Finish;
      end
      Divide: begin
        beat_q <= '0;
        bits_q <= bits_q - 1'b1;
        if (rest_next >= 9'(desc_q.head_blocks)) begin
          rest_q <= 8'(rest_next - 9'(desc_q.head_blocks));
          head_q <= {head_q[BlockWidth-2:0], 1'b1};
        end else begin
          rest_q <= 8'(rest_next);
          head_q <= {head_q[BlockWidth-2:0], 1'b0};
        end
        if (bits_q == '0) state_q <= HeadSize;
      end
      HeadSize: begin
        cfg_q.head_step <= product_q;
        cfg_q.head_block <= rest_q;
        if (product_ready) state_q <= HeadOffset;
      end
      HeadOffset: begin
        cfg_q.base <= desc_q.dest + product_q + 24'(cfg_q.head_block);
        cfg_q.head_end <= cfg_q.head_block + 1'b1 == desc_q.head_blocks;
        if (product_ready) begin
          cfg_q.head_step <= cfg_q.head_step - 24'(desc_q.head_blocks) + 24'd1;
          state_q <= Finish;
        end
      end
      Finish: if (walked_q) state_q <= Idle;
      default: state_q <= Idle;
    endcase
    if (!rst_ni) state_q <= Idle;
  end

endmodule
