// The outer loops of a `conv` (tile, group of P pixels, plane, ky, kx): for each tap which input pixel every lane reads, one tap a
// cycle. Counters of row and column for each lane; a pixel's number is row * width + column, one multiplier a lane, off the
// loop's path. Which lanes read one bank in different rows is found here as well.

module conv_taps
  import array_pkg::*;
#(
  parameter int unsigned P = 4,  // at least 4
  parameter int unsigned Depth = 16,  // taps made ahead; more than the stages of this module
  localparam int unsigned LaneWidth = $clog2(P),
  localparam int unsigned GroupWidth = 24 - LaneWidth
) (
  input logic clk_i,
  input logic rst_ni,

  input logic valid_i,  // there is a descriptor; all below stay as they are until done_o
  output logic done_o,  // pulse: its last tap is made
  // verilator lint_off UNUSEDSIGNAL
  input conv_cfg_t cfg_i,  // each stage uses a part
  // verilator lint_on UNUSEDSIGNAL
  input logic [P-1:0][LaneWidth-1:0] lane_row_i,
  input logic [P-1:0][LaneWidth-1:0] lane_column_i,
  input logic [LaneWidth:0] group_rows_i,
  input logic [LaneWidth:0] group_columns_i,

  output logic tap_valid_o,
  input logic tap_ready_i,
  output tap_flags_t flags_o,
  // lanes that read an input pixel; all others take the zero point
  output logic [P-1:0] served_o,  // in the first cycle of a block: no lane before wants the bank in another row
  output logic [P-1:0] rest_o,  // later
  output logic single_o,  // there is no later
  output logic [P-1:0][LaneWidth-1:0] bank_o,
  output logic [P-1:0][GroupWidth-1:0] group_o,  // row within the block
  output logic [P-1:0][P-1:0] conflict_o,  // [j][k], k < j: both in the image, same bank, different rows
  output logic [GroupWidth-1:0] last_group_o  // the last one that a lane reads
);

  // ---- loops ----

  logic busy_q, emit, room;
  logic [7:0] tile_left_q;  // tiles after this one
  logic [23:0] group_left_q;
  logic tile_last_q, group_last_q, one_group_q;  // tile_left_q == 0, group_left_q == 0; there is but one group
  logic plane_q;
  logic [1:0] ky_q, kx_q, k_last_q;
  logic one_tap_q, ky_end_q, kx_end_q;  // k_last_q == 0, ky_q == k_last_q, kx_q == k_last_q
  logic planes_q;
  logic [P-1:0][12:0] row_q;  // past the last pixel rows go beyond the output, at most by P
  logic [P-1:0][11:0] column_q;
  logic kx_end, ky_end, plane_end, group_end, tile_end;

  assign kx_end = kx_end_q;
  assign ky_end = kx_end_q && ky_end_q;
  assign plane_end = ky_end && planes_q && !plane_q;
  assign group_end = ky_end && !plane_end;
  assign tile_end = group_end && group_last_q;
  assign emit = busy_q && room;
  assign done_o = emit && tile_end && tile_last_q;

  logic [P-1:0][12:0] row_first, row_next;
  logic [P-1:0][11:0] column_first, column_next;
  always_comb begin
    for (int unsigned j = 0; j < P; j++) begin
      logic [12:0] column;  // before the wrap
      row_first[j] = 13'(lane_row_i[j]);
      column_first[j] = 12'(lane_column_i[j]);
      column = 13'(column_q[j]) + 13'(group_columns_i);
      if (column >= 13'(cfg_i.out_width)) begin
        column_next[j] = 12'(column - 13'(cfg_i.out_width));
        row_next[j] = row_q[j] + 13'(group_rows_i) + 13'd1;
      end else begin
        column_next[j] = 12'(column);
        row_next[j] = row_q[j] + 13'(group_rows_i);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!busy_q) begin
      busy_q <= valid_i;
      k_last_q <= cfg_i.kernel_last;
      planes_q <= cfg_i.planes;
      tile_left_q <= cfg_i.tiles - 1'b1;
      tile_last_q <= cfg_i.tiles == 8'd1;
      group_left_q <= cfg_i.groups - 1'b1;
      group_last_q <= cfg_i.groups == 24'd1;
      one_group_q <= cfg_i.groups == 24'd1;
      plane_q <= 1'b0;
      ky_q <= '0;
      kx_q <= '0;
      one_tap_q <= cfg_i.kernel_last == '0;
      ky_end_q <= cfg_i.kernel_last == '0;
      kx_end_q <= cfg_i.kernel_last == '0;
      row_q <= row_first;
      column_q <= column_first;
    end else if (emit) begin
      kx_q <= kx_end ? '0 : kx_q + 1'b1;
      kx_end_q <= kx_end ? one_tap_q : kx_q + 2'd1 == k_last_q;
      if (kx_end) begin
        ky_q <= ky_end ? '0 : ky_q + 1'b1;
        ky_end_q <= ky_end ? one_tap_q : ky_q + 2'd1 == k_last_q;
      end
      if (ky_end) plane_q <= plane_end;
      if (tile_end) begin
        tile_left_q <= tile_left_q - 1'b1;
        tile_last_q <= tile_left_q == 8'd1;
        group_left_q <= cfg_i.groups - 1'b1;
        group_last_q <= one_group_q;
        row_q <= row_first;
        column_q <= column_first;
        busy_q <= !tile_last_q;
      end else if (group_end) begin
        group_left_q <= group_left_q - 1'b1;
        group_last_q <= group_left_q == 24'd1;
        row_q <= row_next;
        column_q <= column_next;
      end
    end
    if (!rst_ni) busy_q <= 1'b0;
  end

  // Lanes of pixels that there are.
  logic [P-1:0] lane_valid;
  always_comb begin
    for (int unsigned j = 0; j < P; j++) begin
      lane_valid[j] = !group_last_q || cfg_i.pixels[LaneWidth-1:0] == '0 || LaneWidth'(j) < cfg_i.pixels[LaneWidth-1:0];
    end
  end

  // ---- stage 1: coordinates, of the upsampled input where there is one ----

  // to find the largest of P takes a stage for each halving, to find conflicts three
  localparam int unsigned Stages = 4 + (LaneWidth > 3 ? LaneWidth : 3);
  logic [Stages:1] valid_q;
  tap_flags_t [Stages:1] flags_q;
  logic [P-1:0] lane_valid1_q;
  logic [P-1:0][14:0] y1_q, x1_q;  // signed
  // once for each lane, since one would have too many readers; the descriptor stands a cycle before its first tap
  logic [P-1:0] stride_q;
  copies #(
    .Copies(P)
  ) u_stride (
    .clk_i,
    .d_i(cfg_i.stride),
    .q_o(stride_q)
  );
  always_ff @(posedge clk_i) begin
    valid_q <= {valid_q[Stages-1:1], emit};
    if (!rst_ni) valid_q <= '0;
    flags_q[1] <= '{
        first: !plane_q && ky_q == '0 && kx_q == '0,
        plane_first: plane_q && ky_q == '0 && kx_q == '0,
        plane_end: plane_end,
        group_end: group_end,
        tile_end: tile_end,
        desc_end: done_o,
        tile0: tile_left_q == cfg_i.tiles - 1'b1
    };
    flags_q[Stages:2] <= flags_q[Stages-1:1];
    lane_valid1_q <= lane_valid;
    for (int unsigned j = 0; j < P; j++) begin
      y1_q[j] <= (stride_q[j] ? {1'b0, row_q[j], 1'b0} : 15'(row_q[j])) + 15'(ky_q) - 15'(cfg_i.pad_top);
      x1_q[j] <= (stride_q[j] ? {2'b0, column_q[j], 1'b0} : 15'(column_q[j])) + 15'(kx_q) - 15'(cfg_i.pad_left);
    end
  end

  // ---- stage 2: padding ----

  logic [6:2][P-1:0] in_image_q;
  logic [P-1:0][11:0] y2_q, x2_q, x3_q;
  logic [11:0] width2_q;
  logic [12:0] rows1_q, columns1_q;
  logic [P-1:0] upsample1_q;  // once for each lane, since one would have too many readers
  logic [4:1] spread_q;
  logic [11:0] width1_q;
  always_ff @(posedge clk_i) begin
    // of the tap's own descriptor: the next one's may stand at the inputs when its last taps are here
    rows1_q <= cfg_i.rows;
    columns1_q <= cfg_i.columns;
    spread_q <= {spread_q[3:1], cfg_i.spread};
    width1_q <= cfg_i.in_width;
    width2_q <= width1_q;
    for (int unsigned j = 0; j < P; j++) begin
      // a negative coordinate is large without its sign
      in_image_q[2][j] <= lane_valid1_q[j] && y1_q[j] < 15'(rows1_q) && x1_q[j] < 15'(columns1_q);
      y2_q[j] <= upsample1_q[j] ? y1_q[j][12:1] : y1_q[j][11:0];
      x2_q[j] <= upsample1_q[j] ? x1_q[j][12:1] : x1_q[j][11:0];
    end
    in_image_q[6:3] <= in_image_q[5:2];
  end

  copies #(
    .Copies(P)
  ) u_upsample1 (
    .clk_i,
    .d_i(cfg_i.upsample),
    .q_o(upsample1_q)
  );

  // ---- stages 3 and 4: the pixel's number; from stage 5 on its bank stands in the number's low bits ----

  logic [P-1:0][23:0] product3_q;
  logic [Stages:4][P-1:0][23:0] pixel_q;
  logic [P-1:0][LaneWidth-1:0] bank4;
  always_comb begin
    for (int unsigned j = 0; j < P; j++) begin
      bank4[j] = pixel_q[4][j][LaneWidth-1:0];
      bank4[j][0] = pixel_q[4][j][0] ^ (spread_q[4] && pixel_q[4][j][LaneWidth]);
    end
  end
  always_ff @(posedge clk_i) begin
    x3_q <= x2_q;
    for (int unsigned j = 0; j < P; j++) begin
      product3_q[j] <= 24'(y2_q[j]) * 24'(width2_q);
      pixel_q[4][j] <= product3_q[j] + 24'(x3_q[j]);
    end
    for (int unsigned j = 0; j < P; j++) pixel_q[5][j] <= {pixel_q[4][j][23:LaneWidth], bank4[j]};
    pixel_q[Stages:6] <= pixel_q[Stages-1:5];
  end

  // ---- stages 5 to 7: conflicts; the last group that a lane reads, not always the last lane's with upsampling ----

  logic [P-1:0][P-1:0] same_bank_q, lower_q, upper_q;  // both in the image, in one bank; the pixels' lower, upper bits differ
  logic [Stages:6][P-1:0][P-1:0] conflict_q;
  logic [Stages:7][P-1:0] served_q, rest_q;
  logic [Stages:7] single_q;
  always_ff @(posedge clk_i) begin
    single_q[7] <= conflict_q[6] == '0;
    for (int unsigned j = 0; j < P; j++) begin
      served_q[7][j] <= in_image_q[6][j] && conflict_q[6][j] == '0;
      rest_q[7][j]   <= in_image_q[6][j] && conflict_q[6][j] != '0;
    end
    for (int unsigned s = 8; s <= Stages; s++) begin
      single_q[s] <= single_q[s-1];
      served_q[s] <= served_q[s-1];
      rest_q[s]   <= rest_q[s-1];
    end
    for (int unsigned j = 0; j < P; j++) begin
      for (int unsigned k = 0; k < P; k++) begin
        same_bank_q[j][k] <= k < j && in_image_q[4][j] && in_image_q[4][k] && bank4[j] == bank4[k];
        lower_q[j][k] <= pixel_q[4][j][11:0] != pixel_q[4][k][11:0];
        upper_q[j][k] <= pixel_q[4][j][23:12] != pixel_q[4][k][23:12];
        conflict_q[6][j][k] <= same_bank_q[j][k] && (lower_q[j][k] || upper_q[j][k]);
      end
    end
    for (int unsigned s = 7; s <= Stages; s++) conflict_q[s] <= conflict_q[s-1];
  end

  for (genvar l = 0; l <= LaneWidth; l++) begin : gen_last
    logic [(P>>l)-1:0][GroupWidth-1:0] last;
    if (l == 0) begin : gen_leaf
      always_comb begin
        for (int unsigned j = 0; j < P; j++) last[j] = in_image_q[4][j] ? pixel_q[4][j][23:LaneWidth] : '0;
      end
    end else begin : gen_level
      always_ff @(posedge clk_i) begin
        for (int unsigned j = 0; j < (P >> l); j++) begin
          last[j] <= gen_last[l-1].last[2*j] > gen_last[l-1].last[2*j+1] ? gen_last[l-1].last[2*j]
              : gen_last[l-1].last[2*j+1];
        end
      end
    end
  end

  logic [Stages:4+LaneWidth][GroupWidth-1:0] last_q;
  assign last_q[4+LaneWidth] = gen_last[LaneWidth].last[0];
  for (genvar s = 5 + LaneWidth; s <= Stages; s++) begin : gen_last_late
    always_ff @(posedge clk_i) last_q[s] <= last_q[s-1];
  end

  // ---- taps made ahead ----

  logic [$clog2(Depth+1)-1:0] room_q;  // places not promised to a tap
  assign room = room_q != '0;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) room_q <= ($clog2(Depth + 1))'(Depth);
    else room_q <= room_q + ($clog2(Depth + 1))'(tap_valid_o && tap_ready_i) - ($clog2(Depth + 1))'(emit);
  end

  typedef struct packed {
    tap_flags_t flags;
    logic [P-1:0] served;
    logic [P-1:0] rest;
    logic single;
    logic [P-1:0][23:0] pixel;
    logic [P-1:0][P-1:0] conflict;
    logic [GroupWidth-1:0] last_group;
  } tap_t;
  tap_t tap;
  logic fifo_ready;
  logic [$clog2(Depth+1)-1:0] fifo_count;
  fifo #(
    .Width($bits(tap_t)),
    .Depth(Depth)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .in_valid_i(valid_q[Stages]),
    .in_ready_o(fifo_ready),
    .in_data_i({flags_q[Stages], served_q[Stages], rest_q[Stages], single_q[Stages], pixel_q[Stages], conflict_q[Stages], last_q[Stages]}),
    .out_valid_o(tap_valid_o),
    .out_ready_i(tap_ready_i),
    .out_data_o(tap),
    .count_o(fifo_count)
  );

  assign flags_o = tap.flags;
  assign served_o = tap.served;
  assign rest_o = tap.rest;
  assign single_o = tap.single;
  assign conflict_o = tap.conflict;
  assign last_group_o = tap.last_group;
  always_comb begin
    for (int unsigned j = 0; j < P; j++) begin
      bank_o[j]  = tap.pixel[j][LaneWidth-1:0];
      group_o[j] = tap.pixel[j][23:LaneWidth];
    end
  end

  logic unused;
  assign unused = ^{fifo_ready, fifo_count};

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) valid_q[Stages] |-> fifo_ready)
  else $error("%m: a tap was made without a place for it");
`endif

endmodule
