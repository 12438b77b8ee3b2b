// Exact sums of the stored values and of their squares for O channels of a tile, written as entries when its last pixel has come; with
// `add` to what is there.
//
// The last pixel of a tile is announced when it enters requantisation; until its entries are written (busy_o) no other last pixel
// may enter. The next tile's first pixel comes two cycles after a last one at the earliest.

module channel_sums
  import diffuser_pkg::*;
#(
  parameter int unsigned O = 8
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
  localparam int unsigned LaneWidth = $clog2(O);

  logic [3:0] valid_q, last_q;
  logic first_q, first3_q;  // the next pixel to be added begins a tile
  always_ff @(posedge clk_i) begin
    valid_q <= rst_ni ? {valid_q[2:0], valid_i} : '0;
    last_q  <= {last_q[2:0], last_i};
    first3_q <= first_q;
    if (valid_q[1]) first_q <= last_q[1];
    if (!rst_ni) first_q <= 1'b1;
  end

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
        {sum_carry_q, sum_low_q} <= 33'(first_q ? '0 : sum_low_q) + 33'({{16{x2_q[15]}}, x2_q});
        {square_carry_q, square_low_q} <= 33'(first_q ? '0 : square_low_q) + 33'(square2_q);
      end
      negative_q <= x2_q[15];
      if (valid_q[2]) begin
        sum_high_q <= (first3_q ? '0 : sum_high_q) + SumHigh'(sum_carry_q) - SumHigh'(negative_q);
        square_high_q <= (first3_q ? '0 : square_high_q) + SquareHigh'(square_carry_q);
      end
    end
    assign sum[o] = {sum_high_q, sum_low_q};
    assign square[o] = {square_high_q, square_low_q};
  end

  // ---- entries, one after the other ----

  typedef enum logic [2:0] {
    Idle,
    Await,  // the last pixel is on its way
    Write,
    Read,
    Answer,
    AddLow,
    AddHigh
  } state_e;
  state_e state_q;
  logic add_q;
  logic [EntryWidth-1:0] entry_q;
  logic [LaneWidth-1:0] lane_q;
  logic [O-1:0][SumHigh+31:0] sum_q;
  logic [O-1:0][SquareHigh+31:0] square_q;
  sums_t old_q, total_q;
  logic [1:0] carry_q;

  logic [63:0] sum_wide, square_wide;
  assign sum_wide = {{(32 - SumHigh) {sum_q[0][SumHigh+31]}}, sum_q[0]};
  assign square_wide = 64'(square_q[0]);

  assign busy_o = state_q != Idle;
  logic held_q;  // requested and not granted
  assign sums_req_o = state_q == Read && (!stop_i || held_q);
  assign sums_addr_o = entry_q;
  assign sums_we_o = state_q == Write && (!stop_i || held_q);
  always_ff @(posedge clk_i) held_q <= rst_ni && ((sums_req_o && !sums_gnt_i) || (sums_we_o && !sums_wgnt_i));
  assign sums_waddr_o = entry_q;
  assign sums_wdata_o = add_q ? total_q : '{sum_squares: square_wide, sum: sum_wide};

  always_ff @(posedge clk_i) begin
    unique case (state_q)
      Idle: begin
        entry_q <= entry_i;
        add_q   <= add_i;
        lane_q  <= '0;
        if (announce_i) state_q <= Await;
      end
      Await:
      if (valid_q[3] && last_q[3]) begin
        sum_q <= sum;
        square_q <= square;
        state_q <= add_q ? Read : Write;
      end
      Read: if (sums_req_o && sums_gnt_i) state_q <= Answer;
      Answer: begin
        old_q <= sums_rdata_i;
        if (sums_rvalid_i) state_q <= AddLow;
      end
      AddLow: begin
        {carry_q[0], total_q.sum[31:0]} <= 33'(old_q.sum[31:0]) + 33'(sum_wide[31:0]);
        {carry_q[1], total_q.sum_squares[31:0]} <= 33'(old_q.sum_squares[31:0]) + 33'(square_wide[31:0]);
        state_q <= AddHigh;
      end
      AddHigh: begin
        total_q.sum[63:32] <= old_q.sum[63:32] + sum_wide[63:32] + 32'(carry_q[0]);
        total_q.sum_squares[63:32] <= old_q.sum_squares[63:32] + square_wide[63:32] + 32'(carry_q[1]);
        state_q <= Write;
      end
      Write:
      if (sums_we_o && sums_wgnt_i) begin
        entry_q <= entry_q + 1'b1;
        lane_q <= lane_q + 1'b1;
        for (int unsigned o = 0; o < O - 1; o++) begin
          sum_q[o] <= sum_q[o+1];
          square_q[o] <= square_q[o+1];
        end
        if (lane_q == LaneWidth'(O - 1)) state_q <= Idle;
        else if (add_q) state_q <= Read;
      end
      default: state_q <= Idle;
    endcase
    if (!rst_ni) state_q <= Idle;
  end

endmodule
