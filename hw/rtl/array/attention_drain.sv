// From sums of weighted values to operands: docs/isa.md, attention, step 5.
//
// Tiles [P][O] of sums wait in a buffer; each is read I lanes of one query a cycle. The tiles of a group of queries come in the order of
// their channels, the groups in order, head after head.
module attention_drain
  import diffuser_pkg::*;
#(
  parameter int unsigned P = 4,
  parameter int unsigned O = 8,
  parameter int unsigned I = 8,
  parameter int unsigned Tiles = 16,  // buffered; a power of two, up to 32 cost the same
  localparam int unsigned RowWidth = $clog2(P)
) (
  input logic clk_i,
  input logic rst_ni,

  // begin; everything below stays as it is until the last group is written. With stop_i only what has begun is written.
  input logic [          2:0] start_i,  // the same for parts, since one would have too many readers
  input logic                 stop_i,
  input logic [          7:0] clear_i,  // either of them: forget all tiles
  input logic [          7:0] last_head_i,
  input logic [AddrWidth-1:0] last_group_i,  // of queries
  input logic [          7:0] last_block_i,  // of I channels of a head
  input logic [ RowWidth-1:0] last_row_i,    // last query of the last group
  input logic [AddrWidth-1:0] rows_i,        // of the operand memory a block: groups
  input logic [AddrWidth-1:0] dest_i,
  input logic signed [  15:0] gain_i,

  // tiles of sums; whoever sends one has counted that there is room
  input  logic                     we_i,
  input  logic [P-1:0][O-1:0][31:0] sum_i,
  output logic                     tile_o,   // pulse: room for another

  // reciprocals of the rows' sums, groups in sets 0, 1, 0, ...
  input  logic                ready_i,  // those of the oldest group are there
  output logic [1:0]               row_set_o,  // the same twice, since one would have too many readers
  output logic [1:0][RowWidth-1:0] row_o,
  input  logic [        16:0] mantissa_i,
  input  logic [         4:0] top_i,
  output logic                group_o,  // pulse: they are not needed any more

  output logic busy_o,  // something is on its way to the operand memory

  output logic                       operand_we_o,
  output logic [AddrWidth-1:0]       operand_waddr_o,
  output logic [P-1:0]               operand_wstrb_o,
  output logic [P-1:0][I-1:0][7:0]   operand_wdata_o,
  input  logic                       operand_wgnt_i
);

  localparam int unsigned SubWidth = O > I ? $clog2(O / I) : 1;
  localparam int unsigned SubMax = O / I - 1;
  localparam int unsigned Results = 32;
  localparam int unsigned Latency = 10;  // from a read to its operand

  // ---------------------------------------------------------------- order

  // Counters run down beside a flag that they are at their last, so that nothing is compared on the way to an end.
  logic [RowWidth-1:0] row_q, row;
  logic [SubWidth-1:0] sub_q, sub;
  logic set_q, set;
  logic [7:0] blocks_left_q;
  logic [AddrWidth-1:0] groups_left_q;
  logic [7:0] heads_left_q;
  logic block_end_q, group_last_q, group_next_last_q, head_last_q;
  logic two_groups_q;
  logic one_block_q, one_group_q;  // there is but one; static
  logic [RowWidth-1:0] row_last_q;  // of the group
  logic [AddrWidth-1:0] addr_q, addr_group_q;
  logic some_tiles, room_q;
  logic go, row_end, sub_end, tile_end;
  assign go = some_tiles && ready_i && room_q && !stop_i;
  assign row_end = row_q == row_last_q;
  assign sub_end = sub_q == SubWidth'(SubMax) || block_end_q;
  assign tile_end = go && row_end && sub_end;
  assign tile_o = tile_end;
  assign group_o = tile_end && block_end_q;
  always_comb begin
    row = row_q;
    sub = sub_q;
    set = set_q ^ group_o;
    if (go) row = row_end ? '0 : row_q + 1'b1;
    if (go && row_end) sub = sub_end ? '0 : sub_q + 1'b1;
    if (start_i[0]) {row, sub, set} = '0;
  end

  logic left_q;  // heads are left
  always_ff @(posedge clk_i) begin
    if (!rst_ni || stop_i) left_q <= 1'b0;
    else if (start_i[0]) left_q <= 1'b1;
    else if (group_o && group_last_q && head_last_q) left_q <= 1'b0;
    {row_q, sub_q, set_q} <= {row, sub, set};
    one_block_q <= last_block_i == '0;
    one_group_q <= last_group_i == '0;
    two_groups_q <= last_group_i == AddrWidth'(1);
    if (start_i[1]) begin
      blocks_left_q <= last_block_i;
      block_end_q <= last_block_i == '0;
      groups_left_q <= last_group_i;
      group_last_q <= last_group_i == '0;
      group_next_last_q <= last_group_i == AddrWidth'(1);
      row_last_q <= last_group_i == '0 ? last_row_i : RowWidth'(P - 1);
      heads_left_q <= last_head_i;
      head_last_q <= last_head_i == '0;
    end else begin
      if (go && row_end) begin
        blocks_left_q <= block_end_q ? last_block_i : blocks_left_q - 1'b1;
        block_end_q <= block_end_q ? one_block_q : blocks_left_q == 8'd1;
      end
      if (group_o) begin
        groups_left_q <= group_last_q ? last_group_i : groups_left_q - 1'b1;
        group_next_last_q <= group_last_q ? two_groups_q : groups_left_q == AddrWidth'(2);
        if (group_last_q ? one_group_q : group_next_last_q) begin
          group_last_q <= 1'b1;
          row_last_q <= last_row_i;
        end else begin
          group_last_q <= 1'b0;
          row_last_q <= RowWidth'(P - 1);
        end
        if (group_last_q) begin
          heads_left_q <= heads_left_q - 1'b1;
          head_last_q <= heads_left_q == 8'd1;
        end
      end
    end
    if (start_i[2]) begin
      addr_q <= dest_i;
      addr_group_q <= dest_i;
    end else if (group_o) begin
      // the last row of the last group's last block is the last of the head
      addr_q <= group_last_q ? addr_q + 1'b1 : addr_group_q + 1'b1;
      addr_group_q <= group_last_q ? addr_q + 1'b1 : addr_group_q + 1'b1;
    end else if (go && row_end) begin
      addr_q <= addr_q + rows_i;
    end
  end

  // row and set where the reciprocals are chosen, row and block where the sums are: registers with few readers each
  localparam int unsigned Choices = 3;  // of a lane's 32 bits
  typedef struct packed {
    logic [RowWidth-1:0] row;
    logic [SubWidth-1:0] sub;
  } choice_t;
  choice_t [I-1:0][Choices-1:0] choice_q;
  copies #(
    .Width($bits(choice_t)),
    .Copies(I * Choices)
  ) u_choice (
    .clk_i,
    .d_i({row, sub}),
    .q_o(choice_q)
  );
  for (genvar k = 0; k < 2; k++) begin : gen_row
    copies #(
      .Width(RowWidth + 1),
      .Copies(1)
    ) u_row (
      .clk_i,
      .d_i({set, row}),
      .q_o({row_set_o[k], row_o[k]})
    );
  end

  // ---------------------------------------------------------------- sums and lanes

  logic [P-1:0][O-1:0][31:0] read;
  logic sums_fit;
  logic [$clog2(Tiles+1)-1:0] unused_tiles;
  fifo #(
    .Width(P * O * 32),
    .Depth(Tiles),
    .Clears(8)
  ) u_sums (
    .clk_i,
    .rst_ni,
    .clear_i,
    .in_valid_i(we_i),
    .in_ready_o(sums_fit),
    .in_data_i(sum_i),
    .out_valid_o(some_tiles),
    .out_ready_i(tile_end),
    .out_data_o(read),
    .count_o(unused_tiles)
  );

  logic [I-1:0][31:0] x1_q;
  logic [16:0] mantissa1_q;
  // for 4 lanes each: one would have too many readers
  localparam int unsigned Tops = I > 4 ? I / 4 : 1;
  logic [Tops-1:0][4:0] top1_q;
  copies #(
    .Width(5),
    .Copies(Tops)
  ) u_top1 (
    .clk_i,
    .d_i(top_i),
    .q_o(top1_q)
  );
  logic [I-1:0][7:0] operand;
  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < I; i++) begin
      for (int unsigned b = 0; b < 32; b++) begin
        automatic choice_t of = choice_q[i][b*Choices/32];
        x1_q[i][b] <= read[of.row][32'(of.sub)*I+i][b];
      end
    end
    mantissa1_q <= mantissa_i;
  end
  for (genvar i = 0; i < I; i++) begin : gen_lane
    attention_lane u_lane (
      .clk_i,
      .gain_i,
      .x_i(x1_q[i]),
      .mantissa_i(mantissa1_q),
      .top_i(top1_q[i*Tops/I]),
      .operand_o(operand[i])
    );
  end
  logic [Latency-1:0] valid_q;
  always_ff @(posedge clk_i) valid_q <= rst_ni ? {valid_q[Latency-2:0], go} : '0;

  // ---------------------------------------------------------------- writes

  typedef struct packed {
    logic [AddrWidth-1:0] addr;
    logic [RowWidth-1:0] row;
  } place_t;
  place_t place;
  logic take, written, result_valid;
  logic [I-1:0][7:0] result;
  logic [1:0] fits;
  logic unused_valid;
  logic [1:0][$clog2(Results+1)-1:0] unused_count;
  fifo #(
    .Width($bits(place_t)),
    .Depth(Results)
  ) u_places (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .in_valid_i(go),
    .in_ready_o(fits[0]),
    .in_data_i({addr_q, row_q}),
    .out_valid_o(unused_valid),  // there before its operands
    .out_ready_i(take),
    .out_data_o(place),
    .count_o(unused_count[0])
  );
  fifo #(
    .Width(I * 8),
    .Depth(Results)
  ) u_results (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .in_valid_i(valid_q[Latency-1]),
    .in_ready_o(fits[1]),
    .in_data_i(operand),
    .out_valid_o(result_valid),
    .out_ready_i(take),
    .out_data_o(result),
    .count_o(unused_count[1])
  );
