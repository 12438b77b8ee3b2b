// Exact sums of the stored values and of their squares for O channels of a tile, written as entries when its last pixel has come; with
// `add` to what is there. About an entry a cycle: entries that are read are not waited for, up to Depth are on their way.
//
// The last pixel of a tile is announced when it enters requantisation; until its entries are written (busy_o) no other last pixel
// may enter. The next tile's first pixel comes two cycles after a last one at the earliest.

module channel_sums
  import diffuser_pkg::*;
#(
  parameter int unsigned O = 8,
  parameter int unsigned Depth = 16  // entries read, or added to, and not written yet; more than the latency of a read for full speed
) (
  input logic clk_i,
  input logic rst_ni,

  input logic stop_i,  // make no new request; what was requested stays until it is granted

  input logic announce_i,
  input logic [EntryWidth-1:0] entry_i,  // with announce_i: of the tile's first channel
  input logic add_i,  // with announce_i
  output logic busy_o,

  input logic valid_i,
  input logic last_i,
  input logic [O-1:0][15:0] data_i,

  output logic sums_req_o,
  output logic [EntryWidth-1:0] sums_addr_o,
  input logic sums_gnt_i,
  input logic sums_rvalid_i,
  input sums_t sums_rdata_i,
  output logic sums_we_o,
  output logic [EntryWidth-1:0] sums_waddr_o,
  output sums_t sums_wdata_o,
  input logic sums_wgnt_i
);

  // 2^24 pixels at most: |sum| <= 2^39, sum of squares <= 2^54. The low 32 bits are added first, the carry goes up a cycle later.
  localparam int unsigned SumHigh = 8;
  localparam int unsigned SquareHigh = 24;
  localparam int unsigned EntryBits = SumHigh + 32 + SquareHigh + 32;  // of a lane: sum, sum of squares
  localparam int unsigned LaneWidth = $clog2(O);

  logic [3:0] valid_q, last_q;
  logic first_q, first;  // the next pixel to be added begins a tile
  assign first = !rst_ni || (valid_q[1] ? last_q[1] : first_q);
  always_ff @(posedge clk_i) begin
    valid_q <= rst_ni ? {valid_q[2:0], valid_i} : '0;
    last_q  <= {last_q[2:0], last_i};
    first_q <= first;
  end

  // what all lanes look at, once for each lane, so that none has too many readers: `first`, for the high halves a cycle later
  logic [O-1:0] first_lane_q, first3_q;
  copies #(
    .Copies(O)
  ) u_first (
    .clk_i,
    .d_i(first),
    .q_o(first_lane_q)
  );
  copies #(
    .Copies(O)
  ) u_first3 (
    .clk_i,
    .d_i(first_q),
    .q_o(first3_q)
  );

  logic [O-1:0][SumHigh+31:0] sum;
  logic [O-1:0][SquareHigh+31:0] square;
  for (genvar o = 0; o < O; o++) begin : gen_lane
    logic signed [15:0] x1_q, x2_q;
    logic [31:0] square1_q, square2_q;
    logic [31:0] sum_low_q, square_low_q;
    logic sum_carry_q, square_carry_q, negative_q;
    logic [SumHigh-1:0] sum_high_q;
    logic [SquareHigh-1:0] square_high_q;
    always_ff @(posedge clk_i) begin
      x1_q <= data_i[o];
      square1_q <= 32'($signed(data_i[o])) * 32'($signed(data_i[o]));
      x2_q <= x1_q;
      square2_q <= square1_q;
      if (valid_q[1]) begin
        {sum_carry_q, sum_low_q} <= 33'({{16{x2_q[15]}}, x2_q}) + 33'(first_lane_q[o] ? '0 : sum_low_q);
        {square_carry_q, square_low_q} <= 33'(square2_q) + 33'(first_lane_q[o] ? '0 : square_low_q);
      end
      negative_q <= x2_q[15];
      if (valid_q[2]) begin
        sum_high_q <= (first3_q[o] ? '0 : sum_high_q) + SumHigh'(sum_carry_q) - SumHigh'(negative_q);
        square_high_q <= (first3_q[o] ? '0 : square_high_q) + SquareHigh'(square_carry_q);
      end
    end
    assign sum[o] = {sum_high_q, sum_low_q};
    assign square[o] = {square_high_q, square_low_q};
  end

  // ---- entries, one after the other: asked for, added to in two steps of 32 bits, held, written ----

  typedef enum logic [1:0] {
    Idle,
    Await,  // the last pixel is on its way
    Add
  } state_e;
  state_e state_q;
  logic busy_q;  // state_q != Idle
  logic add_q;
  logic [O-1:0][EntryBits-1:0] entry_q;  // of the lanes

  logic [EntryWidth-1:0] ask_entry_q, write_entry_q;
  logic [LaneWidth:0] ask_left_q;
  logic [LaneWidth-1:0] write_lane_q;
  logic [$clog2(Depth+1)-1:0] room_q;  // entries that may be asked for
  logic some_left_q, some_room_q;  // ask_left_q != 0, room_q != 0
  logic may_ask, asked, arrived, write, written;
  logic ask_blocked_q, write_blocked_q;  // told to stop, and nothing waits for its grant

  assign busy_o = busy_q;
  assign may_ask = state_q == Add && some_left_q && some_room_q && !ask_blocked_q;
  assign sums_req_o = may_ask && add_q;
  assign sums_addr_o = ask_entry_q;
  assign asked = may_ask && (!add_q || sums_gnt_i);
  assign arrived = add_q ? sums_rvalid_i : asked;

  logic [2:0] stage_q;  // there is an entry in each of the steps
  // the lane whose entry comes next, for 4 bits of it each
  localparam int unsigned Part = 4;
  localparam int unsigned Parts = (EntryBits + Part - 1) / Part;
  logic [LaneWidth-1:0] lane_q, lane;
  logic [Parts-1:0][LaneWidth-1:0] lane_part_q;
  logic [EntryBits-1:0] lane_entry;
  assign lane = state_q == Idle ? '0 : lane_q + LaneWidth'(stage_q[0]);
  always_ff @(posedge clk_i) lane_q <= lane;
  copies #(
    .Width(LaneWidth),
    .Copies(Parts)
  ) u_lane (
    .clk_i,
    .d_i(lane),
    .q_o(lane_part_q)
  );
  always_comb begin
    for (int unsigned b = 0; b < EntryBits; b++) lane_entry[b] = entry_q[lane_part_q[b/Part]][b];
  end

  sums_t old0_q, total2_q;
  logic [63:0] sum_wide, square_wide;
  assign sum_wide = {{(32 - SumHigh) {lane_entry[EntryBits-1]}}, lane_entry[EntryBits-1-:SumHigh+32]};
  assign square_wide = 64'(lane_entry[SquareHigh+31:0]);
  logic [31:0] old_sum1_q, new_sum1_q, old_squares1_q, new_squares1_q;  // high halves
  logic [32:0] sum1_q, squares1_q;  // low halves with their carries
  always_ff @(posedge clk_i) begin
    old0_q <= add_q ? sums_rdata_i : '0;

    sum1_q <= 33'(old0_q.sum[31:0]) + 33'(sum_wide[31:0]);
    squares1_q <= 33'(old0_q.sum_squares[31:0]) + 33'(square_wide[31:0]);
    old_sum1_q <= old0_q.sum[63:32];
    new_sum1_q <= sum_wide[63:32];
    old_squares1_q <= old0_q.sum_squares[63:32];
    new_squares1_q <= square_wide[63:32];

    total2_q.sum <= {old_sum1_q + new_sum1_q + 32'(sum1_q[32]), sum1_q[31:0]};
    total2_q.sum_squares <= {old_squares1_q + new_squares1_q + 32'(squares1_q[32]), squares1_q[31:0]};

    stage_q <= rst_ni ? {stage_q[1:0], arrived} : '0;
  end

  logic total_valid, total_ready;
  logic [$clog2(Depth+1)-1:0] total_count;
  fifo #(
    .Width($bits(sums_t)),
    .Depth(Depth)
  ) u_totals (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .in_valid_i(stage_q[2]),
    .in_ready_o(total_ready),
    .in_data_i(total2_q),
    .out_valid_o(total_valid),
    .out_ready_i(written),
    .out_data_o(sums_wdata_o),
    .count_o(total_count)
  );
  assign write = total_valid && !write_blocked_q;
  assign sums_we_o = write;
  assign sums_waddr_o = write_entry_q;
  assign written = write && sums_wgnt_i;
  always_ff @(posedge clk_i) begin
    ask_blocked_q   <= stop_i && !(sums_req_o && !sums_gnt_i);
    write_blocked_q <= stop_i && !(write && !sums_wgnt_i);
    if (!rst_ni) begin
      room_q <= ($clog2(Depth + 1))'(Depth);
      some_room_q <= 1'b1;
    end else if (asked && !written) begin
      room_q <= room_q - 1'b1;
      some_room_q <= room_q != ($clog2(Depth + 1))'(1);
    end else if (written && !asked) begin
      room_q <= room_q + 1'b1;
      some_room_q <= 1'b1;
    end
  end

  // all at once, when the last pixel has come
  always_ff @(posedge clk_i) begin
    if (valid_q[3] && last_q[3]) begin
      for (int unsigned o = 0; o < O; o++) entry_q[o] <= {sum[o], square[o]};
    end
  end

  always_ff @(posedge clk_i) begin
    unique case (state_q)
      Idle: begin
        ask_entry_q <= entry_i;
        write_entry_q <= entry_i;
        ask_left_q <= (LaneWidth + 1)'(O);
        some_left_q <= 1'b1;
        write_lane_q <= '0;
        add_q <= add_i;
        if (announce_i) state_q <= Await;
      end
      Await:
      if (valid_q[3] && last_q[3]) state_q <= Add;
      Add: begin
        if (asked) begin
          ask_entry_q <= ask_entry_q + 1'b1;
          ask_left_q  <= ask_left_q - 1'b1;
          some_left_q <= ask_left_q != (LaneWidth + 1)'(1);
        end
        if (written) begin
          write_entry_q <= write_entry_q + 1'b1;
          write_lane_q  <= write_lane_q + 1'b1;
          if (write_lane_q == LaneWidth'(O - 1)) state_q <= Idle;
        end
      end
      default: state_q <= Idle;
    endcase
    busy_q <= state_q == Idle ? announce_i : !(state_q == Add && written && write_lane_q == LaneWidth'(O - 1));
    if (!rst_ni) begin
      state_q <= Idle;
      busy_q  <= 1'b0;
    end
  end

  logic unused;
  assign unused = ^{total_ready, total_count};

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) stage_q[2] |-> total_ready)
  else $error("%m: an entry came without a place for it");
`endif

endmodule
