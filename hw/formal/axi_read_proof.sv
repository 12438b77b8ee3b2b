// The AXI4 read port of `dma`, dma_read_port, between a slave and a client that do what the protocol allows, for bursts of 1 to 16 beats.
//
// A burst's address and length stay until they are taken, and are those asked for; every beat that comes leaves in a line, once, in order, with the burst's end and
// any error in its line; there is always a place for a line; `idle` is exactly "nothing on the bus"; stopped, nothing more is asked for, and afterwards
// nothing old comes out.
//
// Of the beats one, any, is followed. All bits of a beat are one here. The slave ends bursts after numbers of lines that add up to what was asked for, one at least
// each: more than a slave that keeps to the protocol does.
module axi_read_proof
  import control_pkg::*;
  import dma_pkg::*;
#(
  parameter int unsigned Lines = 8  // a power of two
) (
  input logic clk_i,
  input logic rst_ni,
  input logic stop_i,
  input logic req_i,
  input logic [BeatAddrWidth-1:0] address_i,
  input logic [4:0] beats_i,
  input logic line_ready_i,
  input logic arready_i,
  input logic answer_i,
  input logic [2:0] lines_i,  // of the burst that begins to come
  input logic end_i,
  input logic data_i,
  input logic failed_i,
  input logic watch_i  // the beat that comes is the one to be followed
);

  logic req_ready, line_valid, line_last, line_error, idle, beat;
  logic [LineBits-1:0] line;
  logic arvalid, rready, rvalid, rlast;
  logic [BusAddrWidth-1:0] araddr;
  logic [7:0] arlen;

  dma_read_port #(
    .Lines(Lines)
  ) u_port (
    .clk_i,
    .rst_ni,
    .stop_i,
    .req_valid_i(req_i),
    .req_ready_o(req_ready),
    .req_address_i(address_i),
    .req_beats_i(beats_i),
    .line_valid_o(line_valid),
    .line_ready_i,
    .line_o(line),
    .line_last_o(line_last),
    .line_error_o(line_error),
    .idle_o(idle),
    .beat_o(beat),
    .m_axi_arvalid_o(arvalid),
    .m_axi_arready_i(arready_i),
    .m_axi_araddr_o(araddr),
    .m_axi_arlen_o(arlen),
    .m_axi_rvalid_i(rvalid),
    .m_axi_rready_o(rready),
    .m_axi_rdata_i({BeatBits{data_i}}),
    .m_axi_rresp_i({failed_i, 1'b0}),
    .m_axi_rlast_i(rlast)
  );

  localparam int unsigned Width = $clog2(Lines + 1);
  localparam int unsigned Index = $clog2(Lines);

  // ---- the slave: bursts asked for and not ended, lines that they still bring, of those the burst's that comes
  logic asked, pop;
  logic [Width-1:0] bursts_q, promised_q;
  logic pending_q;  // an address was not taken
  logic coming_q;
  logic [2:0] rest_q, rest;
  logic [1:0] part_q;
  logic line_end, burst_end;
  assign asked = req_i && req_ready;
  assign pop = line_valid && line_ready_i;
  assign rvalid = answer_i && bursts_q != Width'(pending_q);
  assign rest = coming_q ? rest_q : lines_i;
  assign rlast = rest == 3'd1 && (part_q == 2'd3 || end_i);
  assign burst_end = rvalid && rlast;
  assign line_end = rvalid && (rlast || part_q == 2'd3);

  // ---- the burst asked for last
  logic [BeatAddrWidth-1:0] address_q;
  logic [4:0] beats_q;

  // ---- lines that came whole and were not taken; the beat that is followed
  logic [Width-1:0] lines_q;
  logic error, error_q;  // of the line that comes
  logic watched_q, follow_q, whole_q, data_q, last_q, line_error_q;
  logic [Width-1:0] ahead_q;
  logic [1:0] place_q;
  assign error = failed_i || (error_q && part_q != '0);

  logic begun_q = 1'b0;
  logic reset_q, stop_q, at_rest_q, arvalid_q, arready_q, rvalid_q;
  logic [BusAddrWidth-1:0] araddr_q;
  logic [7:0] arlen_q;

  logic [Width-1:0] held, behind;
  logic [LineBits+1:0] entry;
  assign held = u_port.u_lines.count_q;
  assign behind = held + Width'(u_port.full_q);
  assign entry = u_port.u_lines.gen_chunk[0].mem_q[Index'(u_port.u_lines.gen_chunk[0].head_q + Index'(ahead_q))];

  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    reset_q <= !rst_ni;
    {stop_q, arvalid_q, arready_q, araddr_q, arlen_q, rvalid_q} <= {stop_i, arvalid, arready_i, araddr, arlen, rvalid};
    at_rest_q <= stop_i && idle;

    if (!begun_q) begin
      assume (!rst_ni && !stop_i);
      {bursts_q, promised_q, pending_q, coming_q, part_q} <= '0;
      {lines_q, watched_q, follow_q} <= '0;
    end else begin
      assume (rst_ni);
      assume (beats_i != '0 && beats_i <= 5'd16);
      // dma_unit holds `stop` until the bus has come to rest
      if (stop_q) assume (stop_i || at_rest_q);
      if (rvalid && !coming_q) begin
        assume (lines_i != '0 && lines_i <= 3'd4 && Width'(lines_i) + bursts_q - 1'b1 <= promised_q);
        if (bursts_q == Width'(1)) assume (Width'(lines_i) == promised_q);
      end

      // addresses
      if (asked) begin
        assert (!stop_i);
        address_q <= address_i;
        beats_q <= beats_i;
      end
      pending_q <= asked || (pending_q && !arready_i);
      assert (arvalid == pending_q);
      if (arvalid) assert (araddr == {address_q, 4'd0} && arlen == 8'(beats_q) - 8'd1);
      if (!reset_q && arvalid_q && !arready_q) assert (arvalid && araddr == araddr_q && arlen == arlen_q);
      if (stop_q && stop_i && (!arvalid_q || arready_q)) assert (!arvalid);

      // beats
      assert (rready);
      assert (beat == (rvalid_q && !reset_q));
      assert (idle == (bursts_q == '0));
      bursts_q <= bursts_q + Width'(asked) - Width'(burst_end);
      promised_q <= promised_q + (asked ? Width'((beats_i + 5'd3) >> 2) : '0) - Width'(line_end);
      if (rvalid) begin
        part_q <= rlast ? '0 : part_q + 1'b1;
        coming_q <= !rlast;
        rest_q <= rest - 3'(line_end);
        error_q <= error;
      end

      // lines
      if (line_valid && !stop_i) assert (lines_q != '0);
      if (u_port.full_q && !stop_i) assert (!u_port.u_lines.full_q);
      lines_q <= stop_i ? '0 : lines_q + Width'(line_end) - Width'(pop);
      if (rvalid && watch_i && !watched_q && !stop_i) begin
        {watched_q, follow_q} <= '1;
        whole_q <= line_end;
        ahead_q <= lines_q - Width'(pop);
        place_q <= part_q;
        data_q <= data_i;
        last_q <= rlast;
        line_error_q <= error;
      end else if (follow_q) begin
        if (!whole_q && line_end) begin
          whole_q <= 1'b1;
          last_q <= rlast;
        end
        if (!whole_q && rvalid) line_error_q <= error;
        if (pop) begin
          ahead_q <= ahead_q - 1'b1;
          if (ahead_q == '0) follow_q <= 1'b0;
        end
        if (stop_i) follow_q <= 1'b0;
      end
      if (follow_q && ahead_q == '0 && line_valid && !stop_i) begin
        assert (whole_q && line_last == last_q && line_error == line_error_q);
        assert (line[place_q*BeatBits+:BeatBits] == {BeatBits{data_q}});
      end
`ifdef REACHED
      assert (!(pop && follow_q && ahead_q == '0 && line_last && line_error && place_q == 2'd2 && stop_q == 1'b0));
`endif

      // ---- what makes it inductive
      assert (u_port.bursts_q == bursts_q && u_port.part_q == part_q && Width'(pending_q) <= bursts_q);
      assert (coming_q || part_q == '0);
      assert (promised_q <= Width'(Lines));
      if (at_rest_q) assert (stop_q && bursts_q == '0);
      if (coming_q) assert (bursts_q != Width'(pending_q) && rest_q != '0 && rest_q <= 3'd4);
      assert (bursts_q <= promised_q && (bursts_q != '0 || promised_q == '0));
      if (coming_q) begin
        assert (Width'(rest_q) + bursts_q - 1'b1 <= promised_q);
        if (bursts_q == Width'(1)) assert (Width'(rest_q) == promised_q);
      end
      if (part_q != '0) assert (u_port.error_q == error_q);
      assert (held <= Width'(Lines) && u_port.u_lines.full_q == (held == Width'(Lines)) && u_port.u_lines.some_q == (held != '0));
      assert (u_port.u_lines.gen_chunk[0].tail_q == Index'(u_port.u_lines.gen_chunk[0].head_q + Index'(held)));
      if (stop_q) assert (held == '0 && !u_port.full_q && u_port.free_q == Width'(Lines) && lines_q == '0 && !follow_q);
      else assert (lines_q == behind && 6'(u_port.free_q) + 6'(promised_q) + 6'(behind) == 6'(Lines));
      if (follow_q) begin
        assert (whole_q ? ahead_q < behind : ahead_q == behind && part_q > place_q);
        if (ahead_q < held) begin
          assert (entry[LineBits+:2] == {last_q, line_error_q} && entry[place_q*BeatBits+:BeatBits] == {BeatBits{data_q}});
        end else begin
          assert (u_port.line_q[place_q] == {BeatBits{data_q}} && u_port.error_q == line_error_q);
          if (whole_q) assert (u_port.last_q == last_q);
        end
      end
    end
  end

endmodule
