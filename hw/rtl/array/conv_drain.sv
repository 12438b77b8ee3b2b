// The drain of a `conv`: from [P][O] accumulators to what is written, one pixel of O lanes a cycle, while the next group is multiplied.
//
// A group is taken when mac_array shows it and goes pixel by pixel into a FIFO, P cycles long: conv_issue keeps groups that far apart and
// counts the room. From there a pixel leaves when its channels' parameters, its residual and a place behind requantisation are there, so that
// requantisation never stalls. Descriptors follow each other without a gap; `ready` and `retired` say which of two places hold one.

module conv_drain
  import diffuser_pkg::*;
  import array_pkg::*;
#(
  parameter int unsigned P = 4,
  parameter int unsigned O = 8,
  parameter int unsigned I = 8,
  parameter int unsigned Groups = 8,  // held before requantisation
  parameter int unsigned OutDepth = 32  // pixels in and behind requantisation; more than its stages
) (
  input logic clk_i,
  input logic rst_ni,
  input logic unit_rst_ni,  // of the unit; rst_ni is that and a flush, which clears the queues by clear_i
  input logic [2:0] clear_i,

  input logic stop_i,  // make no new request; what was requested stays until it is granted

  // descriptors by number modulo 4, number n in place n mod 2
  input conv_cfg_t [1:0] cfg_i,
  input diffuser_isa_pkg::conv_head_t [1:0] head_i,
  input logic [1:0] ready_i,  // descriptors below this number are there
  input logic [1:0] retired_i,  // and below this one gone
  output logic done_o,  // pulse: the oldest has all its results written

  input logic acc_soon_i,  // two cycles before accumulators, these or attention's
  input logic acc_valid_i,
  input logic [P-1:0][O-1:0][31:0] acc_i,
  output logic group_freed_o,

  input channel_t [1:0][O-1:0] channel_i,
  input logic [1:0] channel_full_i,
  output logic [1:0] channel_free_o,

  output logic operand_we_o,
  output logic [AddrWidth-1:0] operand_waddr_o,
  output logic [P-1:0] operand_wstrb_o,
  output logic [P-1:0][I-1:0][7:0] operand_wdata_o,
  input logic operand_wgnt_i,

  output logic weight_we_o,
  output logic [AddrWidth-1:0] weight_waddr_o,
  output logic [O-1:0][I-1:0] weight_wstrb_o,
  output logic [O-1:0][I-1:0][7:0] weight_wdata_o,
  input logic weight_wgnt_i,

  output logic stream_req_o,
  output logic [AddrWidth-1:0] stream_addr_o,
  input logic stream_gnt_i,
  input logic stream_rvalid_i,
  input logic [O-1:0][15:0] stream_rdata_i,
  output logic stream_we_o,
  output logic [AddrWidth-1:0] stream_waddr_o,
  output logic [O-1:0] stream_wstrb_o,
  output logic [O-1:0][15:0] stream_wdata_o,
  input logic stream_wgnt_i,

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

  localparam int unsigned Depth = P * Groups;
  localparam int unsigned LaneWidth = $clog2(P);

  // ---- a group, pixel by pixel ----

  logic [P-1:0][O-1:0][31:0] group_q;
  logic [LaneWidth:0] group_left_q;
  // that accumulators come, once for each of them, so that none has too many readers
  logic [P-1:0] come_pixel;
  logic [P-1:0][O-1:0] come_q;
  copies #(
    .Copies(P)
  ) u_come_pixel (
    .clk_i,
    .d_i(acc_soon_i),
    .q_o(come_pixel)
  );
  for (genvar p = 0; p < P; p++) begin : gen_come
    copies #(
      .Copies(O)
    ) u_come (
      .clk_i,
      .d_i(come_pixel[p]),
      .q_o(come_q[p])
    );
  end
  always_ff @(posedge clk_i) begin
    for (int unsigned p = 0; p < P; p++) begin
      for (int unsigned o = 0; o < O; o++) group_q[p][o] <= come_q[p][o] ? acc_i[p][o] : group_q[(p+1)%P][o];
    end
    if (!rst_ni) group_left_q <= '0;
    else if (acc_valid_i) group_left_q <= (LaneWidth + 1)'(P);
    else if (group_left_q != '0) group_left_q <= group_left_q - 1'b1;
  end

  logic acc_ready, acc_valid, acc_pop;
  logic [O-1:0][31:0] acc;
  logic [$clog2(Depth+1)-1:0] acc_count;
  fifo #(
    .Width(O * 32),
    .Depth(Depth),
    .Clears(2)
  ) u_acc (
    .clk_i,
    .rst_ni(unit_rst_ni),
    .clear_i(clear_i[1:0]),
    .in_valid_i(group_left_q != '0),
    .in_ready_o(acc_ready),
    .in_data_i(group_q[0]),
    .out_valid_o(acc_valid),
    .out_ready_i(acc_pop),
    .out_data_o(acc),
    .count_o(acc_count)
  );

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) group_left_q != '0 |-> acc_ready)
  else $error("%m: accumulators came without a place for them");
  assert property (@(posedge clk_i) disable iff (!rst_ni) acc_valid_i |-> group_left_q <= 1)
  else $error("%m: a group came before the last one had left");
