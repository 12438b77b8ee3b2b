// Softmax of the logits of P queries, without normalising: the largest of each row, the weights e of all keys, their sums'
// reciprocals. docs/isa.md, attention, steps 2 to 4 and the reciprocal of 5.
//
// Logits, weights and reciprocals are held twice, for two groups of queries; a group's logits arrive in whole tiles
// [P][O]. A group is read twice, one row of a tile a cycle: first for the rows' largest logits, then for the weights. So a
// group costs 2 P KT cycles, and that the next group's logits arrive meanwhile.
module softmax #(
  parameter int unsigned P = 4,
  parameter int unsigned O = 8,
  parameter int unsigned I = 8,
  parameter int unsigned MaxKeys = 256,  // a power of two, 2 O to 16384; memory: 2 P (32 + 7) bits a key, in whole 32 tiles
  localparam int unsigned TileWidth = $clog2(MaxKeys / O),
  localparam int unsigned BlockWidth = $clog2(MaxKeys / I),
  localparam int unsigned RowWidth = $clog2(P)
) (
  input logic clk_i,
  input logic rst_ni,
  input logic clear_i,  // forget all groups

  // stable from the first start on
  input logic [TileWidth-1:0] last_tile_i,
  input logic [        O-1:0] last_keys_i,  // keys that exist of the last tile
  input logic [         15:0] mantissa_i,
  input logic [          5:0] shift_i,

  // logits
  input logic                       logit_we_i,
  input logic                       logit_set_i,
  input logic [TileWidth-1:0]       logit_tile_i,
  input logic [P-1:0][O-1:0][31:0]  logit_i,

  // groups in turn: sets 0, 1, 0, ... after clear
  output logic ready_o,
  input  logic start_i,  // with ready_o: the logits are there, and so is a set of reciprocals
  output logic done_o,   // pulse: all weights of the next group can be read from the next cycle on

  // weights of all rows, 2 cycles after the address
  input  logic                        e_set_i,
  input  logic [BlockWidth-1:0]       e_block_i,
  output logic [P-1:0][I-1:0][7:0]    e_o,

  // reciprocals of the rows' sums, see softmax_reciprocal
  output logic                reciprocals_o,  // pulse: those of the next group are there
  input  logic                row_set_i,
  input  logic [RowWidth-1:0] row_i,
  output logic [        16:0] row_mantissa_o,
  output logic [         4:0] row_top_o
);

  localparam int unsigned Levels = $clog2(O);
  localparam int unsigned SumWidth = $clog2(MaxKeys) + 7;
  localparam int unsigned ReciprocalWidth = SumWidth > 16 ? SumWidth : 16;
  localparam int unsigned SubWidth = O > I ? $clog2(O / I) : 1;
  localparam int unsigned ExpLatency = 11;

  // ---------------------------------------------------------------- order of the reads

  typedef struct packed {
    logic set;
    logic [RowWidth-1:0] row;
    logic [TileWidth-1:0] tile;
    logic first;  // of the row
    logic last;
    logic exp;  // second pass
  } slot_t;

  logic active_q, exp_q, set_q;
  logic [RowWidth-1:0] row_q;
  logic [TileWidth-1:0] tile_q;
  logic [RowWidth:0] largest_q;  // rows whose largest logit is known
  logic largest_step;
  logic dividing_q;  // sums of a group are on their way to their reciprocals
  logic go, tile_end, row_end;
  slot_t slot0;
  assign go = active_q && (!exp_q || (largest_q > {1'b0, row_q} && !(dividing_q && row_q == '0 && tile_q == '0)));
  assign tile_end = tile_q == last_tile_i;
  assign row_end = tile_end && row_q == RowWidth'(P - 1);
  assign ready_o = !active_q;
  assign slot0 = '{set: set_q, row: row_q, tile: tile_q, first: tile_q == '0, last: tile_end, exp: exp_q};

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      active_q   <= 1'b0;
      set_q      <= 1'b0;
      dividing_q <= 1'b0;
    end else begin
      if (start_i) active_q <= 1'b1;
      else if (go && exp_q && row_end) begin
        active_q <= 1'b0;
        set_q <= !set_q;
      end
      if (go && exp_q && row_q == '0 && tile_q == '0) dividing_q <= 1'b1;
      else if (reciprocals_o) dividing_q <= 1'b0;
    end
    if (start_i) begin
      exp_q <= 1'b0;
      row_q <= '0;
      tile_q <= '0;
      largest_q <= '0;
    end else begin
      if (go) begin
        tile_q <= tile_end ? '0 : tile_q + 1'b1;
        if (tile_end) row_q <= row_q + 1'b1;  // P is a power of two
        if (row_end) exp_q <= 1'b1;
      end
      if (largest_step) largest_q <= largest_q + 1'b1;
    end
  end

  // ---------------------------------------------------------------- logits

  slot_t slot1_q, slot2_q;
  logic valid1_q, valid2_q;
  logic [P-1:0][TileWidth:0] address1_q;
  logic [P-1:0][O-1:0][31:0] read1;
  logic [O-1:0][31:0] logit2_q;
  logic [O-1:0] exists2_q;
  logic [P-1:0][31:0] max_q;
  logic [31:0] max2_q;
  for (genvar p = 0; p < P; p++) begin : gen_logits
    (* ram_style = "distributed" *)
    logic [O-1:0][31:0] mem[2*(MaxKeys/O)];
    always_ff @(posedge clk_i) begin
      if (logit_we_i) mem[{logit_set_i, logit_tile_i}] <= logit_i[p];
      // an address for each row of the array: they change one at a time, and none has to reach all
      if (row_q == RowWidth'(p)) address1_q[p] <= {set_q, tile_q};
    end
    assign read1[p] = mem[address1_q[p]];
  end
  always_ff @(posedge clk_i) begin
    valid1_q <= rst_ni && go;
    valid2_q <= rst_ni && valid1_q;
    slot1_q  <= slot0;
    slot2_q  <= slot1_q;
    logit2_q <= read1[slot1_q.row];
    max2_q   <= max_q[slot1_q.row];
    exists2_q <= slot1_q.last ? last_keys_i : '1;
  end

  // ---------------------------------------------------------------- first pass: largest logit

  // level l has O / 2^l numbers, a cycle after level l - 1
  logic signed [Levels:0][O-1:0][31:0] level;
  slot_t [Levels:0] max_slot;
  logic [Levels:0] max_valid;
  always_comb begin
    for (int unsigned o = 0; o < O; o++) level[0][o] = exists2_q[o] ? logit2_q[o] : 32'h8000_0000;
  end
  assign max_slot[0] = slot2_q;
  assign max_valid[0] = valid2_q && !slot2_q.exp;
  for (genvar l = 1; l <= Levels; l++) begin : gen_max
    always_ff @(posedge clk_i) begin
      for (int unsigned o = 0; o < (O >> l); o++) begin
        level[l][o] <= $signed(level[l-1][2*o]) > $signed(level[l-1][2*o+1]) ? level[l-1][2*o] : level[l-1][2*o+1];
      end
      max_slot[l]  <= max_slot[l-1];
      max_valid[l] <= rst_ni && max_valid[l-1];
    end
    if ((O >> l) < O) begin : gen_none
      assign level[l][O-1:(O>>l)] = '0;
    end
  end
  logic [31:0] largest, running_q;
  assign largest = !max_slot[Levels].first && $signed(running_q) > $signed(level[Levels][0]) ? running_q : level[Levels][0];
  assign largest_step = max_valid[Levels] && max_slot[Levels].last;
  always_ff @(posedge clk_i) begin
    if (max_valid[Levels]) running_q <= largest;
    if (largest_step) max_q[max_slot[Levels].row] <= largest;
  end

  // ---------------------------------------------------------------- second pass: weights

  logic [47:0] half_q, over_q;
  logic flat_q;
  always_ff @(posedge clk_i) begin
    half_q <= 48'(1) << (shift_i - 6'd1);
    over_q <= 48'({48{1'b1}} << shift_i) << 11;
    flat_q <= shift_i >= 6'd48;
  end

  logic [O-1:0][6:0] weight;
  for (genvar o = 0; o < O; o++) begin : gen_exp
    softmax_exp u_exp (
      .clk_i,
      .mantissa_i,
      .shift_i,
      .half_i(half_q),
      .over_i(over_q),
      .flat_i(flat_q),
      .valid_i(exists2_q[o]),
      .max_i(max2_q),
      .logit_i(logit2_q[o]),
      .e_o(weight[o])
    );
  end

  slot_t [ExpLatency-1:0] exp_slot_q;
  logic [ExpLatency-1:0] exp_valid_q;
  slot_t weight_slot;
  logic weight_valid;
  always_ff @(posedge clk_i) begin
    exp_slot_q  <= {exp_slot_q[ExpLatency-2:0], slot2_q};
    exp_valid_q <= !rst_ni || clear_i ? '0 : {exp_valid_q[ExpLatency-2:0], valid2_q && slot2_q.exp};
    done_o <= rst_ni && weight_valid && weight_slot.last && weight_slot.row == RowWidth'(P - 1);
  end
  assign weight_slot = exp_slot_q[ExpLatency-1];
  assign weight_valid = exp_valid_q[ExpLatency-1];

  logic [P-1:0][I-1:0][6:0] e1_q, e2_q;
  logic [TileWidth-1:0] e_tile;
  logic [SubWidth-1:0] e_sub;
  assign e_tile = TileWidth'(e_block_i >> $clog2(O / I));
  assign e_sub = O > I ? e_block_i[SubWidth-1:0] : '0;
  for (genvar p = 0; p < P; p++) begin : gen_weights
    (* ram_style = "distributed" *)
    logic [O-1:0][6:0] mem[2*(MaxKeys/O)];
    logic [O-1:0][6:0] read;
    assign read = mem[{e_set_i, e_tile}];
    always_ff @(posedge clk_i) begin
      if (weight_valid && weight_slot.row == RowWidth'(p)) mem[{weight_slot.set, weight_slot.tile}] <= weight;
      e1_q[p] <= read[e_sub*I+:I];
      e2_q[p] <= e1_q[p];
    end
    for (genvar i = 0; i < I; i++) begin : gen_byte
      assign e_o[p][i] = {1'b0, e2_q[p][i]};
    end
  end

  // ---------------------------------------------------------------- sums and their reciprocals

  logic [Levels:0][O-1:0][SumWidth-1:0] sum;
  slot_t [Levels:0] sum_slot;
  logic [Levels:0] sum_valid;
  always_comb begin
    for (int unsigned o = 0; o < O; o++) sum[0][o] = SumWidth'(weight[o]);
  end
  assign sum_slot[0] = weight_slot;
  assign sum_valid[0] = weight_valid;
  for (genvar l = 1; l <= Levels; l++) begin : gen_sum
    always_ff @(posedge clk_i) begin
      for (int unsigned o = 0; o < (O >> l); o++) sum[l][o] <= sum[l-1][2*o] + sum[l-1][2*o+1];
      sum_slot[l]  <= sum_slot[l-1];
      sum_valid[l] <= rst_ni && !clear_i && sum_valid[l-1];
    end
    if ((O >> l) < O) begin : gen_none
      assign sum[l][O-1:(O>>l)] = '0;
    end
  end
  logic [SumWidth-1:0] row_sum_q;
  logic [RowWidth-1:0] sum_row_q;
  logic sum_set_q;
  logic row_valid_q;
  always_ff @(posedge clk_i) begin
    if (sum_valid[Levels]) row_sum_q <= (sum_slot[Levels].first ? '0 : row_sum_q) + sum[Levels][0];
    sum_row_q <= sum_slot[Levels].row;
    sum_set_q <= sum_slot[Levels].set;
    row_valid_q <= rst_ni && !clear_i && sum_valid[Levels] && sum_slot[Levels].last;
  end

  logic [P-1:0] divided;
  logic [P-1:0][16:0] mantissa;
  logic [P-1:0][4:0] top;
  logic [1:0][P-1:0][16:0] mantissa_q;
  logic [1:0][P-1:0][4:0] top_q;
  logic divide_set_q;  // of the group whose sums are divided
  for (genvar p = 0; p < P; p++) begin : gen_reciprocal
    softmax_reciprocal #(
      .Width(ReciprocalWidth)
    ) u_reciprocal (
      .clk_i,
      .rst_ni,
      .clear_i,
      .start_i(row_valid_q && sum_row_q == RowWidth'(p)),
      .sum_i(ReciprocalWidth'(row_sum_q)),
      .done_o(divided[p]),
      .mantissa_o(mantissa[p]),
      .top_o(top[p])
    );
  end
  always_ff @(posedge clk_i) begin
    if (row_valid_q) divide_set_q <= sum_set_q;
    for (int unsigned p = 0; p < P; p++) begin
      if (divided[p]) begin
        mantissa_q[divide_set_q][p] <= mantissa[p];
        top_q[divide_set_q][p] <= top[p];
      end
    end
    reciprocals_o <= rst_ni && divided[P-1];
  end
  assign row_mantissa_o = mantissa_q[row_set_i][row_i];
  assign row_top_o = top_q[row_set_i][row_i];

endmodule
