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
  input logic                       logit_next_set_i,   // where those that come in the next cycle go
  input logic [TileWidth-1:0]       logit_next_tile_i,
  input logic [P-1:0][O-1:0][31:0]  logit_i,

  // groups in turn: sets 0, 1, 0, ... after clear
  output logic ready_o,
  input  logic start_i,  // with ready_o: the logits are there, and so is a set of reciprocals
  output logic done_o,   // pulse: the address of any weight of the next group may come from the next cycle on

  // weights of all rows, 3 cycles after the address
  input  logic                        e_set_i,
  input  logic [BlockWidth-1:0]       e_block_i,
  output logic [P-1:0][I-1:0][7:0]    e_o,

  // reciprocals of the rows' sums, see softmax_reciprocal
  output logic                reciprocals_o,  // pulse: those of the next group are there
  input  logic [1:0]               row_set_i,  // the same twice, since one would have too many readers
  input  logic [1:0][RowWidth-1:0] row_i,
  output logic [        16:0] row_mantissa_o,
  output logic [         4:0] row_top_o
);

  localparam int unsigned Levels = $clog2(O);
  localparam int unsigned SumWidth = $clog2(MaxKeys) + 7;
  localparam int unsigned ReciprocalWidth = SumWidth > 16 ? SumWidth : 16;
  localparam int unsigned SubWidth = O > I ? $clog2(O / I) : 1;
  localparam int unsigned ExpLatency = 11;
  localparam int unsigned Sets = 2 * (MaxKeys / O);  // tiles in a memory
  localparam int unsigned ChunkWidth = Sets > 32 ? 56 : 112;  // bits behind one address: 8 cells of distributed RAM
  localparam int unsigned LogitChunks = (O * 32 + ChunkWidth - 1) / ChunkWidth;  // of a row
  localparam int unsigned WeightChunks = (O * 7 + ChunkWidth - 1) / ChunkWidth;

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
  logic [RowWidth:0] ahead_q;  // rows whose largest logit is known, and whose weights are not all begun
  logic some_ahead_q, begin_q;  // ahead_q != 0; row and tile are 0
  logic largest_step, row_step;
  logic dividing_q;  // sums of a group are on their way to their reciprocals
  logic go, tile_end, row_end;
  slot_t slot0;
  assign go = active_q && (!exp_q || (some_ahead_q && !(dividing_q && begin_q)));
  assign tile_end = tile_q == last_tile_i;
  assign row_end = tile_end && row_q == RowWidth'(P - 1);
  assign row_step = go && exp_q && tile_end;
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
      if (go && exp_q && begin_q) dividing_q <= 1'b1;
      else if (reciprocals_o) dividing_q <= 1'b0;
    end
    if (start_i) begin
      exp_q <= 1'b0;
      row_q <= '0;
      tile_q <= '0;
      ahead_q <= '0;
      some_ahead_q <= 1'b0;
      begin_q <= 1'b1;
    end else begin
      if (go) begin
        begin_q <= row_end;
        tile_q <= tile_end ? '0 : tile_q + 1'b1;
        if (tile_end) row_q <= row_q + 1'b1;  // P is a power of two
        if (row_end) exp_q <= 1'b1;
      end
      if (largest_step && !row_step) begin
        ahead_q <= ahead_q + 1'b1;
        some_ahead_q <= 1'b1;
      end else if (row_step && !largest_step) begin
        ahead_q <= ahead_q - 1'b1;
        some_ahead_q <= ahead_q != (RowWidth + 1)'(1);
      end
    end
  end

  // ---------------------------------------------------------------- logits

  // Stage 1: what the memories and the choice of a row need goes to each row of the array, stage 2: to each chunk of its memory and each
  // lane, stage 3: a row of logits. So no register has too many readers.
  typedef struct packed {
    logic [RowWidth-1:0] row;
    logic set;
    logic [TileWidth-1:0] tile;
  } place_t;
  slot_t slot1_q, slot2_q, slot3_q;
  logic valid1_q, valid2_q, valid3_q;
  // verilator lint_off UNUSEDSIGNAL  // more rows than copies of one's number are needed
  place_t [P-1:0] place1_q;
  // verilator lint_on UNUSEDSIGNAL
  logic [O-1:0][1:0][RowWidth-1:0] row2_q;
  logic [1:0][RowWidth-1:0] max_row2_q;
  logic [P-1:0][O-1:0][31:0] read2;
  logic [O-1:0][31:0] logit3_q;
  logic [O-1:0][2:0] exists3_q;  // for the upper and the lower half of a lane's bits, and for its weight
  logic [P-1:0][31:0] max_q;
  logic [1:0][31:0] max3_q;  // for every other lane
  logic [P-1:0][2:0][TileWidth:0] write_q;  // for a third of a row
  copies #(
    .Width($bits(place_t)),
    .Copies(P)
  ) u_place1 (
    .clk_i,
    .d_i({row_q, set_q, tile_q}),
    .q_o(place1_q)
  );
  copies #(
    .Width(TileWidth + 1),
    .Copies(3 * P)
  ) u_write (
    .clk_i,
    .d_i({logit_next_set_i, logit_next_tile_i}),
    .q_o(write_q)
  );
  copies #(
    .Width(RowWidth),
    .Copies(2)
  ) u_max_row2 (
    .clk_i,
    .d_i(place1_q[0].row),
    .q_o(max_row2_q)
  );
  for (genvar p = 0; p < P; p++) begin : gen_logits
    logic [LogitChunks-1:0][TileWidth:0] address2_q;
    logic [O*32-1:0] logit, read;
    copies #(
      .Width(TileWidth + 1),
      .Copies(LogitChunks)
    ) u_address2 (
      .clk_i,
      .d_i({place1_q[p].set, place1_q[p].tile}),
      .q_o(address2_q)
    );
    assign logit = logit_i[p];
    for (genvar c = 0; c < LogitChunks; c++) begin : gen_chunk
      localparam int unsigned First = c * ChunkWidth;
      localparam int unsigned Bits = O * 32 - First < ChunkWidth ? O * 32 - First : ChunkWidth;
      (* ram_style = "distributed" *)
      logic [Bits-1:0] mem[Sets];
      always_ff @(posedge clk_i) begin
        if (logit_we_i) mem[write_q[p][3*c/LogitChunks]] <= logit[First+:Bits];
      end
      assign read[First+:Bits] = mem[address2_q[c]];
    end
    assign read2[p] = read;
  end
  for (genvar o = 0; o < O; o++) begin : gen_lane
    copies #(
      .Width(RowWidth),
      .Copies(2)
    ) u_row2 (
      .clk_i,
      .d_i(place1_q[o%P].row),
      .q_o(row2_q[o])
    );
    copies #(
      .Copies(3)
    ) u_exists3 (
      .clk_i,
      .d_i(!slot2_q.last || last_keys_i[o]),
      .q_o(exists3_q[o])
    );
    always_ff @(posedge clk_i) begin
      logit3_q[o] <= {read2[row2_q[o][1]][o][31:16], read2[row2_q[o][0]][o][15:0]};
    end
  end
  always_ff @(posedge clk_i) begin
    valid1_q <= rst_ni && go;
    valid2_q <= rst_ni && valid1_q;
    valid3_q <= rst_ni && valid2_q;
    slot1_q  <= slot0;
    slot2_q  <= slot1_q;
    slot3_q  <= slot2_q;
  end

  copies #(
    .Width(32),
    .Copies(2)
  ) u_max3 (
    .clk_i,
    .d_i({max_q[max_row2_q[1]][31:16], max_q[max_row2_q[0]][15:0]}),
    .q_o(max3_q)
  );

  // ---------------------------------------------------------------- first pass: largest logit

  // level l has O / 2^l numbers, a cycle after level l - 1
  logic signed [Levels:0][O-1:0][31:0] level;
  slot_t [Levels:0] max_slot;
  logic [Levels:0] max_valid;
  always_comb begin
    for (int unsigned o = 0; o < O; o++) begin
      level[0][o] = {exists3_q[o][1] ? logit3_q[o][31:16] : 16'h8000, exists3_q[o][0] ? logit3_q[o][15:0] : 16'b0};
    end
  end
  assign max_slot[0] = slot3_q;
  assign max_valid[0] = valid3_q && !slot3_q.exp;
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

  // the numbers that all lanes share, a cycle later and once for each lane
  typedef struct packed {
    logic [15:0] mantissa;
    logic [5:0] shift;
    logic flat;
  } scale_t;
  scale_t [O-1:0] scale_q;
  copies #(
    .Width($bits(scale_t)),
    .Copies(O)
  ) u_scale (
    .clk_i,
    .d_i({mantissa_i, shift_i, flat_q}),
    .q_o(scale_q)
  );

  logic [O-1:0][6:0] weight;
  for (genvar o = 0; o < O; o++) begin : gen_exp
    softmax_exp u_exp (
      .clk_i,
      .mantissa_i(scale_q[o].mantissa),
      .shift_i(scale_q[o].shift),
      .half_i(half_q),
      .over_i(over_q),
      .flat_i(scale_q[o].flat),
      .valid_i(exists3_q[o][2]),
      .max_i(max3_q[o%2]),
      .logit_i(logit3_q[o]),
      .e_o(weight[o])
    );
  end

  slot_t [ExpLatency-1:0] exp_slot_q;
  logic [ExpLatency-1:0] exp_valid_q;
  slot_t weight_slot;
  logic weight_valid;
  always_ff @(posedge clk_i) begin
    exp_slot_q  <= {exp_slot_q[ExpLatency-2:0], slot3_q};
    exp_valid_q <= !rst_ni || clear_i ? '0 : {exp_valid_q[ExpLatency-2:0], valid3_q && slot3_q.exp};
    // two cycles before the last weights are written: they are not read sooner than that after it
    done_o <= rst_ni && !clear_i && exp_valid_q[ExpLatency-3] && exp_slot_q[ExpLatency-3].last && exp_slot_q[ExpLatency-3].row == RowWidth'(P - 1);
  end
  assign weight_slot = exp_slot_q[ExpLatency-1];
  assign weight_valid = exp_valid_q[ExpLatency-1];

  logic [P-1:0][I-1:0][6:0] e2_q, e3_q;
  logic [O*7-1:0] weights;
  assign weights = weight;
  for (genvar p = 0; p < P; p++) begin : gen_weights
    // an address for each chunk of a row's memory, a write address for each row
    typedef struct packed {
      logic set;
      logic [BlockWidth-1:0] block;
    } address_t;
    address_t [WeightChunks-1:0] address1_q;
    logic [TileWidth:0] write_row_q;
    logic [O*7-1:0] read;
    logic [O-1:0][6:0] lanes;
    copies #(
      .Width(BlockWidth + 1),
      .Copies(WeightChunks)
    ) u_address1 (
      .clk_i,
      .d_i({e_set_i, e_block_i}),
      .q_o(address1_q)
    );
    copies #(
      .Width(TileWidth + 1),
      .Copies(1)
    ) u_write_row (
      .clk_i,
      .d_i({exp_slot_q[ExpLatency-2].set, exp_slot_q[ExpLatency-2].tile}),
      .q_o(write_row_q)
    );
    for (genvar c = 0; c < WeightChunks; c++) begin : gen_chunk
      localparam int unsigned First = c * ChunkWidth;
      localparam int unsigned Bits = O * 7 - First < ChunkWidth ? O * 7 - First : ChunkWidth;
      (* ram_style = "distributed" *)
      logic [Bits-1:0] mem[Sets];
      assign read[First+:Bits] = mem[{address1_q[c].set, TileWidth'(address1_q[c].block>>$clog2(O/I))}];
      always_ff @(posedge clk_i) begin
        if (weight_valid && weight_slot.row == RowWidth'(p)) mem[write_row_q] <= weights[First+:Bits];
      end
    end
    assign lanes = read;
    always_ff @(posedge clk_i) begin
      for (int unsigned i = 0; i < I; i++) begin
        automatic logic [SubWidth-1:0] sub = O > I ? address1_q[i*WeightChunks/I].block[SubWidth-1:0] : '0;
        e2_q[p][i] <= lanes[32'(sub)*I+i];
      end
      e3_q[p] <= e2_q[p];
    end
    for (genvar i = 0; i < I; i++) begin : gen_byte
      assign e_o[p][i] = {1'b0, e3_q[p][i]};
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
  // low bits by the first of each, the others by the second
  logic [1:0][21:0] row_reciprocal;
  always_comb begin
    for (int unsigned k = 0; k < 2; k++) row_reciprocal[k] = {mantissa_q[row_set_i[k]][row_i[k]], top_q[row_set_i[k]][row_i[k]]};
  end
  assign {row_mantissa_o, row_top_o} = {row_reciprocal[1][21:11], row_reciprocal[0][10:0]};

endmodule