`endif

  // ---- residual ----

  logic residual_valid, residual_pop, residual_done;
  logic [O-1:0][15:0] residual;
  logic [1:0] residual_number_q, residual_number;
  conv_cfg_t residual_cfg;
  assign residual_number = rst_ni ? residual_number_q + 2'(residual_done) : '0;
  always_ff @(posedge clk_i) residual_number_q <= residual_number;
  conv_pick #(
    .Width($bits(conv_cfg_t))
  ) u_residual_place (
    .clk_i,
    .next_i(residual_number[0]),
    .word_i(cfg_i),
    .word_o(residual_cfg)
  );
  conv_residual #(
    .O(O)
  ) u_residual (
    .clk_i,
    .rst_ni,
    .unit_rst_ni,
    .clear_i(clear_i[2]),
    .stop_i,
    // earlier results may be this one's residual
    .valid_i(residual_number_q != ready_i && residual_number_q == retired_i),
    .done_o(residual_done),
    .cfg_i(residual_cfg),
    .stream_req_o,
    .stream_addr_o,
    .stream_gnt_i,
    .stream_rvalid_i,
    .stream_rdata_i,
    .valid_o(residual_valid),
    .ready_i(residual_pop),
    .data_o(residual)
  );

  // ---- a pixel leaves ----

  // of the descriptor whose pixels leave
  logic run_q, stream_q, has_residual_q, sums_q, add_sums_q;
  logic [5:0] residual_shift_q;
  logic [EntryWidth-1:0] entry_q;
  logic [23:0] last_pixel_q;
  logic one_pixel_q;
  logic [1:0] number_q, number;
  logic [7:0] tiles_left_q;
  // verilator lint_off UNUSEDSIGNAL
  conv_cfg_t leaving_cfg;  // each stage uses a part
  // verilator lint_on UNUSEDSIGNAL

  logic [23:0] pixels_left_q;  // of the tile behind this one; the last group's lanes go past the last
  logic [LaneWidth-1:0] lane_q;
  logic bank_q;  // of the tile's channels
  logic [1:0] leaving_q;  // bank's last pixel is in requantisation: what it holds is not the next tile's
  logic past_end_q;
  logic may_q;  // a pixel may leave: of a descriptor, not past its tile's end, not in the cycle behind that
  logic [$clog2(OutDepth+1)-1:0] room_q;
  logic some_room_q;  // room_q != 0
  logic tile_end_q, restart;  // it is the tile's last; the next one is a tile's first
  logic tile_end, lane_end, desc_end, take, drop, sums_busy, out_pop;

  assign lane_end = lane_q == '1;
  assign tile_end = tile_end_q;
  assign restart = acc_pop && lane_end && (past_end_q || tile_end_q);
  assign desc_end = tile_end && tiles_left_q == '0;
  assign drop = acc_valid && past_end_q;
  assign take = acc_valid && may_q && channel_full_i[bank_q] && !leaving_q[bank_q] && some_room_q
      && (!has_residual_q || residual_valid) && !(sums_q && tile_end && sums_busy);
  assign acc_pop = take || drop;
  assign residual_pop = take && has_residual_q;
  assign group_freed_o = acc_pop && lane_end;

  // 33 + shift - 1 places, no less than those of a shift to the left by 32 and no more than leave nothing of 16 bits
  function automatic logic [5:0] clamp_residual_shift(logic signed [7:0] shift);
    if (shift < -8'sd32) return 6'd0;
    if (shift > 8'sd17) return 6'd49;
    return 6'(shift + 8'sd32);
  endfunction

  assign number = rst_ni ? number_q + 2'(take && desc_end) : '0;
  conv_pick #(
    .Width($bits(conv_cfg_t))
  ) u_leaving_place (
    .clk_i,
    .next_i(number[0]),
    .word_i(cfg_i),
    .word_o(leaving_cfg)
  );

  always_ff @(posedge clk_i) begin
    number_q <= number;
    may_q <= rst_ni && !(take && tile_end) && (run_q || (!past_end_q && acc_valid)) && (!past_end_q || (acc_valid && lane_end));
    // past the last pixel it goes on to the end of the group
    if (restart) begin
      pixels_left_q <= last_pixel_q;
      tile_end_q <= one_pixel_q;
    end else if (acc_pop) begin
      pixels_left_q <= pixels_left_q - 1'b1;
      tile_end_q <= pixels_left_q == 24'd1;
    end
    if (acc_pop) lane_q <= lane_q + 1'b1;  // P is a power of two
    if (acc_pop && lane_end) past_end_q <= 1'b0;
    if (!run_q && !past_end_q && acc_valid) begin
      run_q <= 1'b1;
      stream_q <= leaving_cfg.dest_kind == '0;
      has_residual_q <= leaving_cfg.residual;
      residual_shift_q <= clamp_residual_shift(head_i[number_q[0]].residual_shift);
      sums_q <= leaving_cfg.sums;
      add_sums_q <= leaving_cfg.add_sums;
      entry_q <= leaving_cfg.sums_base;
      last_pixel_q <= leaving_cfg.pixels - 24'd1;
      one_pixel_q <= leaving_cfg.pixels == 24'd1;
      tile_end_q <= leaving_cfg.pixels == 24'd1;
      tiles_left_q <= leaving_cfg.tiles - 1'b1;
      pixels_left_q <= leaving_cfg.pixels - 24'd1;
      lane_q <= '0;
    end else if (take && tile_end) begin
      bank_q <= !bank_q;
      past_end_q <= !lane_end;
      entry_q <= entry_q + EntryWidth'(O);
      tiles_left_q <= tiles_left_q - 1'b1;
      if (tiles_left_q == '0) run_q <= 1'b0;
    end
    leaving_q <= leaving_q & ~channel_free_o;
    if (take && tile_end) leaving_q[bank_q] <= 1'b1;
    if (!rst_ni) begin
      run_q <= 1'b0;
      bank_q <= 1'b0;
      leaving_q <= '0;
      past_end_q <= 1'b0;
      room_q <= ($clog2(OutDepth + 1))'(OutDepth);
      some_room_q <= 1'b1;
    end else if (take && !out_pop) begin
      room_q <= room_q - 1'b1;
      some_room_q <= room_q != ($clog2(OutDepth + 1))'(1);
    end else if (out_pop && !take) begin
      room_q <= room_q + 1'b1;
      some_room_q <= 1'b1;
    end
  end

  logic requantised;
  drain_tag_t tag;
  // verilator lint_off UNUSEDSIGNAL
  drain_tag_t requantised_tag;  // shift and the like are used up
  // verilator lint_on UNUSEDSIGNAL
  logic [O-1:0][15:0] requantised_data;
  assign tag = '{
      bank: bank_q,
      stream: stream_q,
      residual: has_residual_q,
      residual_shift: residual_shift_q,
      sums: sums_q,
      tile_end: tile_end,
      desc_end: desc_end
  };
  requantise #(
    .O(O)
  ) u_requantise (
    .clk_i,
    .rst_ni,
    .channel_i,
    .valid_i(take),
    .tag_i(tag),
    .acc_i(acc),
    .residual_i(residual),
    .valid_o(requantised),
    .tag_o(requantised_tag),
    .data_o(requantised_data)
  );
  assign channel_free_o = {requantised_tag.bank, !requantised_tag.bank} & {2{requantised && requantised_tag.tile_end}};

  channel_sums #(
    .O(O)
  ) u_sums (
    .clk_i,
    .rst_ni,
    .stop_i,
    .announce_i(take && sums_q && tile_end),
    .entry_i(entry_q),
    .add_i(add_sums_q),
    .busy_o(sums_busy),
    .valid_i(requantised && requantised_tag.sums),
    .last_i(requantised_tag.tile_end),
    .data_i(requantised_data),
    .sums_req_o,
    .sums_addr_o,
    .sums_gnt_i,
    .sums_rvalid_i,
    .sums_rdata_i,
    .sums_we_o,
    .sums_waddr_o,
    .sums_wdata_o,
    .sums_wgnt_i
  );

  // ---- writes ----

  logic out_ready, out_valid, out_pop_ready, out_desc_end, write_done, written_q;
  logic [1:0] out_tile_end;
  logic done;
  assign done = written_q && !sums_busy;
  logic ended_q, writer_ready;  // the oldest descriptor's last pixel has left here, is written
  logic [O-1:0][15:0] out_data;
  logic [$clog2(OutDepth+1)-1:0] out_count;
  fifo #(
    .Width(3 + O * 16),
    .Depth(OutDepth)
  ) u_out (
    .clk_i,
    .rst_ni(unit_rst_ni),
    .clear_i(clear_i[2]),
    .in_valid_i(requantised),
    .in_ready_o(out_ready),
    .in_data_i({{2{requantised_tag.tile_end}}, requantised_tag.desc_end, requantised_data}),
    .out_valid_o(out_valid),
    .out_ready_i(out_pop_ready),
    .out_data_o({out_tile_end, out_desc_end, out_data}),
    .count_o(out_count)
  );
  // its sums may come later; the next one's pixels wait so long, since the writer looks at the oldest
  assign out_pop_ready = writer_ready && !ended_q;
  assign out_pop = out_valid && out_pop_ready;

  conv_cfg_t writer_cfg;
  conv_pick #(
    .Width($bits(conv_cfg_t))
  ) u_writer_place (
    .clk_i,
    .next_i(rst_ni && (retired_i[0] ^ done)),
    .word_i(cfg_i),
    .word_o(writer_cfg)
  );

  conv_writer #(
    .P(P),
    .O(O),
    .I(I)
  ) u_writer (
    .clk_i,
    .rst_ni,
    .stop_i,
    .cfg_i(writer_cfg),
    .done_o(write_done),
    .valid_i(out_valid && !ended_q),
    .ready_o(writer_ready),
    .tile_end_i(out_tile_end),
    .desc_end_i(out_desc_end),
    .data_i(out_data),
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
    .weight_we_o,
    .weight_waddr_o,
    .weight_wstrb_o,
    .weight_wdata_o,
    .weight_wgnt_i
  );

  assign done_o = done;
  always_ff @(posedge clk_i) begin
    ended_q   <= rst_ni && !done && (ended_q || (out_pop && out_desc_end));
    written_q <= rst_ni && !done && (written_q || write_done);
  end

  logic unused;
  assign unused = ^{acc_count, out_ready, out_count};

endmodule