`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) go |-> fits[0])
  else $error("%m: a place is lost");
  assert property (@(posedge clk_i) disable iff (!rst_ni) valid_q[Latency-1] |-> fits[1])
  else $error("%m: operands are lost");
  assert property (@(posedge clk_i) disable iff (!rst_ni) we_i |-> sums_fit)
  else $error("%m: a tile is lost");
`endif

  logic [5:0] results_q, results_d;
  assign results_d = results_q + 6'(go) - 6'(written);
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      results_q <= '0;
      room_q <= 1'b1;
    end else begin
      results_q <= results_d;
      room_q <= results_d < 6'(Results);
    end
  end

  logic [I-1:0][7:0] data_q;
  assign written = operand_we_o && operand_wgnt_i;
  assign take = result_valid && (written || !operand_we_o);
  always_ff @(posedge clk_i) begin
    if (!rst_ni) operand_we_o <= 1'b0;
    else if (take) operand_we_o <= 1'b1;
    else if (written) operand_we_o <= 1'b0;
    if (take) begin
      operand_waddr_o <= place.addr;
      operand_wstrb_o <= P'(1) << place.row;
      data_q <= result;
    end
  end
  assign operand_wdata_o = {P{data_q}};

  assign busy_o = left_q || results_q != '0;

endmodule
