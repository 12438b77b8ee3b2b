// The unit `prep`: operands of streams or of the state, and streams of streams. docs/isa.md says what a descriptor does.
//
//   prep_ctrl -> prep_walk -> prep_source (reads, slots) -> words, block (S0 to S2), mean of values (S3, S4)
//             -> prep_lane | prep_planes | copy -> prep_writer -> write port
//
// The middle runs free: a slot enters when its data are there and its result is sure of a place, so that nothing behind
// it ever waits. A word of a stream is read each cycle, and all of it worked off in as long: I channels of O / I pixels a cycle (kinds 0
// and 1), or of 2 O / I pixels in one of two planes (kind 2); of the state a pixel a cycle (kind 3). A mean of four pixels takes
// I channels of one pixel a cycle, a plane where there are two, and so does kind 4. A descriptor costs about 50 cycles besides.
module prep_unit
  import diffuser_isa_pkg::*;
  import diffuser_pkg::*;
  import prep_pkg::*;
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
  localparam int unsigned LanePixels = lane_pixels(P, O, I);
  localparam int unsigned Pixels = plane_pixels(P, O, I);  // of a chunk at most
  localparam int unsigned IndexWidth = $clog2(Pixels);

  // ---------------------------------------------------------------- descriptor

  // verilator lint_off UNUSEDSIGNAL  // waits, and what the parts take alone
  prep_desc_t desc;
  prep_head_t head;
  // verilator lint_on UNUSEDSIGNAL
  logic [12:0] last_column;
  logic [AddrWidth-1:0] last_pixel, rows, plane_offset;
  logic start, stop, running, busy_q;
  prep_ctrl #(
      .P(P),
      .I(I)
  ) u_ctrl (
      .clk_i,
      .rst_ni,
      .desc_valid_i,
      .desc_ready_o,
      .desc_i,
      .done_o,
      .error_o,
      .error_code_o,
      .flush_i,
      .param_req_o,
      .param_addr_o,
      .param_gnt_i,
      .param_rvalid_i,
      .param_rdata_i,
      .desc_o(desc),
      .head_o(head),
      .last_column_o(last_column),
      .last_pixel_o(last_pixel),
      .rows_o(rows),
      .plane_offset_o(plane_offset),
      .start_o(start),
      .stop_o(stop),
      .running_o(running),
      .busy_i(busy_q)
  );

  logic norm, from_state, to_stream, planes, mean, summed;
  assign norm = desc.kind == 3'd0;
  assign from_state = desc.kind == 3'd3;
  assign to_stream = desc.kind == 3'd4;
  assign planes = desc.kind == 3'd2 || from_state;
  assign mean = desc.resample == 2'd2;
  assign summed = to_stream && desc.sums;

  // ---------------------------------------------------------------- slots and their data

  typedef struct packed {
    logic [SelWidth-1:0] select;
    logic low;
    logic first;
    logic last;
    logic [AddrWidth-1:0] dest;
    logic [BankWidth-1:0] bank;
    logic swap;
    logic [LanesWidth-1:0] lanes;
    logic group;
  } slot_t;

  logic walk_go, walk_busy, step, step_read, step_slot, step_fresh, step_block;
  logic [IndexWidth-1:0] step_index, step_pixels;
  logic [AddrWidth-1:0] step_addr;
  logic [EntryWidth-1:0] step_affine;
  slot_t walked, slot;
  prep_walk #(
      .P(P),
      .O(O),
      .I(I)
  ) u_walk (
      .clk_i,
      .rst_ni,
      .start_i(start),
      .stop_i(stop),
      .go_i(walk_go),
      .busy_o(walk_busy),
      .desc_i(desc),
      .last_column_i(last_column),
      .last_pixel_i(last_pixel),
      .rows_i(rows),
      .plane_offset_i(plane_offset),
      .valid_o(step),
      .read_o(step_read),
      .index_o(step_index),
      .addr_o(step_addr),
      .slot_o(step_slot),
      .fresh_o(step_fresh),
      .pixels_o(step_pixels),
      .affine_o(step_affine),
      .select_o(walked.select),
      .low_o(walked.low),
      .first_o(walked.first),
      .last_o(walked.last),
      .dest_o(walked.dest),
      .bank_o(walked.bank),
      .swap_o(walked.swap),
      .lanes_o(walked.lanes),
      .group_o(walked.group),
      .block_o(step_block)
  );

  logic result_room, sums_busy, enter, slot_block, map_pop, source_busy;
  logic [IndexWidth-1:0] slot_pixels;
  logic [Pixels-1:0][WordBits-1:0] word;  // with valid_q[1]
  affine_t [I-1:0] map;
  prep_source #(
      .I(I),
      .WordBits(WordBits),
      .Pixels(Pixels),
      .Payload($bits(slot_t))
  ) u_source (
      .clk_i,
      .rst_ni,
      .norm_i(norm),
      .from_state_i(from_state),
      .go_o(walk_go),
      .step_i(step),
      .read_i(step_read),
      .index_i(step_index),
      .addr_i(step_addr),
      .slot_i(step_slot),
      .fresh_i(step_fresh),
      .pixels_i(step_pixels),
      .affine_i(step_affine),
      .hold_i(step_block && summed),
      .payload_i(walked),
      .stream_req_o,
      .stream_addr_o,
      .stream_gnt_i,
      .stream_rvalid_i,
      .stream_rdata_i(WordBits'(stream_rdata_i)),
      .state_req_o,
      .state_addr_o,
      .state_gnt_i,
      .state_rvalid_i,
      .state_rdata_i,
      .affine_req_o,
      .affine_addr_o,
      .affine_gnt_i,
      .affine_rvalid_i,
      .affine_rdata_i,
      .room_i(result_room),
      .held_i(sums_busy),
      .enter_o(enter),
      .payload_o(slot),
      .pixels_o(slot_pixels),
      .hold_o(slot_block),
      .word_o(word),
      .map_pop_i(map_pop),
      .map_o(map),
      .busy_o(source_busy)
  );

  localparam int unsigned Stages = 23;  // S0 to S22: a slot enters, and is in S0 in the cycle behind that
  logic [Stages-1:0] valid_q, last_q;
  logic [19:0] first_q;
  logic [8:0] low_q;
  logic [6:0] block_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) valid_q <= '0;
    else valid_q <= {valid_q[Stages-2:0], enter};
  end
  always_ff @(posedge clk_i) begin
    first_q <= {first_q[18:0], slot.first};
    last_q  <= {last_q[Stages-2:0], slot.last};
    low_q   <= {low_q[7:0], slot.low};
    block_q <= {block_q[5:0], slot_block};
  end
  assign map_pop = valid_q[3] && norm;

  // S1: the words; S2: a block of each
  localparam int unsigned Selects = I > 8 ? 8 : I;  // registers for each pixel, so that none drives too many
  logic [SelWidth-1:0] select0_q;
  logic [Pixels-1:0][Selects-1:0][SelWidth-1:0] select1_q;
  copies #(
      .Width(SelWidth),
      .Copies(Pixels * Selects)
  ) u_select (
      .clk_i,
      .d_i(select0_q),
      .q_o(select1_q)
  );
  logic signed [Pixels-1:0][I-1:0][15:0] x2_q, x3_q, x4_q;
  always_ff @(posedge clk_i) begin
    select0_q <= slot.select;
    for (int unsigned p = 0; p < Pixels; p++) begin
      for (int unsigned i = 0; i < I; i++) begin
        x2_q[p][i] <= word[p][(32'(select1_q[p][i*Selects/I])*I+i)*16+:16];
      end
    end
    x3_q <= x2_q;
  end

  // What stands still while a descriptor runs, a cycle later and once for each channel.
  typedef struct packed {
    logic [1:0] norm;
    logic to_stream;
    logic silu;
    logic mean;
    logic mean_values;  // of values, else of operands, in the lanes
    prep_head_t head;
  } fixed_t;
  // verilator lint_off UNUSEDSIGNAL  // a head's shift is of kind 3
  fixed_t [I-1:0] fixed_q;
  // verilator lint_on UNUSEDSIGNAL
  fixed_t fixed;
  assign fixed = '{
      norm: {2{norm}},
      to_stream: to_stream,
      silu: norm && desc.silu,
      mean: mean,
      mean_values: mean && (planes || to_stream),
      head: head
  };
  copies #(
      .Width($bits(fixed_t)),
      .Copies(I)
  ) u_fixed (
      .clk_i,
      .d_i(fixed),
      .q_o(fixed_q)
  );

  // S3, S4: the mean of values, of chunks of one pixel
  logic [I-1:0][17:0] sum3_q;
  logic [I-1:0][15:0] x4_first;
  logic [I-1:0] first2_q;
  copies #(
      .Copies(I)
  ) u_first2 (
      .clk_i,
      .d_i(first_q[1]),
      .q_o(first2_q)
  );
  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < I; i++) begin
      if (valid_q[2]) sum3_q[i] <= {{2{x2_q[0][i][15]}}, x2_q[0][i]} + (first2_q[i] ? 18'd2 : sum3_q[i]);
    end
    x4_q <= x3_q;
    x4_q[0] <= x4_first;
  end
  always_comb begin
    for (int unsigned i = 0; i < I; i++) x4_first[i] = fixed_q[i].mean_values ? sum3_q[i][17:2] : x3_q[0][i];
  end

  // ---------------------------------------------------------------- lanes: kinds 0 and 1, squares of kind 4

  logic [I-1:0][31:0] product6;
  logic [LanePixels-1:0][I-1:0][7:0] operand22;
  logic [I-1:0] first20_q;  // with valid_q[20]: a mean begins
  copies #(
      .Copies(I)
  ) u_first20 (
      .clk_i,
      .d_i(first_q[19] || !mean),
      .q_o(first20_q)
  );
  for (genvar i = 0; i < I; i++) begin : gen_channel
    // kind 1 is the identity
    logic signed [31:0] b4_q;
    logic [31:0] half4_q;
    logic [4:0] shift4_q;
    always_ff @(posedge clk_i) begin
      b4_q <= fixed_q[i].norm[0] ? map[i].b : '0;
      shift4_q <= fixed_q[i].norm[0] ? map[i].shift[4:0] : '0;
      half4_q <= fixed_q[i].norm[1] && map[i].shift[4:0] != '0 ? 32'(1) << (map[i].shift[4:0] - 5'd1) : '0;
    end
    logic unused_shift;
    assign unused_shift = ^map[i].shift[7:5];

    for (genvar p = 0; p < LanePixels; p++) begin : gen_lane
      logic signed [31:0] product;
      logic signed [15:0] a3;  // the lane registers it and its other factor
      if (p == 0) begin : gen_square
        assign a3 = fixed_q[i].norm[0] ? map[i].a : fixed_q[i].to_stream ? x4_first[i] : 16'sd1;
        assign product6[i] = product;
      end else begin : gen_map
        assign a3 = fixed_q[i].norm[1] ? map[i].a : 16'sd1;
        logic unused_product;
        assign unused_product = ^product;
      end
      prep_lane u_lane (
          .clk_i,
          .silu_i(fixed_q[i].silu),
          .mean_i(fixed_q[i].mean && p == 0),
          .gain_i(fixed_q[i].head.gain),
          .zero_i(fixed_q[i].head.zero_point),
          .x_i(p == 0 ? x4_first[i] : x3_q[p][i]),
          .a_i(a3),
          .b_i(b4_q),
          .half_i(half4_q),
          .shift_i(shift4_q),
          .valid_i(valid_q[20]),
          .first_i(first20_q[i] || p != 0),
          .product_o(product),
          .operand_o(operand22[p][i])
      );
    end
  end

  // ---------------------------------------------------------------- planes: kinds 2 and 3

  logic [Pixels-1:0][I-1:0][7:0] plane;  // S9 of streams, S10 of the state
  logic [StatePixels-1:0][127:0] state;
  for (genvar p = 0; p < StatePixels; p++) begin : gen_state
    assign state[p] = word[p][127:0];
  end
  prep_planes #(
      .I(I),
      .Pixels(Pixels)
  ) u_planes (
      .clk_i,
      .from_state_i(from_state),
      .mean_i(mean),
      .shift_i(head.shift[4:0]),
      .x_i(x4_q),
      .stream_low_i(low_q[7]),
      .state_valid_i(valid_q[1]),
      .state_first_i(first_q[0] || !mean),
      .state_i(state),
      .state_low_i(low_q[8]),
      .plane_o(plane)
  );

  // ---------------------------------------------------------------- sums: kind 4

  logic [I-1:0][15:0] x5_q, x6_q;
  always_ff @(posedge clk_i) begin
    x5_q <= x4_q[0];
    x6_q <= x5_q;
  end
  prep_sums #(
      .I(I)
  ) u_sums (
      .clk_i,
      .rst_ni,
      .start_i(start),
      .base_i(desc.sums_base),
      .reserve_i(enter && slot_block),
      .lanes_i(slot.lanes),
      .busy_o(sums_busy),
      .valid_i(valid_q[6] && last_q[6] && summed),
      .last_i(block_q[6]),
      .x_i(x6_q),
      .square_i(product6),
      .sums_we_o,
      .sums_waddr_o,
      .sums_wdata_o,
      .sums_wgnt_i
  );

  // ---------------------------------------------------------------- results

  // A chunk of fewer pixels stands in each place that its banks may take.
  logic [Pixels-1:0][I-1:0][7:0] result_q;
  logic result_valid_q, group_written, writer_busy;
  localparam int unsigned Choices = I > 8 ? 8 : I;  // registers for each pixel, so that none drives too many
  typedef struct packed {
    logic to_stream;
    logic planes;
    logic mean;
    logic from_state;
  } choice_t;
  choice_t [Pixels-1:0][Choices-1:0] choice_q;
  choice_t choice;
  assign choice = '{to_stream: to_stream, planes: planes, mean: mean, from_state: from_state};
  copies #(
      .Width($bits(choice_t)),
      .Copies(Pixels * Choices)
  ) u_choice (
      .clk_i,
      .d_i(choice),
      .q_o(choice_q)
  );
  always_ff @(posedge clk_i) begin
    for (int unsigned p = 0; p < Pixels; p++) begin
      for (int unsigned i = 0; i < I; i++) begin
        automatic choice_t of = choice_q[p][i*Choices/I];
        if (of.to_stream) result_q[p][i] <= p == 1 ? x4_q[0][i][15:8] : x4_q[0][i][7:0];
        else if (of.planes) result_q[p][i] <= plane[of.mean ? 0 : of.from_state ? p % StatePixels : p][i];
        else result_q[p][i] <= operand22[of.mean ? 0 : p % LanePixels][i];
      end
    end
  end
  always_ff @(posedge clk_i) begin
    if (!rst_ni) result_valid_q <= 1'b0;
    else if (to_stream) result_valid_q <= valid_q[4] && last_q[4];
    else if (from_state) result_valid_q <= valid_q[10] && last_q[10];
    else if (planes) result_valid_q <= valid_q[9] && last_q[9];
    else result_valid_q <= valid_q[22] && last_q[22];
  end

  prep_writer #(
      .P(P),
      .O(O),
      .I(I),
      .Pixels(Pixels)
  ) u_writer (
      .clk_i,
      .rst_ni,
      .to_stream_i(to_stream),
      .place_i(enter && slot.last),
      .select_i(slot.select),
      .dest_i(slot.dest),
      .bank_i(slot.bank),
      .swap_i(slot.swap),
      .pixels_i(slot_pixels),
      .lanes_i(slot.lanes),
      .group_i(slot.group),
      .room_o(result_room),
      .result_i(result_valid_q),
      .data_i(result_q),
      .stream_we_o,
      .stream_waddr_o,
      .stream_wstrb_o,
      .stream_wdata_o,
      .stream_wgnt_i,
      .operand_we_o,
      .operand_waddr_o,
      .operand_wstrb_o,
      .operand_wdata_o,
      .operand_wgnt_i,
      .group_o(group_written),
      .busy_o(writer_busy)
  );

  // 0 when its descriptor retires, so that nobody takes it for the next one's.
  always_ff @(posedge clk_i) begin
    if (!rst_ni || !running) progress_o <= '0;
    else if (group_written) progress_o <= progress_o + 1'b1;
  end

  // High from `start` on, since the walk is busy then.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) busy_q <= 1'b0;
    else busy_q <= start || walk_busy || source_busy || (|valid_q) || writer_busy || sums_busy;
  end

endmodule
