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
  input logic                 start_i,
  input logic                 stop_i,
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
  output logic                row_set_o,
  output logic [RowWidth-1:0] row_o,
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

  localparam int unsigned TileWidth = $clog2(Tiles);
  localparam int unsigned SubWidth = O > I ? $clog2(O / I) : 1;
  localparam int unsigned SubMax = O / I - 1;
  localparam int unsigned Results = 32;
  localparam int unsigned Latency = 10;  // from a read to its operand

  // ---------------------------------------------------------------- order

  logic [TileWidth-1:0] in_q, out_q;
  logic [TileWidth:0] tiles_q;
  logic set_q;
  logic [RowWidth-1:0] row_q;
  logic [SubWidth-1:0] sub_q;
  logic [7:0] block_q;
  logic [AddrWidth-1:0] group_q;
  logic [7:0] head_q;
  logic [AddrWidth-1:0] addr_q, addr_group_q;
  logic room_q;
  logic go, row_end, block_end, sub_end, tile_end, group_last;
  assign go = tiles_q != '0 && ready_i && room_q && !stop_i;
  assign group_last = group_q == last_group_i;
  assign row_end = row_q == (group_last ? last_row_i : RowWidth'(P - 1));
  assign block_end = block_q == last_block_i;
  assign sub_end = sub_q == SubWidth'(SubMax) || block_end;
  assign tile_end = go && row_end && sub_end;
  assign tile_o = tile_end;
  assign group_o = tile_end && block_end;
  assign row_set_o = set_q;
  assign row_o = row_q;

  logic left_q;  // heads are left
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      tiles_q <= '0;
      left_q  <= 1'b0;
    end else if (start_i || stop_i) begin
      tiles_q <= '0;
      left_q  <= start_i;
    end else begin
      tiles_q <= tiles_q + (TileWidth + 1)'(we_i) - (TileWidth + 1)'(tile_end);
      if (group_o && group_last && head_q == last_head_i) left_q <= 1'b0;
    end
    if (start_i) begin
      in_q <= '0;
      out_q <= '0;
      set_q <= 1'b0;
      row_q <= '0;
      sub_q <= '0;
      block_q <= '0;
      group_q <= '0;
      head_q <= '0;
      addr_q <= dest_i;
      addr_group_q <= dest_i;
    end else begin
      if (we_i) in_q <= in_q + 1'b1;
      if (tile_end) out_q <= out_q + 1'b1;
      if (go) row_q <= row_end ? '0 : row_q + 1'b1;
      if (go && row_end) begin
        sub_q <= sub_end ? '0 : sub_q + 1'b1;
        block_q <= block_end ? '0 : block_q + 1'b1;
        addr_q <= addr_q + rows_i;
      end
      if (group_o) begin
        set_q <= !set_q;
        group_q <= group_last ? '0 : group_q + 1'b1;
        if (group_last) head_q <= head_q + 1'b1;
        // the last row of the last group's last block is the last of the head
        addr_q <= group_last ? addr_q + 1'b1 : addr_group_q + 1'b1;
        addr_group_q <= group_last ? addr_q + 1'b1 : addr_group_q + 1'b1;
      end
    end
  end

  // ---------------------------------------------------------------- sums and lanes

  logic [P-1:0][O-1:0][31:0] read;
  for (genvar p = 0; p < P; p++) begin : gen_sums
    (* ram_style = "distributed" *)
    logic [O-1:0][31:0] mem[Tiles];
    always_ff @(posedge clk_i) begin
      if (we_i) mem[in_q] <= sum_i[p];
    end
    assign read[p] = mem[out_q];
  end

  logic [I-1:0][31:0] x1_q;
  logic [16:0] mantissa1_q;
  logic [4:0] top1_q;
  logic [I-1:0][7:0] operand;
  always_ff @(posedge clk_i) begin
    x1_q <= read[row_q][sub_q*I+:I];
    mantissa1_q <= mantissa_i;
    top1_q <= top_i;
  end
  for (genvar i = 0; i < I; i++) begin : gen_lane
    attention_lane u_lane (
      .clk_i,
      .gain_i,
      .x_i(x1_q[i]),
      .mantissa_i(mantissa1_q),
      .top_i(top1_q),
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
  assert property (@(posedge clk_i) disable iff (!rst_ni) we_i |-> tiles_q < (TileWidth + 1)'(Tiles))
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
