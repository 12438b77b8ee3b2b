// Blocks of Philox4x32-10 with counters First, First + Step, ... in their lowest word: crates/spec/src/philox.rs.
//
// A ring of 5 stages, one round a revolution; each stage may hold a block, so that a block comes every 10 cycles, 51 cycles after it was begun.
// Blocks leave in order through a FIFO of Depth of them, and none is begun that has no place there.
//
// Cost: 8 DSPs (two products of 32 x 32 bits a cycle), about 700 registers.
module sample_philox #(
  parameter int unsigned First = 0,
  parameter int unsigned Step = 1,
  parameter int unsigned Depth = 8  // blocks
) (
  input logic clk_i,
  input logic rst_ni,

  input logic        run_i,  // go on; what follows is stable while it is high
  input logic        clear_i,  // forget all blocks and begin with First again
  input logic [63:0] key_i,
  input logic [95:0] counter_i,  // words 1 to 3

  output logic            valid_o,
  input  logic            ready_i,
  output logic [3:0][31:0] block_o
);

  localparam logic [31:0] Multiplier0 = 32'hd251_1f53;
  localparam logic [31:0] Multiplier1 = 32'hcd9e_8d57;
  localparam logic [31:0] Weyl0 = 32'h9e37_79b9;
  localparam logic [31:0] Weyl1 = 32'hbb67_ae85;
  localparam int unsigned Stages = 5;
  localparam logic [3:0] LastRound = 4'd9;

  typedef struct packed {
    logic [3:0] round;
    logic [31:0] k1;
    logic [31:0] k0;
    logic [31:0] c3;  // what a product does not replace
    logic [31:0] c1;
  } context_t;

  // [s]: what stage s holds
  logic [Stages-1:0] valid_q;
  context_t [Stages-1:0] context_q;
  logic [31:0] s0_c0_q, s0_c2_q;
  // products of halves: [x][m], x half of the word, m half of the multiplier
  logic [1:0][1:0][31:0] s1_a_q, s1_b_q;
  logic [31:0] s2_a_high_q, s2_b_high_q, s3_a_high_q, s3_b_high_q;
  logic [31:0] s2_a_low_q, s2_b_low_q;
  logic [32:0] s2_a_middle_q, s2_b_middle_q;
  logic [32:0] s3_a_middle, s3_b_middle;  // 2 (2^16 - 1)^2 + 2^16 < 2^33
  logic [16:0] s3_a_carry_q, s3_b_carry_q;
  logic [31:0] s3_a_low_q, s3_b_low_q;
  logic [31:0] s4_a_high_q, s4_b_high_q, s4_a_low_q, s4_b_low_q;

  logic [31:0] next_c0, next_c1, next_c2, next_c3;
  logic again, finished, start;
  logic [3:0] again_q;  // the same, for a part of a block each, since one would have too many readers
  logic [31:0] number_q;
  localparam int unsigned CountWidth = $clog2(Depth + 1);
  logic [CountWidth-1:0] places_q;

  assign next_c0 = s4_b_high_q ^ context_q[4].c1 ^ context_q[4].k0;
  assign next_c1 = s4_b_low_q;
  assign next_c2 = s4_a_high_q ^ context_q[4].c3 ^ context_q[4].k1;
  assign next_c3 = s4_a_low_q;
  assign finished = valid_q[4] && context_q[4].round == LastRound;
  assign again = valid_q[4] && !finished;
  copies #(
    .Copies(4)
  ) u_again (
    .clk_i,
    .d_i(rst_ni && !clear_i && valid_q[3] && context_q[3].round != LastRound),
    .q_o(again_q)
  );
  assign start = run_i && !again && places_q != '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      valid_q  <= '0;
      number_q <= First;
      places_q <= CountWidth'(Depth);
    end else begin
      valid_q  <= {valid_q[3:0], again || start};
      if (start) number_q <= number_q + Step;
      places_q <= places_q + CountWidth'(valid_o && ready_i) - CountWidth'(start);
    end
  end

  // verilator lint_off UNUSEDSIGNAL
  logic [33:0] s3_a_sum, s3_b_sum;  // without a carry
  // verilator lint_on UNUSEDSIGNAL
  carry_select #(
    .Width(33)
  ) u_s3_a (
    .a_i(s2_a_middle_q),
    .b_i({17'b0, s2_a_low_q[31:16]}),
    .carry_i(1'b0),
    .sum_o(s3_a_sum)
  );
  carry_select #(
    .Width(33)
  ) u_s3_b (
    .a_i(s2_b_middle_q),
    .b_i({17'b0, s2_b_low_q[31:16]}),
    .carry_i(1'b0),
    .sum_o(s3_b_sum)
  );
  assign s3_a_middle = s3_a_sum[32:0];
  assign s3_b_middle = s3_b_sum[32:0];

  always_ff @(posedge clk_i) begin
    context_q[4:1] <= context_q[3:0];
    s0_c0_q <= again_q[0] ? next_c0 : number_q;
    s0_c2_q <= again_q[1] ? next_c2 : counter_i[63:32];
    context_q[0].c1 <= again_q[0] ? next_c1 : counter_i[31:0];
    context_q[0].c3 <= again_q[1] ? next_c3 : counter_i[95:64];
    context_q[0].k0 <= again_q[2] ? context_q[4].k0 + Weyl0 : key_i[31:0];
    context_q[0].k1 <= again_q[3] ? context_q[4].k1 + Weyl1 : key_i[63:32];
    context_q[0].round <= again_q[3] ? context_q[4].round + 1'b1 : '0;

    for (int unsigned x = 0; x < 2; x++) begin
      for (int unsigned m = 0; m < 2; m++) begin
        s1_a_q[x][m] <= s0_c0_q[16*x+:16] * Multiplier0[16*m+:16];
        s1_b_q[x][m] <= s0_c2_q[16*x+:16] * Multiplier1[16*m+:16];
      end
    end

    s2_a_high_q <= s1_a_q[1][1];
    s2_a_middle_q <= {1'b0, s1_a_q[0][1]} + {1'b0, s1_a_q[1][0]};
    s2_a_low_q <= s1_a_q[0][0];
    s2_b_high_q <= s1_b_q[1][1];
    s2_b_middle_q <= {1'b0, s1_b_q[0][1]} + {1'b0, s1_b_q[1][0]};
    s2_b_low_q <= s1_b_q[0][0];

    s3_a_high_q <= s2_a_high_q;
    s3_a_carry_q <= s3_a_middle[32:16];
    s3_a_low_q <= {s3_a_middle[15:0], s2_a_low_q[15:0]};
    s3_b_high_q <= s2_b_high_q;
    s3_b_carry_q <= s3_b_middle[32:16];
    s3_b_low_q <= {s3_b_middle[15:0], s2_b_low_q[15:0]};

    s4_a_high_q <= s3_a_high_q + 32'(s3_a_carry_q);
    s4_a_low_q <= s3_a_low_q;
    s4_b_high_q <= s3_b_high_q + 32'(s3_b_carry_q);
    s4_b_low_q <= s3_b_low_q;
  end

  logic fifo_ready;
  logic [CountWidth-1:0] fifo_count;

  fifo #(
    .Width(128),
    .Depth(Depth)
  ) u_blocks (
    .clk_i,
    .rst_ni,
    .clear_i,
    .in_valid_i(finished),
    .in_ready_o(fifo_ready),
    .in_data_i({next_c3, next_c2, next_c1, next_c0}),
    .out_valid_o(valid_o),
    .out_ready_i(ready_i),
    .out_data_o(block_o),
    .count_o(fifo_count)
  );

  logic unused;
  assign unused = &{1'b0, fifo_ready, fifo_count};

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni || clear_i) finished |-> fifo_ready)
  else $error("%m: no place for a block");
`endif

endmodule
