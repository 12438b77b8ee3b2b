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
  parameter int unsigned Outstanding = 2,
  parameter bit Short = 1'b0,  // stores of up to three beats
  parameter int unsigned Rest = 0  // with a willing slave it is at rest after so many cycles of `stop`; 0: the slave does as it likes
) (
  input logic clk_i,
  input logic rst_ni,
  input logic stop_i,
  input logic job_i,
  input logic null_i,  // a store that was refused: nothing is to be written
  input logic [8:0] address_i,
  input logic [4:0] beats_i,
  input logic [3:0] tail_i,
  input logic beat_valid_i,
  input logic awready_i,
  input logic wready_i,
  input logic answer_i,
  input logic failed_i
);

  logic idle, ready, beat_ready, done, awvalid, wvalid, wlast, bvalid, bready;
  error_e code, result;
  logic [BusAddrWidth-1:0] awaddr;
  logic [7:0] awlen;
  logic [BeatBits-1:0] beat, wdata;
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
    .beat_i(beat),
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
  logic [5:0] left_q;
  logic [3:0] tail_q;
  logic null_q;  // a refused one waits for what stands before it

  // bursts: announced, address taken, data written, answered
  logic [7:0][4:0] length_q;
  logic [7:0][3:0] tails_q;
  logic [7:0] last_q;
  logic [2:0] announced_q, addressed_q, written_q, answered_q;
  logic [4:0] beat_q;
  logic [6:0] given_q, taken_q;  // each beat holds its number
  logic announced, end_of_store, end_of_burst, ever_stopped_q, failed_q;
  logic [7:0] stopped_for_q;
  logic [15:0] strobes;

  logic begun_q = 1'b0;
  logic reset_q, stop_q, at_rest_q, awvalid_q, awready_q, wvalid_q, wready_q, wlast_q;
  logic [BusAddrWidth-1:0] awaddr_q;
  logic [7:0] awlen_q;
  logic [BeatBits-1:0] wdata_q;
  logic [BeatBytes-1:0] wstrb_q;

  assign announced = awvalid && (!awvalid_q || awready_q);
  assign end_of_store = 6'(awlen) + 6'd1 == left_q;
  assign end_of_burst = beat_q + 5'd1 == length_q[written_q];
  assign strobes = end_of_burst && last_q[written_q] && tails_q[written_q] != '0 ? 16'((17'd1 << tails_q[written_q]) - 17'd1) : '1;
  assign bvalid = answer_i && answered_q != addressed_q && answered_q != written_q;
  assign beat = BeatBits'(given_q);

  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    reset_q <= !rst_ni;
    {stop_q, awvalid_q, awready_q, awaddr_q, awlen_q} <= {stop_i, awvalid && rst_ni, awready_i, awaddr, awlen};
    {wvalid_q, wready_q, wdata_q, wstrb_q, wlast_q} <= {wvalid && rst_ni, wready_i, wdata, wstrb, wlast};
    at_rest_q <= stop_i && idle;

    if (!begun_q) begin
      assume (!rst_ni && !stop_i);
      {announced_q, addressed_q, written_q, answered_q} <= '0;
      {beat_q, given_q, taken_q, left_q} <= '0;
      {null_q, ever_stopped_q, failed_q, awvalid_q, wvalid_q} <= '0;
      stopped_for_q <= '0;
    end else begin
      assume (rst_ni);
      assume (beats_i != '0 && beats_i <= (Short ? 5'd3 : 5'd20));
      assume (address_i < 9'h1e0);  // no wrap in the counts here
      if (Short) assume (address_i[3:0] >= 4'd12);
      if (stop_q) assume (stop_i || at_rest_q);
      if (Rest != 0 && stop_i) assume (awready_i && wready_i && answer_i);

      // stores
      if (job_i && ready) begin
        assert (left_q == 6'(announced ? 5'(awlen) + 5'd1 : 5'd0));
        address_q <= address_i;
        tail_q <= tail_i;
        left_q <= null_i ? '0 : 6'(beats_i);
        null_q <= null_i;
      end else if (announced) begin
        address_q <= address_q + 9'(awlen) + 9'd1;
        left_q <= left_q - 6'(awlen) - 6'd1;
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
        assert (awlen < 8'(MaxBeats) && 6'(awlen) < left_q);
        assert (9'(awaddr[7:4]) + 9'(awlen) < 9'd16);
        length_q[announced_q] <= 5'(awlen) + 5'd1;
        tails_q[announced_q] <= tail_q;
        last_q[announced_q] <= end_of_store;
        announced_q <= announced_q + 1'b1;
      end
      if (awvalid && awready_i) addressed_q <= addressed_q + 1'b1;
      assert (3'(announced_q - answered_q) <= 3'(Outstanding));

      // data
      if (beat_valid_i && beat_ready) given_q <= given_q + 1'b1;
      if (stop_i) ever_stopped_q <= 1'b1;
      if (wvalid_q && !wready_q) assert (wvalid && wdata == wdata_q && wstrb == wstrb_q && wlast == wlast_q);
      if (wvalid) begin
        assert (written_q != announced_q);
        assert (wlast == end_of_burst);
        if (!ever_stopped_q) assert (wstrb == strobes && wdata == BeatBits'(taken_q));
        else assert (wstrb == '0 || (wstrb == strobes && wdata == BeatBits'(taken_q)));
        if (wready_i) begin
          if (wstrb != '0) taken_q <= taken_q + 1'b1;
          beat_q <= wlast ? '0 : beat_q + 1'b1;
          if (wlast) written_q <= written_q + 1'b1;
        end
      end
      if (stop_q && stop_i && wvalid && (!wvalid_q || wready_q)) assert (wstrb == '0);

      // answers
`ifdef REACHED
      assert (!(done && bvalid && result == ErrorWrite && answered_q != '0));
`endif
      assert (bready);
      if (bvalid) begin
        answered_q <= answered_q + 1'b1;
        failed_q <= !last_q[answered_q] && (failed_q || failed_i);
      end
      if (stop_i) failed_q <= 1'b0;
      if (done) begin
        assert (!stop_i);
        if (bvalid && last_q[answered_q]) assert (result == (failed_q || failed_i ? ErrorWrite : ErrorNone));
        else assert (null_q && answered_q == announced_q && result == ErrorField);
        if (!bvalid) null_q <= job_i && ready && null_i;
      end else if (!stop_i) assert (!(bvalid && last_q[answered_q]));
      assert (idle == (3'(announced_q + 3'(announced)) == answered_q));
      stopped_for_q <= stop_i ? stopped_for_q + 1'b1 : '0;
      if (Rest != 0 && stopped_for_q >= 8'(Rest)) assert (idle);
    end
  end

endmodule
