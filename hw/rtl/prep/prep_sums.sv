// Exact sums of I channels of a stream that `prep` writes, and their way into the sums memory.
//
// Values and their squares come one row of I lanes a cycle. After `last_i` the sums are taken aside and written one entry
// a cycle while the next channels are summed; `busy_o` is high from `reserve_i` until they are all written, and nobody
// lets another `last_i` come near before that. High halves are added a cycle after low ones.
module prep_sums
  import diffuser_pkg::*;
#(
    parameter int unsigned I = 16,
    localparam int unsigned LanesWidth = $clog2(I) + 1
) (
    input logic clk_i,
    input logic rst_ni,

    input logic                  start_i,  // entry of the first channel
    input logic [EntryWidth-1:0] base_i,

    input logic                  reserve_i,  // the last values of some channels are on their way,
    input logic [LanesWidth-1:0] lanes_i,    // so many of them
    output logic                 busy_o,

    input logic               valid_i,
    input logic               last_i,
    input logic [I-1:0][15:0] x_i,
    input logic [I-1:0][31:0] square_i,

    output logic                  sums_we_o,
    output logic [EntryWidth-1:0] sums_waddr_o,
    output sums_t                 sums_wdata_o,
    input  logic                  sums_wgnt_i
);

  // 2^24 pixels of 16 bits
  localparam int unsigned SumHigh = 8;
  localparam int unsigned SquareHigh = 23;

  typedef struct packed {
    logic signed [SumHigh-1:0] sum_high;
    logic [31:0] sum_low;
    logic [SquareHigh-1:0] square_high;
    logic [31:0] square_low;
  } entry_t;

  logic first_q;  // the next values begin new sums
  logic valid1_q, last1_q, last2_q;
  // copies of what all lanes look at, so that none drives too many
  logic first;
  logic [I-1:0][1:0] first_lane_q;
  logic [I-1:0] first1_q;
  assign first = start_i || (valid_i ? last_i : first_q);
  copies #(
      .Copies(2 * I)
  ) u_first (
      .clk_i,
      .d_i(first || !rst_ni),
      .q_o(first_lane_q)
  );
  copies #(
      .Copies(I)
  ) u_first1 (
      .clk_i,
      .d_i(first_q),
      .q_o(first1_q)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      first_q  <= 1'b1;
      valid1_q <= 1'b0;
      last1_q  <= 1'b0;
      last2_q  <= 1'b0;
    end else begin
      first_q  <= first;
      valid1_q <= valid_i;
      last1_q  <= valid_i && last_i;
      last2_q  <= last1_q;
    end
  end

  // The low halves of finished sums wait one cycle for their high ones.
  entry_t [I-1:0] done_q;
  logic [I-1:0][31:0] sum_low2_q, square_low2_q;
  logic [I-1:0][SumHigh-1:0] sum_high_q;
  logic [I-1:0][SquareHigh-1:0] square_high_q;
  for (genvar i = 0; i < I; i++) begin : gen_lane
    logic [31:0] sum_low_q, square_low_q;
    logic sum_carry_q, square_carry_q, negative_q;
    always_ff @(posedge clk_i) begin
      if (valid_i) begin
        {sum_carry_q, sum_low_q} <= {1'b0, {16{x_i[i][15]}}, x_i[i]} + {1'b0, first_lane_q[i][0] ? 32'b0 : sum_low_q};
        {square_carry_q, square_low_q} <= {1'b0, square_i[i]} + {1'b0, first_lane_q[i][1] ? 32'b0 : square_low_q};
        negative_q <= x_i[i][15];
      end
      if (valid1_q) begin
        sum_high_q[i] <= (first1_q[i] ? '0 : sum_high_q[i]) + SumHigh'(sum_carry_q) - SumHigh'(negative_q);
        square_high_q[i] <= (first1_q[i] ? '0 : square_high_q[i]) + SquareHigh'(square_carry_q);
      end
      sum_low2_q[i] <= sum_low_q;
      square_low2_q[i] <= square_low_q;
    end
  end

  // ---- writing

  logic we_q;
  logic [LanesWidth-1:0] left_q;
  logic [EntryWidth-1:0] addr_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      busy_o <= 1'b0;
      we_q   <= 1'b0;
    end else if (reserve_i) begin
      busy_o <= lanes_i != '0;
    end else if (last2_q) begin
      we_q <= busy_o;
    end else if (we_q && sums_wgnt_i && left_q == LanesWidth'(1)) begin
      busy_o <= 1'b0;
      we_q   <= 1'b0;
    end
  end
  always_ff @(posedge clk_i) begin
    if (start_i) addr_q <= base_i;
    else if (we_q && sums_wgnt_i) addr_q <= addr_q + 1'b1;
    if (reserve_i) left_q <= lanes_i;
    else if (we_q && sums_wgnt_i) left_q <= left_q - 1'b1;
    if (last2_q) begin
      for (int unsigned i = 0; i < I; i++) begin
        done_q[i] <= {sum_high_q[i], sum_low2_q[i], square_high_q[i], square_low2_q[i]};
      end
    end
  end

  // the channel that is written, for 12 bits of its entry each, so that no choice drives too many
  localparam int unsigned Part = 12;
  localparam int unsigned Parts = ($bits(entry_t) + Part - 1) / Part;
  logic [LanesWidth-2:0] lane_q, lane;
  logic [Parts-1:0][LanesWidth-2:0] lane_part_q;
  entry_t entry;
  assign lane = last2_q ? '0 : lane_q + (LanesWidth - 1)'(we_q && sums_wgnt_i);
  always_ff @(posedge clk_i) lane_q <= lane;
  copies #(
      .Width(LanesWidth - 1),
      .Copies(Parts)
  ) u_lane (
      .clk_i,
      .d_i(lane),
      .q_o(lane_part_q)
  );
  always_comb begin
    for (int unsigned b = 0; b < $bits(entry_t); b++) entry[b] = done_q[lane_part_q[b/Part]][b];
  end

  assign sums_we_o = we_q;
  assign sums_waddr_o = addr_q;
  assign sums_wdata_o.sum = 64'($signed({entry.sum_high, entry.sum_low}));
  assign sums_wdata_o.sum_squares = 64'({entry.square_high, entry.square_low});

endmodule
