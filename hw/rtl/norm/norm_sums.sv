// Reads the channel sums of a norm's range and adds them to groups, those of each stream rescaled by its gap.
//
// A channel a cycle; a group's sums leave through a FIFO of Depth groups, and no group is begun that has no place there.
module norm_sums
  import norm_pkg::*;
  import diffuser_pkg::*;
#(
  parameter int unsigned Depth = 4
) (
  input logic clk_i,
  input logic rst_ni,

  input logic [           2:0] start_i,  // the same for parts, since one would have too many readers; with the range, which need not stay; else idle then
  input logic [EntryWidth-1:0] first_i,  // entry of the first channel's sums
  input logic [          16:0] left_in_a_i,  // channels from there to the end of the first stream, 0 if there are none
  input logic [          15:0] groups_i,
  input logic [          15:0] group_channels_i,  // stable until idle
  input logic [EntryWidth-1:0] second_i,  // entry of the second stream's first channel; stable until idle
  input logic [           2:0] gap_a_i,  // stable until idle
  input logic [           2:0] gap_b_i,
  input logic                  stop_i,  // read no more
  input logic                  clear_i,  // forget what has been read
  output logic                 idle_o,  // no read is asked for or under way

  output logic                  req_o,
  output logic [EntryWidth-1:0] addr_o,
  input  logic                  gnt_i,
  input  logic                  rvalid_i,
  input  sums_t                 rdata_i,

  output logic                    valid_o,
  input  logic                    ready_i,
  output logic [    SumWidth-1:0] sum_o,
  output logic [SquaresWidth-1:0] squares_o
);

  localparam int unsigned CountWidth = $clog2(Depth + 1);

  // ---- requests

  logic [EntryWidth-1:0] addr_q;
  logic [15:0] groups_left_q, channels_left_q;
  logic [16:0] ask_in_a_q;
  logic inside_q;  // a group is begun
  logic [CountWidth-1:0] places_q;  // groups that may be begun
  logic [5:0] owed_q;  // reads under way; no memory takes 63 cycles
  logic granted, last_of_group, leaves;

  assign req_o = groups_left_q != '0 && (inside_q || places_q != '0);
  assign addr_o = addr_q;
  assign granted = req_o && gnt_i;
  assign last_of_group = channels_left_q == 16'd1;
  assign leaves = valid_o && ready_i;
  assign idle_o = groups_left_q == '0 && owed_q == '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      groups_left_q <= '0;
      inside_q <= 1'b0;
      places_q <= CountWidth'(Depth);
      owed_q <= '0;
    end else begin
      if (start_i[0]) groups_left_q <= groups_i;
      else if (stop_i && (granted || !req_o)) groups_left_q <= '0;
      else if (granted && last_of_group) groups_left_q <= groups_left_q - 1'b1;
      if (granted) inside_q <= !last_of_group;
      places_q <= places_q + CountWidth'(leaves) - CountWidth'(granted && !inside_q);
      owed_q <= owed_q + 6'(granted) - 6'(rvalid_i);
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i[1]) begin
      addr_q <= first_i;
      ask_in_a_q <= left_in_a_i;
      channels_left_q <= group_channels_i;
    end else if (granted) begin
      addr_q <= ask_in_a_q == 17'd1 ? second_i : addr_q + 1'b1;
      if (ask_in_a_q != '0) ask_in_a_q <= ask_in_a_q - 1'b1;
      channels_left_q <= last_of_group ? group_channels_i : channels_left_q - 1'b1;
    end
  end

  // ---- answers: rescaled (2 cycles), then added low half first

  logic [15:0] answers_left_q;
  logic [16:0] answers_in_a_q;
  logic first_q;

  logic [4:0] valid_q, group_last_q;
  logic [3:0] group_first_q;
  sums_t s1_data_q;
  // of the sum, of the lower and the upper half of the squares: one for all would have too many readers
  logic [2:0][2:0] s1_gap_q;
  logic [2:0] s2_gap_q;
  logic [1:0][SquaresWidth-1:0] s1_shifted, s2_shifted;
  localparam int unsigned SquaresHalf = SquaresWidth / 2;
  logic [SumWidth-1:0] s2_sum_q, s3_sum_q;
  logic [SquaresWidth-1:0] s2_squares_q, s3_squares_q;
  logic [24:0] s4_sum_q;  // with its carry
  logic [32:0] s4_squares_q;
  logic [23:0] s4_sum_high_q, s5_sum_q, s5_sum_low_q;
  logic [31:0] s4_squares_high_q, s5_squares_q, s5_squares_low_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) valid_q <= '0;
    else valid_q <= {valid_q[3:0], rvalid_i};
  end

  always_ff @(posedge clk_i) begin
    if (start_i[2]) begin
      answers_left_q <= group_channels_i;
      answers_in_a_q <= left_in_a_i;
      first_q <= 1'b1;
    end else if (rvalid_i) begin
      first_q <= answers_left_q == 16'd1;
      answers_left_q <= answers_left_q == 16'd1 ? group_channels_i : answers_left_q - 1'b1;
      if (answers_in_a_q != '0) answers_in_a_q <= answers_in_a_q - 1'b1;
    end
    group_first_q <= {group_first_q[2:0], first_q};
    group_last_q <= {group_last_q[3:0], answers_left_q == 16'd1};

    s1_data_q <= rdata_i;

    s2_sum_q <= s1_data_q.sum[SumWidth-1:0] << s1_gap_q[0][1:0];
    s2_squares_q <= {s1_shifted[1][SquaresWidth-1:SquaresHalf], s1_shifted[0][SquaresHalf-1:0]};

    s3_sum_q <= s2_gap_q[0] ? s2_sum_q << 4 : s2_sum_q;
    s3_squares_q <= {s2_shifted[1][SquaresWidth-1:SquaresHalf], s2_shifted[0][SquaresHalf-1:0]};

    if (valid_q[2]) begin
      s4_sum_q <= {1'b0, group_first_q[2] ? 24'b0 : s4_sum_q[23:0]} + {1'b0, s3_sum_q[23:0]};
      s4_squares_q <= {1'b0, group_first_q[2] ? 32'b0 : s4_squares_q[31:0]} + {1'b0, s3_squares_q[31:0]};
    end
    s4_sum_high_q <= s3_sum_q[47:24];
    s4_squares_high_q <= s3_squares_q[63:32];

    if (valid_q[3]) begin
      s5_sum_q <= (group_first_q[3] ? 24'b0 : s5_sum_q) + s4_sum_high_q + 24'(s4_sum_q[24]);
      s5_squares_q <= (group_first_q[3] ? 32'b0 : s5_squares_q) + s4_squares_high_q + 32'(s4_squares_q[32]);
    end
    s5_sum_low_q <= s4_sum_q[23:0];
    s5_squares_low_q <= s4_squares_q[31:0];
  end

  copies #(
    .Width(3),
    .Copies(3)
  ) u_s1_gap (
    .clk_i,
    .d_i(answers_in_a_q != '0 ? gap_a_i : gap_b_i),
    .q_o(s1_gap_q)
  );
  for (genvar k = 0; k < 2; k++) begin : gen_half
    assign s1_shifted[k] = s1_data_q.sum_squares << {s1_gap_q[k+1][1:0], 1'b0};
    assign s2_shifted[k] = s2_gap_q[k+1] ? s2_squares_q << 8 : s2_squares_q;
  end
  for (genvar k = 0; k < 3; k++) begin : gen_s2_gap
    copies #(
      .Copies(1)
    ) u_s2_gap (
      .clk_i,
      .d_i(s1_gap_q[k][2]),
      .q_o(s2_gap_q[k])
    );
  end

  logic fifo_ready;
  logic [CountWidth-1:0] fifo_count;

  fifo #(
    .Width(SumWidth + SquaresWidth),
    .Depth(Depth)
  ) u_groups (
    .clk_i,
    .rst_ni,
    .clear_i,
    .in_valid_i(valid_q[4] && group_last_q[4]),
    .in_ready_o(fifo_ready),
    .in_data_i({s5_sum_q, s5_sum_low_q, s5_squares_q, s5_squares_low_q}),
    .out_valid_o(valid_o),
    .out_ready_i(ready_i),
    .out_data_o({sum_o, squares_o}),
    .count_o(fifo_count)
  );

  logic unused;
  assign unused = &{1'b0, fifo_ready, fifo_count, s1_data_q.sum[63:SumWidth]};

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) valid_q[4] && group_last_q[4] |-> fifo_ready)
  else $error("%m: no place for a group");
`endif

endmodule
