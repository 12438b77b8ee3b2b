// The unit `prep`: operands of streams or of the state, and streams of streams. docs/isa.md says what a descriptor does.
//
//   prep_walk -> slots -> issue (reads) -> waiting -> word, block (S0, S1), mean of values (S2, S3)
//             -> prep_lane | split in planes | copy -> results -> output register -> write port
//
// The middle runs free: a slot enters when its data are there and its result is sure of a place, so that nothing behind
// it ever waits. One slot a cycle: I lanes a cycle of kinds 0, 1 and 4, one plane of I lanes of kinds 2 and 3, a quarter of
// that where four pixels make one. A descriptor costs about 45 cycles besides.
module prep_unit
  import diffuser_isa_pkg::*;
  import diffuser_pkg::*;
#(
    parameter int unsigned P = 8,
    parameter int unsigned O = 32,
    parameter int unsigned I = 16
) (
    input logic clk_i,
    input logic rst_ni,

    input  logic                      desc_valid_i,
    output logic                      desc_ready_o,
    input  logic [DescriptorBits-1:0] desc_i,
    output logic                      done_o,
    output logic                      error_o,
    output error_e                    error_code_o,
    input  logic                      flush_i,
    output logic [AddrWidth-1:0]      progress_o,

    output logic                 stream_req_o,
    output logic [AddrWidth-1:0] stream_addr_o,
    input  logic                 stream_gnt_i,
    input  logic                 stream_rvalid_i,
    input  logic [O-1:0][15:0]   stream_rdata_i,

    output logic                 stream_we_o,
    output logic [AddrWidth-1:0] stream_waddr_o,
    output logic [O-1:0]         stream_wstrb_o,
    output logic [O-1:0][15:0]   stream_wdata_o,
    input  logic                 stream_wgnt_i,

    output logic                       operand_we_o,
    output logic [AddrWidth-1:0]       operand_waddr_o,
    output logic [P-1:0]               operand_wstrb_o,
    output logic [P-1:0][I-1:0][7:0]   operand_wdata_o,
    input  logic                       operand_wgnt_i,

    output logic                 state_req_o,
    output logic [AddrWidth-1:0] state_addr_o,
    input  logic                 state_gnt_i,
    input  logic                 state_rvalid_i,
    input  logic [3:0][31:0]     state_rdata_i,

    output logic                  affine_req_o,
    output logic [EntryWidth-1:0] affine_addr_o,
    input  logic                  affine_gnt_i,
    input  logic                  affine_rvalid_i,
    input  affine_t [I-1:0]       affine_rdata_i,

    output logic                  param_req_o,
    output logic [EntryWidth-1:0] param_addr_o,
    input  logic                  param_gnt_i,
    input  logic                  param_rvalid_i,
    input  logic [63:0]           param_rdata_i,

    output logic                  sums_we_o,
    output logic [EntryWidth-1:0] sums_waddr_o,
    output sums_t                 sums_wdata_o,
    input  logic                  sums_wgnt_i
);

  localparam int unsigned SelWidth = O > I ? $clog2(O / I) : 1;
  localparam int unsigned BankWidth = $clog2(P);
  localparam int unsigned LanesWidth = $clog2(I) + 1;
  localparam int unsigned WordBits = O * 16 > 128 ? O * 16 : 128;  // a stream's word or the state's
  localparam int unsigned Pending = 16;  // slots between issue and S0
  localparam int unsigned Results = 32;  // results between S0 and their write

  // ---------------------------------------------------------------- descriptor

  typedef enum logic [2:0] {
    Idle,
    Head,
    Size,
    Run,
    Done
  } state_e;
  state_e state_q;

  prep_desc_t desc_q;
  prep_head_t head_q;
  logic head_wanted_q, head_asked_q, refused_q;
  logic [3:0] size_step_q;

  logic norm, from_state, to_stream, planes, mean, summed;
  assign norm = desc_q.kind == 3'd0;
  assign from_state = desc_q.kind == 3'd3;
  assign to_stream = desc_q.kind == 3'd4;
  assign planes = desc_q.kind == 3'd2 || from_state;
  assign mean = desc_q.resample == 2'd2;
  assign summed = to_stream && desc_q.sums;

  // Rules of docs/isa.md that the ranges of fields do not show.
  logic refuse;
  assign refuse = desc_q.kind > 3'd4 || desc_q.resample == 2'd3
      || (!norm && (desc_q.channels_b != '0 || desc_q.silu || desc_q.affine != '0))
      || (from_state && desc_q.channels_a > 16'd4)
      || (!to_stream && (desc_q.sums || desc_q.plane_dest != '0))
      || (!desc_q.sums && desc_q.sums_base != '0)
      || (desc_q.channels_b == '0 && (desc_q.stream_b != '0 || desc_q.plane_b != '0))
      || (mean && (desc_q.width[0] || desc_q.height[0]));

  logic busy;  // anything of the running descriptor is on its way
  logic walk_start;
  logic sized;
  assign sized = size_step_q == 4'd8;
  assign walk_start = state_q == Size && sized && !head_wanted_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
      done_o <= 1'b0;
      error_o <= 1'b0;
      head_wanted_q <= 1'b0;
      head_asked_q <= 1'b0;
    end else begin
      done_o <= 1'b0;
      error_o <= 1'b0;
      unique case (state_q)
        Idle:
        if (desc_valid_i) begin
          state_q <= Head;
          refused_q <= 1'b0;
        end
        Head: begin
          state_q <= Size;
          refused_q <= refuse;
          head_wanted_q <= norm || desc_q.kind == 3'd1 || from_state;
          head_asked_q <= 1'b0;
        end
        Size: begin
          if (walk_start) state_q <= Run;
          if (walk_start && refused_q) begin
            state_q <= Done;
            error_o <= 1'b1;
          end
        end
        Run:  if (!busy) state_q <= Done;
        Done: begin
          state_q <= Idle;
          done_o  <= 1'b1;
        end
        default: state_q <= Idle;
      endcase
      if (param_req_o && param_gnt_i) head_asked_q <= 1'b1;
      if (param_rvalid_i) head_wanted_q <= 1'b0;
    end
  end
  assign error_code_o = ErrorField;
  assign desc_ready_o = state_q == Idle;
  assign param_req_o = state_q == Size && head_wanted_q && !head_asked_q;
  assign param_addr_o = desc_q.param;

  always_ff @(posedge clk_i) begin
    if (desc_ready_o) desc_q <= desc_i;
    if (param_rvalid_i) head_q <= param_rdata_i;
  end

  // Sizes of the result, by one multiplier used twice: columns x rows, then blocks x rows of the operand memory.
  logic [12:0] columns_q, lines_q, last_column_q;
  logic [AddrWidth-1:0] factor_q, pixels_q, rows_q, plane_offset_q;
  logic [15:0] count_q;
  logic [39:0] product1_q, product2_q;
  always_ff @(posedge clk_i) begin
    if (state_q == Head) begin
      size_step_q <= '0;
      columns_q <= desc_q.resample == 2'd1 ? {desc_q.width, 1'b0} : 13'(desc_q.width >> mean);
      lines_q <= desc_q.resample == 2'd1 ? {desc_q.height, 1'b0} : 13'(desc_q.height >> mean);
    end else if (!sized) begin
      size_step_q <= size_step_q + 4'd1;
    end
    last_column_q <= columns_q - 13'd1;
    product1_q <= factor_q * count_q;
    product2_q <= product1_q;
    if (size_step_q == 4'd0) begin
      factor_q <= AddrWidth'(columns_q);
      count_q <= 16'(lines_q);
    end else if (size_step_q == 4'd3) begin
      pixels_q <= product2_q[AddrWidth-1:0];
      factor_q <= (product2_q[AddrWidth-1:0] + AddrWidth'(P - 1)) >> BankWidth;
      count_q <= (desc_q.channels_a + 16'(I - 1)) >> $clog2(I);  // planes have one stream
      rows_q <= (product2_q[AddrWidth-1:0] + AddrWidth'(P - 1)) >> BankWidth;
    end else if (size_step_q == 4'd6) begin
      plane_offset_q <= product2_q[AddrWidth-1:0];
    end
  end
  logic unused_high;
  assign unused_high = ^{product2_q[39:AddrWidth], head_q.reserved_32, head_q.shift[7:5]};

  // ---------------------------------------------------------------- slots

  typedef struct packed {
    logic read;
    logic [SelWidth-1:0] select;
    logic low;
    logic first;
    logic last;
    logic [AddrWidth-1:0] dest;
    logic [BankWidth-1:0] bank;
    logic [LanesWidth-1:0] lanes;
    logic group;
    logic block;
  } slot_t;

  typedef struct packed {
    logic [AddrWidth-1:0] addr;
    logic [EntryWidth-1:0] affine;
    slot_t slot;
  } issue_slot_t;

  logic walk_go_q, walk_valid, walk_busy;
  issue_slot_t walked, issue;
  prep_walk #(
      .P(P),
      .O(O),
      .I(I)
  ) u_walk (
      .clk_i,
      .rst_ni,
      .start_i(walk_start && !refused_q),
      .stop_i(flush_i),
      .go_i(walk_go_q),
      .busy_o(walk_busy),
      .desc_i(desc_q),
      .last_column_i(last_column_q),
      .pixels_i(pixels_q),
      .rows_i(rows_q),
      .plane_offset_i(plane_offset_q),
      .valid_o(walk_valid),
      .read_o(walked.slot.read),
      .addr_o(walked.addr),
      .affine_o(walked.affine),
      .select_o(walked.slot.select),
      .low_o(walked.slot.low),
      .first_o(walked.slot.first),
      .last_o(walked.slot.last),
      .dest_o(walked.slot.dest),
      .bank_o(walked.slot.bank),
      .lanes_o(walked.slot.lanes),
      .group_o(walked.slot.group),
      .block_o(walked.slot.block)
  );

  // Nobody asks these buffers whether they have room: whoever fills one holds credits for its places.
  logic [5:0] fits;
  logic [4:0] slots_count;
  logic [1:0][$clog2(Pending+1)-1:0] unused_count;
  logic [$clog2(2*Pending+1)-1:0] unused_map_count;
  logic [1:0][$clog2(Results+1)-1:0] unused_result_count;
`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) walk_valid |-> fits[0])
  else $error("%m: a slot is lost");
  assert property (@(posedge clk_i) disable iff (!rst_ni) issue_pop |-> fits[1])
  else $error("%m: a slot is lost");
  assert property (@(posedge clk_i) disable iff (!rst_ni) stream_rvalid_i || state_rvalid_i |-> fits[2])
  else $error("%m: a word is lost");
  assert property (@(posedge clk_i) disable iff (!rst_ni) affine_rvalid_i |-> fits[3])
  else $error("%m: maps are lost");
  assert property (@(posedge clk_i) disable iff (!rst_ni) enter && slot.last |-> fits[4])
  else $error("%m: a place is lost");
  assert property (@(posedge clk_i) disable iff (!rst_ni) result_push |-> fits[5])
  else $error("%m: a result is lost");
`endif

  // The walk looks at the buffer's level a cycle late and has two slots under way: 10 + 3 of 16 places.
  logic issue_valid, issue_pop;
  fifo #(
      .Width($bits(issue_slot_t)),
      .Depth(16)
  ) u_slots (
      .clk_i,
      .rst_ni,
      .clear_i(1'b0),
      .in_valid_i(walk_valid),
      .in_ready_o(fits[0]),
      .in_data_i(walked),
      .out_valid_o(issue_valid),
      .out_ready_i(issue_pop),
      .out_data_o(issue),
      .count_o(slots_count)
  );
  always_ff @(posedge clk_i) begin
    if (!rst_ni) walk_go_q <= 1'b0;
    else walk_go_q <= slots_count < 5'd10;
  end

  // ---------------------------------------------------------------- issue of reads

  logic room_q, word_done_q, affine_done_q;
  logic [4:0] pending_q, pending_d;
  logic word_req, word_gnt, word_ok, affine_ok, enter;
  assign word_req = issue_valid && room_q && issue.slot.read && !word_done_q;
  assign stream_req_o = word_req && !from_state;
  assign state_req_o = word_req && from_state;
  assign stream_addr_o = issue.addr;
  assign state_addr_o = issue.addr;
  assign affine_req_o = issue_valid && room_q && norm && !affine_done_q;
  assign affine_addr_o = issue.affine;
  assign word_gnt = from_state ? state_gnt_i : stream_gnt_i;
  assign word_ok = !issue.slot.read || word_done_q || word_gnt;
  assign affine_ok = !norm || affine_done_q || affine_gnt_i;
  assign issue_pop = issue_valid && room_q && word_ok && affine_ok;

  // Every slot has at most one word and one map on its way, so that one count is the credit for all three buffers.
  assign pending_d = pending_q + 5'(issue_pop) - 5'(enter);
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      word_done_q <= 1'b0;
      affine_done_q <= 1'b0;
      pending_q <= '0;
      room_q <= 1'b1;
    end else begin
      word_done_q <= !issue_pop && (word_done_q || (word_req && word_gnt));
      affine_done_q <= !issue_pop && (affine_done_q || (affine_req_o && affine_gnt_i));
      pending_q <= pending_d;
      room_q <= pending_d < 5'(Pending);
    end
  end

  slot_t slot;
  logic slot_valid;
  fifo #(
      .Width($bits(slot_t)),
      .Depth(Pending)
  ) u_waiting (
      .clk_i,
      .rst_ni,
      .clear_i(1'b0),
      .in_valid_i(issue_pop),
      .in_ready_o(fits[1]),
      .in_data_i(issue.slot),
      .out_valid_o(slot_valid),
      .out_ready_i(enter),
      .out_data_o(slot),
      .count_o(unused_count[0])
  );

  logic word_valid;
  logic [WordBits-1:0] word_data;
  fifo #(
      .Width(WordBits),
      .Depth(Pending)
  ) u_words (
      .clk_i,
      .rst_ni,
      .clear_i(1'b0),
      .in_valid_i(stream_rvalid_i || state_rvalid_i),
      .in_ready_o(fits[2]),
      .in_data_i(state_rvalid_i ? WordBits'(state_rdata_i) : WordBits'(stream_rdata_i)),
      .out_valid_o(word_valid),
      .out_ready_i(enter && slot.read),
      .out_data_o(word_data),
      .count_o(unused_count[1])
  );

  // Maps leave their buffer three cycles after their slot has entered, with its values: more places, a count of its own.
  logic [1:0] unused_valid;
  logic affine_pop, affine_here_q;
  logic [5:0] affine_count_q, affine_count_d;
  affine_t [I-1:0] affine;
  fifo #(
      .Width(I * $bits(affine_t)),
      .Depth(2 * Pending)
  ) u_maps (
      .clk_i,
      .rst_ni,
      .clear_i(1'b0),
      .in_valid_i(affine_rvalid_i),
      .in_ready_o(fits[3]),
      .in_data_i(affine_rdata_i),
      .out_valid_o(unused_valid[0]),
      .out_ready_i(affine_pop),
      .out_data_o(affine),
      .count_o(unused_map_count)
  );
  assign affine_count_d = affine_count_q + 6'(affine_rvalid_i) - 6'(enter && norm);
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      affine_count_q <= '0;
      affine_here_q  <= 1'b0;
    end else begin
      affine_count_q <= affine_count_d;
      affine_here_q  <= affine_count_d != '0;
    end
  end

  // ---------------------------------------------------------------- entry: one slot a cycle

  logic result_room_q, sums_busy;
  logic [5:0] results_q, results_d;
  logic written;
  assign enter = slot_valid && (!slot.read || word_valid) && (!norm || affine_here_q) && result_room_q
      && !(slot.block && summed && sums_busy);
  assign results_d = results_q + 6'(enter && slot.last) - 6'(written);
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      results_q <= '0;
      result_room_q <= 1'b1;
    end else begin
      results_q <= results_d;
      result_room_q <= results_d < 6'(Results);
    end
  end

  localparam int unsigned Stages = 22;  // S0 to S21
  logic [Stages-1:0] valid_q, last_q;
  logic [19:0] first_q;
  logic [8:0] low_q;
  logic [5:0] block_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[Stages-2:0], enter};
  end
  always_ff @(posedge clk_i) begin
    first_q <= {first_q[18:0], slot.first};
    last_q  <= {last_q[Stages-2:0], slot.last};
    low_q   <= {low_q[7:0], slot.low};
    block_q <= {block_q[4:0], slot.block};
  end
  assign affine_pop = valid_q[2] && norm;

  // S0, S1: the word, then its block
  logic [WordBits-1:0] word0_q;
  logic [SelWidth-1:0] select0_q;
  logic signed [I-1:0][15:0] x1_q, x3_q, x3_d;
  logic [I-1:0][17:0] sum2_q;
  logic mean_values;  // else of operands, in the lanes
  assign mean_values = mean && (planes || to_stream);
  always_ff @(posedge clk_i) begin
    if (enter && slot.read) word0_q <= word_data;
    select0_q <= slot.select;
    x1_q <= word0_q[select0_q*(I*16)+:I*16];
    // S2, S3: the mean of values
    for (int unsigned i = 0; i < I; i++) begin
      if (valid_q[1]) begin
        sum2_q[i] <= (first_q[1] || !mean_values ? {16'b0, mean_values, 1'b0} : sum2_q[i])
            + {{2{x1_q[i][15]}}, x1_q[i]};
      end
    end
    x3_q <= x3_d;
  end
  always_comb begin
    for (int unsigned i = 0; i < I; i++) x3_d[i] = mean_values ? sum2_q[i][17:2] : sum2_q[i][15:0];
  end

  // ---------------------------------------------------------------- lanes: kinds 0 and 1, squares of kind 4

  logic [I-1:0][31:0] product5;
  logic [I-1:0][7:0] operand21;
  for (genvar i = 0; i < I; i++) begin : gen_lane
    logic signed [15:0] a3_q;
    logic signed [31:0] b3_q;
    logic [31:0] half3_q;
    logic [4:0] shift3_q;
    always_ff @(posedge clk_i) begin
      // kind 1 is the identity, kind 4 squares
      a3_q <= norm ? affine[i].a : to_stream ? x3_d[i] : 16'sd1;
      b3_q <= norm ? affine[i].b : '0;
      shift3_q <= norm ? affine[i].shift[4:0] : '0;
      half3_q <= norm && affine[i].shift[4:0] != '0 ? 32'(1) << (affine[i].shift[4:0] - 5'd1) : '0;
    end
    logic unused_shift;
    assign unused_shift = ^affine[i].shift[7:5];

    prep_lane u_lane (
        .clk_i,
        .silu_i(norm && desc_q.silu),
        .mean_i(mean),
        .gain_i(head_q.gain),
        .zero_i(head_q.zero_point),
        .x_i(x3_q[i]),
        .a_i(a3_q),
        .b_i(b3_q),
        .half_i(half3_q),
        .shift_i(shift3_q),
        .valid_i(valid_q[19]),
        .first_i(first_q[19] || !mean),
        .product_o(product5[i]),
        .operand_o(operand21[i])
    );
  end

  // ---------------------------------------------------------------- planes: kinds 2 and 3

  logic [3:0][15:0] state6;
  prep_state u_state (
      .clk_i,
      .mean_i(mean),
      .shift_i(head_q.shift[4:0]),
      .valid_i(valid_q[0]),
      .first_i(first_q[0] || !mean),
      .x_i(word0_q[127:0]),
      .value_o(state6)
  );

  logic [I-1:0][7:0] plane_q;  // S8 of streams, S9 of the state
  logic low;
  assign low = from_state ? low_q[8] : low_q[7];
  for (genvar i = 0; i < I; i++) begin : gen_planes
    localparam logic signed [15:0] Max = 16'sd16319;  // spec::operand::PLANES_MAX
    logic signed [15:0] half4_q, clamped5_q, value_q, biased_q;
    logic signed [15:0] of_state;
    if (i < 4) begin : gen_state
      assign of_state = state6[i];
    end else begin : gen_none
      assign of_state = '0;
    end
    always_ff @(posedge clk_i) begin
      half4_q <= 16'((17'($signed(x3_q[i])) + 17'sd1) >>> 1);
      if (half4_q > Max) clamped5_q <= Max;
      else if (half4_q < -Max) clamped5_q <= -Max;
      else clamped5_q <= half4_q;
      value_q <= from_state ? of_state : clamped5_q;
      biased_q <= value_q + 16'sd64;
      plane_q[i] <= low ? {{2{!biased_q[6]}}, biased_q[5:0]} : biased_q[14:7];
    end
    logic unused_sign;
    assign unused_sign = biased_q[15];
  end

  // ---------------------------------------------------------------- sums: kind 4

  logic [I-1:0][15:0] x4_q, x5_q;
  always_ff @(posedge clk_i) begin
    x4_q <= x3_q;
    x5_q <= x4_q;
  end
  prep_sums #(
      .I(I)
  ) u_sums (
      .clk_i,
      .rst_ni,
      .start_i(walk_start),
      .base_i(desc_q.sums_base),
      .reserve_i(enter && slot.block && summed),
      .lanes_i(slot.lanes),
      .busy_o(sums_busy),
      .valid_i(valid_q[5] && last_q[5] && summed),
      .last_i(block_q[5]),
      .x_i(x5_q),
      .square_i(product5),
      .sums_we_o,
      .sums_waddr_o,
      .sums_wdata_o,
      .sums_wgnt_i
  );

  // ---------------------------------------------------------------- results and their places

  typedef struct packed {
    logic [SelWidth-1:0] select;
    logic [AddrWidth-1:0] dest;
    logic [BankWidth-1:0] bank;
    logic [LanesWidth-1:0] lanes;
    logic group;
  } place_t;
  place_t place_in, place;
  assign place_in = '{select: slot.select, dest: slot.dest, bank: slot.bank, lanes: slot.lanes, group: slot.group};

  logic take, result_valid, result_push;
  logic [I-1:0][15:0] result_in, result;
  fifo #(
      .Width($bits(place_t)),
      .Depth(Results)
  ) u_places (
      .clk_i,
      .rst_ni,
      .clear_i(1'b0),
      .in_valid_i(enter && slot.last),
      .in_ready_o(fits[4]),
      .in_data_i(place_in),
      .out_valid_o(unused_valid[1]),
      .out_ready_i(take),
      .out_data_o(place),
      .count_o(unused_result_count[0])
  );

  always_comb begin
    for (int unsigned i = 0; i < I; i++) result_in[i] = planes ? {8'b0, plane_q[i]} : {8'b0, operand21[i]};
    result_push = valid_q[21] && last_q[21];
    if (planes) result_push = from_state ? valid_q[9] && last_q[9] : valid_q[8] && last_q[8];
    if (to_stream) begin
      result_in = x3_q;
      result_push = valid_q[3] && last_q[3];
    end
  end
  fifo #(
      .Width(I * 16),
      .Depth(Results)
  ) u_results (
      .clk_i,
      .rst_ni,
      .clear_i(1'b0),
      .in_valid_i(result_push),
      .in_ready_o(fits[5]),
      .in_data_i(result_in),
      .out_valid_o(result_valid),
      .out_ready_i(take),
      .out_data_o(result),
      .count_o(unused_result_count[1])
  );

  logic operand_we_q, stream_we_q, group_q;
  logic [AddrWidth-1:0] dest_q;
  logic [P-1:0] bank_q;
  logic [O-1:0] strobe_q;
  logic [I-1:0][15:0] data_q;
  assign written = (operand_we_q && operand_wgnt_i) || (stream_we_q && stream_wgnt_i);
  assign take = result_valid && (written || !(operand_we_q || stream_we_q));
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      operand_we_q <= 1'b0;
      stream_we_q  <= 1'b0;
    end else if (take) begin
      operand_we_q <= !to_stream;
      stream_we_q  <= to_stream;
    end else if (written) begin
      operand_we_q <= 1'b0;
      stream_we_q  <= 1'b0;
    end
    if (take) begin
      group_q <= place.group;
      dest_q <= place.dest;
      bank_q <= P'(1) << place.bank;
      for (int unsigned o = 0; o < O; o++) strobe_q[o] <= o / I == 32'(place.select);
      for (int unsigned i = 0; i < I; i++) data_q[i] <= i < 32'(place.lanes) ? result[i] : '0;
    end
  end

  assign operand_we_o = operand_we_q;
  assign operand_waddr_o = dest_q;
  assign operand_wstrb_o = bank_q;
  always_comb begin
    for (int unsigned p = 0; p < P; p++) begin
      for (int unsigned i = 0; i < I; i++) operand_wdata_o[p][i] = data_q[i][7:0];
    end
    for (int unsigned o = 0; o < O; o++) stream_wdata_o[o] = data_q[o%I];
  end
  assign stream_we_o = stream_we_q;
  assign stream_waddr_o = dest_q;
  assign stream_wstrb_o = strobe_q;

  // Back to 0 when its descriptor retires, so that nobody takes it for the next one's.
  always_ff @(posedge clk_i) begin
    if (!rst_ni || state_q == Idle || state_q == Done) progress_o <= '0;
    else if (operand_we_q && operand_wgnt_i && group_q) progress_o <= progress_o + 1'b1;
  end

  assign busy = walk_busy || issue_valid || slot_valid || (|valid_q) || results_q != '0 || sums_busy;

endmodule
