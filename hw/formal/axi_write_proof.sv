// The AXI4 write master of `dma`, dma_write_port, between a slave and a client that do what the protocol allows.
//
// The bursts of a store are exactly its bytes, in order, of 16 beats at most, none over 256 aligned bytes (so none over 4 KB); address and data stay until
// they are taken; the last beat of each burst, and no other, has `last`; every beat given is written once, in order, with the strobes of the store's end;
// no more bursts than `Outstanding` wait for answers; a store is done when all of its bursts are answered, with an error if any of them had
// one. Stopped, it announces nothing more, ends what it announced with strobes that write nothing, and comes to rest.
module axi_write_proof
  import diffuser_isa_pkg::*;
  import control_pkg::*;
  import dma_pkg::*;
#(
  parameter int unsigned Outstanding = 8  // a power of two
) (
  input logic clk_i,
  input logic rst_ni,
  input logic stop_i,
  input logic job_i,
  input logic null_i,  // a store that was refused: nothing is to be written
  input logic [8:0] address_i,
  input logic [5:0] beats_i,
  input logic [3:0] tail_i,
  input logic beat_valid_i,
  input logic [BeatBits-1:0] beat_i,
  input logic awready_i,
  input logic wready_i,
  input logic answer_i,
  input logic failed_i,
  input logic watch_i  // the burst announced now is the one to be followed
);

  logic idle, ready, beat_ready, done, awvalid, wvalid, wlast, bvalid, bready;
  error_e code, result;
  logic [BusAddrWidth-1:0] awaddr;
  logic [7:0] awlen;
  logic [BeatBits-1:0] wdata;
  logic [BeatBytes-1:0] wstrb;

  assign code = null_i ? ErrorField : ErrorNone;

  dma_write_port #(
    .Outstanding(Outstanding)
  ) u_port (
    .clk_i,
    .rst_ni,
    .stop_i,
    .idle_o(idle),
    .valid_i(job_i),
    .ready_o(ready),
    .code_i(code),
    .address_i(BeatAddrWidth'(address_i)),
    .beats_i(BeatsWidth'(beats_i)),
    .tail_i,
    .beat_valid_i,
    .beat_ready_o(beat_ready),
    .beat_i,
    .done_o(done),
    .code_o(result),
    .m_axi_awvalid_o(awvalid),
    .m_axi_awready_i(awready_i),
    .m_axi_awaddr_o(awaddr),
    .m_axi_awlen_o(awlen),
    .m_axi_wvalid_o(wvalid),
    .m_axi_wready_i(wready_i),
    .m_axi_wdata_o(wdata),
    .m_axi_wstrb_o(wstrb),
    .m_axi_wlast_o(wlast),
    .m_axi_bvalid_i(bvalid),
    .m_axi_bready_o(bready),
    .m_axi_bresp_i({failed_i, 1'b0})
  );

  // the store whose bursts are announced
  logic [8:0] address_q;
  logic [6:0] left_q;
  logic [3:0] tail_q;
  logic null_q;  // a refused one waits for what stands before it

  // bursts announced, and of those: address not taken, data not all written, not answered
  logic announced, end_of_store;
  logic unaddressed_q;
  logic [3:0] unwritten_q, unanswered_q;
  logic [4:0] beat_q;  // beats of the present burst that were written

  // one burst, any: how many are written, are answered, before it; what it is
  logic watched_q, to_write_q, to_answer_q;
  logic [3:0] write_ahead_q, answer_ahead_q;
  logic [4:0] beats_q;
  logic [3:0] watched_tail_q;
  logic last_q;
  logic [15:0] strobes;

  logic held_q;  // a beat was given and is not written
  logic [BeatBits-1:0] given_q;  // the last one
  logic ever_stopped_q, failed_q;

  logic begun_q = 1'b0;
  logic reset_q, stop_q, at_rest_q, awvalid_q, awready_q, wvalid_q, wready_q, wlast_q;
  logic [BusAddrWidth-1:0] awaddr_q;
  logic [7:0] awlen_q;
  logic [BeatBits-1:0] wdata_q;
  logic [BeatBytes-1:0] wstrb_q;
  logic written, burst_written, here;

  // of the port's own: places in its queues, bursts that have left the first of them and are not written
  localparam logic [3:0] Places = 4'(Outstanding);
  localparam int unsigned Index = $clog2(Outstanding);
  localparam logic [1:0] StateIdle = 2'd0, StateEmpty = 2'd1, StateCut = 2'd2, StateAnnounce = 2'd3;
  logic [3:0] lengths_held, answers_held, loaded;
  logic [9:0] newest_length, followed_length;
  logic newest_answer;
  logic [15:0] end_strobes;
  assign lengths_held = 4'(u_port.u_lengths.count_q);
  assign answers_held = 4'(u_port.u_answers.count_q);
  assign loaded = 4'(u_port.some_q) + 4'(wvalid && wlast);
  assign newest_length = u_port.u_lengths.gen_chunk[0].mem_q[Index'(u_port.u_lengths.gen_chunk[0].tail_q - Index'(1))];
  assign newest_answer = u_port.u_answers.gen_chunk[0].mem_q[Index'(u_port.u_answers.gen_chunk[0].tail_q - Index'(1))];
  assign followed_length = u_port.u_lengths.gen_chunk[0].mem_q[Index'(u_port.u_lengths.gen_chunk[0].head_q + Index'(write_ahead_q - loaded))];
  assign end_strobes = last_q && watched_tail_q != '0 ? 16'((17'd1 << watched_tail_q) - 17'd1) : '1;

  assign announced = awvalid && !unaddressed_q;
  assign end_of_store = 7'(awlen) + 7'd1 == left_q;
  assign bvalid = answer_i && unanswered_q != 4'(unaddressed_q) && unanswered_q != unwritten_q;
  assign written = wvalid && wready_i;
  assign burst_written = written && wlast;
  assign here = watched_q && to_write_q && write_ahead_q == '0;  // the burst that is written is the one
  assign strobes = wlast ? end_strobes : '1;

  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    reset_q <= !rst_ni;
    {stop_q, awvalid_q, awready_q, awaddr_q, awlen_q} <= {stop_i, awvalid && rst_ni, awready_i, awaddr, awlen};
    {wvalid_q, wready_q, wdata_q, wstrb_q, wlast_q} <= {wvalid && rst_ni, wready_i, wdata, wstrb, wlast};
    at_rest_q <= stop_i && idle;

    if (!begun_q) begin
      assume (!rst_ni && !stop_i);
      {unaddressed_q, unwritten_q, unanswered_q} <= '0;
      {beat_q, held_q, left_q, watched_q, to_write_q, to_answer_q} <= '0;
      {null_q, ever_stopped_q, failed_q, awvalid_q, wvalid_q} <= '0;
    end else begin
      assume (rst_ni);
      assume (beats_i != '0 && address_i < 9'h180);  // no wrap in the counts here
      if (stop_q) assume (stop_i || at_rest_q);

      // ---- what makes it inductive: how counts and stages of the port stand to the ones above

      // the queues
      assert (lengths_held <= Places && u_port.u_lengths.full_q == (lengths_held == Places) && u_port.u_lengths.some_q == (lengths_held != '0));
      assert (answers_held <= Places && u_port.u_answers.full_q == (answers_held == Places) && u_port.u_answers.some_q == (answers_held != '0));
      assert (u_port.u_lengths.gen_chunk[0].tail_q == Index'(u_port.u_lengths.gen_chunk[0].head_q + Index'(lengths_held)));
      assert (u_port.u_answers.gen_chunk[0].tail_q == Index'(u_port.u_answers.gen_chunk[0].head_q + Index'(answers_held)));
      assert (answers_held == unanswered_q + 4'(announced));
      assert (lengths_held + 4'(u_port.some_q) + 4'(wvalid && wlast) == unwritten_q + 4'(announced));
      assert (unwritten_q <= unanswered_q && 4'(unaddressed_q) <= unanswered_q && (awvalid || !unaddressed_q));
      if (wvalid && !wlast) assert (u_port.some_q);
      if (!u_port.some_q && !wvalid) assert (beat_q == '0);

      // the store
      assert (u_port.idle_q == (u_port.state_q == StateIdle));
      assert (null_q == (u_port.state_q == StateEmpty) && failed_q == u_port.failed_q);
      if (null_q) assert (u_port.null_code_q == ErrorField);
      if (left_q != '0) assert (10'(address_q) + 10'(left_q) <= 10'h1c0);
      if (u_port.state_q == StateCut || u_port.state_q == StateAnnounce) begin
        assert (BeatsWidth'(left_q) == u_port.left_q + BeatsWidth'(announced ? 5'(awlen) + 5'd1 : 5'd0) && u_port.left_q != '0);
        assert (BeatAddrWidth'(address_q) + BeatAddrWidth'(announced ? 5'(awlen) + 5'd1 : 5'd0) == u_port.address_q);
        assert (tail_q == u_port.tail_q);
        if (u_port.state_q == StateAnnounce) begin
          assert (u_port.last_q == (u_port.left_q <= BeatsWidth'(u_port.room)));
          assert (u_port.burst_q == (u_port.last_q ? u_port.left_q[4:0] : u_port.room) && !announced);
        end
      end else begin
        assert (left_q == 7'(announced ? 5'(awlen) + 5'd1 : 5'd0));
      end
      if (announced) begin
        assert (newest_length == {end_of_store, tail_q, 5'(awlen) + 5'd1});
        assert (newest_answer == end_of_store);
        assert (end_of_store || 5'(awaddr[7:4]) + 5'(awlen) == 5'd15);
      end

      // the burst that is followed: in the queue, in the counter behind it, at the port
      if (watched_q) begin
        assert (beats_q != '0 && beats_q <= 5'd16);
        if (to_answer_q) assert (answer_ahead_q < unanswered_q && u_port.u_answers.gen_chunk[0].mem_q[Index'(u_port.u_answers.gen_chunk[0].head_q + Index'(answer_ahead_q))] == last_q);
        if (to_write_q) begin
          assert (write_ahead_q < unwritten_q);
          if (write_ahead_q >= loaded) begin
            assert (followed_length == {last_q, watched_tail_q, beats_q});
            if (write_ahead_q == '0) assert (beat_q == '0 && !wvalid);
          end else if (u_port.some_q && write_ahead_q + 4'd1 == loaded) begin
            assert (u_port.beats_q != '0 && u_port.mask_q == end_strobes);
            assert (6'(u_port.beats_q) + (write_ahead_q == '0 ? 6'(beat_q) + 6'(wvalid) : 6'd0) == 6'(beats_q));
          end
        end
      end

      // data
      if (u_port.some_q) assert (u_port.mask_q[0]);
      assert (held_q == (wvalid && wstrb != '0));

      // stores
      if (job_i && ready) begin
        assert (left_q == 7'(announced ? 5'(awlen) + 5'd1 : 5'd0));
        address_q <= address_i;
        tail_q <= tail_i;
        left_q <= null_i ? '0 : 7'(beats_i);
        null_q <= null_i;
      end else if (announced) begin
        address_q <= address_q + 9'(awlen) + 9'd1;
        left_q <= left_q - 7'(awlen) - 7'd1;
      end
      if (stop_i) begin
        left_q <= '0;
        null_q <= 1'b0;
      end

      // addresses
      if (awvalid_q && !awready_q) assert (awvalid && awaddr == awaddr_q && awlen == awlen_q);
      if (announced) begin
        assert (!stop_q);
        assert (awaddr == BusAddrWidth'({address_q, 4'd0}));
        assert (awlen < 8'(MaxBeats) && 7'(awlen) < left_q);
        assert (9'(awaddr[7:4]) + 9'(awlen) < 9'd16);
      end
      unaddressed_q <= awvalid && !awready_i;
      unwritten_q <= unwritten_q + 4'(announced) - 4'(burst_written);
      unanswered_q <= unanswered_q + 4'(announced) - 4'(bvalid);
      assert (unanswered_q <= 4'(Outstanding));

      // the burst that is followed
      if (announced && watch_i && !watched_q) begin
        {watched_q, to_write_q, to_answer_q} <= '1;
        beats_q <= 5'(awlen) + 5'd1;
        watched_tail_q <= tail_q;
        last_q <= end_of_store;
        write_ahead_q <= unwritten_q - 4'(burst_written);
        answer_ahead_q <= unanswered_q - 4'(bvalid);
      end else begin
        if (burst_written) begin
          if (write_ahead_q == '0) to_write_q <= 1'b0;
          else write_ahead_q <= write_ahead_q - 1'b1;
        end
        if (bvalid) begin
          if (answer_ahead_q == '0) to_answer_q <= 1'b0;
          else answer_ahead_q <= answer_ahead_q - 1'b1;
        end
      end

      // data
      if (stop_i) ever_stopped_q <= 1'b1;
      if (wvalid_q && !wready_q) assert (wvalid && wdata == wdata_q && wstrb == wstrb_q && wlast == wlast_q);
      if (wvalid) begin
        assert (unwritten_q != '0);
        if (here) assert (wlast == (beat_q + 5'd1 == beats_q));
        if (here && wstrb != '0) assert (wstrb == strobes);
        if (wstrb != '0) assert (held_q && wdata == given_q);
        if (!ever_stopped_q) assert (wstrb != '0);
      end else assert (!held_q);
      if (written) beat_q <= wlast ? '0 : beat_q + 1'b1;
      if (beat_valid_i && beat_ready) begin
        assert (!held_q || written);
        held_q <= 1'b1;
        given_q <= beat_i;
      end else if (written) held_q <= 1'b0;
      if (stop_q && stop_i && wvalid && (!wvalid_q || wready_q)) assert (wstrb == '0);

      // answers
`ifdef REACHED
      assert (!(done && bvalid && result == ErrorWrite && watched_q && !to_answer_q && beats_q == 5'd3));
`endif
      assert (bready);
      if (bvalid) begin
        if (watched_q && to_answer_q && answer_ahead_q == '0 && !stop_i) assert (done == last_q);
        failed_q <= !done && (failed_q || failed_i);
      end
      if (stop_i) failed_q <= 1'b0;
      if (done) begin
        assert (!stop_i);
        if (bvalid) assert (result == (failed_q || failed_i ? ErrorWrite : ErrorNone));
        else assert (null_q && unanswered_q == '0 && !announced && result == ErrorField);
        if (!bvalid) null_q <= job_i && ready && null_i;
      end
      assert (idle == (unanswered_q == '0 && !announced));
    end
  end

endmodule
