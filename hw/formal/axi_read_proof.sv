// The AXI4 read master of `dma`, dma_requests with one dma_read_port, between a slave and a client that do what the protocol allows.
//
// Of the transfers asked for, the bursts are exactly those bytes, in order, of 16 beats at most, none over 256 aligned bytes (so none over 4 KB);
// an address stays until it is taken; every beat that comes is in the lines, in order, once; `idle` is exactly "nothing on the bus";
// stopped, nothing more is asked for, and afterwards nothing old comes out.
module axi_read_proof
  import control_pkg::*;
  import dma_pkg::*;
#(
  parameter int unsigned Lines = 8,
  parameter bit Short = 1'b0  // transfers of a few beats: more of them in as many cycles
) (
  input logic clk_i,
  input logic rst_ni,
  input logic stop_i,
  input logic job_i,
  input logic [8:0] address_i,
  input logic [4:0] beats_i,
  input logic line_ready_i,
  input logic arready_i,
  input logic answer_i
);

  logic req_valid, req_ready, line_valid, line_last, line_error, idle, beat;
  logic [BeatAddrWidth-1:0] req_address;
  logic [4:0] req_beats;
  logic [LineBits-1:0] line;
  logic arvalid, rready, rvalid, rlast;
  logic [BusAddrWidth-1:0] araddr;
  logic [7:0] arlen;
  logic [BeatBits-1:0] rdata;
  logic job;

  dma_requests #(
    .ReadPorts(1),
    .Depth(2)
  ) u_requests (
    .clk_i,
    .rst_ni,
    .stop_i,
    .valid_i(job),
    .address_i(BeatAddrWidth'(address_i)),
    .beats_i(BeatsWidth'(beats_i)),
    .req_valid_o(req_valid),
    .req_ready_i(req_ready),
    .req_address_o(req_address),
    .req_beats_o(req_beats)
  );

  dma_read_port #(
    .Lines(Lines)
  ) u_port (
    .clk_i,
    .rst_ni,
    .stop_i,
    .req_valid_i(req_valid),
    .req_ready_o(req_ready),
    .req_address_i(req_address),
    .req_beats_i(req_beats),
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
    .m_axi_rdata_i(rdata),
    .m_axi_rresp_i(2'b00),
    .m_axi_rlast_i(rlast)
  );

  // ---- transfers that are not cut to their end; two at most, [0] first

  logic [1:0][8:0] job_address_q;
  logic [1:0][5:0] job_left_q;
  logic [1:0] jobs_q;
  logic asked;
  assign job = job_i && jobs_q < 2'd2 && !stop_i;
  assign asked = req_valid && req_ready;

  // ---- bursts: asked for, address taken, answered, taken out as lines

  logic [7:0][4:0] length_q;
  logic [7:0][8:0] start_q;
  logic [2:0] asked_q, addressed_q, answered_q, out_q;
  logic [4:0] beat_q, out_beat_q;  // of the burst that is answered, that comes out
  logic [6:0] data_q, out_data_q;  // each beat holds its number
  logic [4:0] out_rest;
  logic pop;

  assign rvalid = answer_i && answered_q != addressed_q;
  assign rlast = beat_q + 5'd1 == length_q[answered_q];
  assign rdata = BeatBits'(data_q);
  assign pop = line_valid && line_ready_i;
  assign out_rest = length_q[out_q] - out_beat_q;

  logic begun_q = 1'b0;
  logic reset_q, stop_q, at_rest_q, ever_stopped_q, arvalid_q, arready_q, rvalid_q;
  logic [BusAddrWidth-1:0] araddr_q;
  logic [7:0] arlen_q;

  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    reset_q <= !rst_ni;
    {stop_q, arvalid_q, arready_q, araddr_q, arlen_q, rvalid_q} <= {stop_i, arvalid, arready_i, araddr, arlen, rvalid};
    at_rest_q <= stop_i && idle;

    if (!begun_q) begin
      assume (!rst_ni && !stop_i);
      jobs_q <= '0;
      ever_stopped_q <= 1'b0;
      {asked_q, addressed_q, answered_q, out_q} <= '0;
      {beat_q, out_beat_q, data_q, out_data_q} <= '0;
    end else begin
      assume (rst_ni);
      assume (beats_i != '0 && beats_i <= (Short ? 5'd3 : 5'd20));
      assume (address_i < 9'h1e0);  // no wrap in the counts here
      // dma_unit holds `stop` until the bus has come to rest
      if (stop_q) assume (stop_i || at_rest_q);
      if (reset_q) assume (!stop_i && !job_i);

      // transfers
      if (stop_i) jobs_q <= '0;
      else begin
        logic [1:0] behind;
        behind = jobs_q;
        if (asked) begin
          assert (jobs_q != '0);
          assert (req_address == BeatAddrWidth'(job_address_q[0]));
          assert (req_beats != '0 && 6'(req_beats) <= job_left_q[0]);
          if (6'(req_beats) == job_left_q[0]) begin
            job_address_q[0] <= job_address_q[1];
            job_left_q[0] <= job_left_q[1];
            behind = behind - 1'b1;
          end else begin
            job_address_q[0] <= job_address_q[0] + 9'(req_beats);
            job_left_q[0] <= job_left_q[0] - 6'(req_beats);
          end
        end
        if (job) begin
          job_address_q[behind[0]] <= address_i;
          job_left_q[behind[0]] <= 6'(beats_i);
        end
        jobs_q <= behind + 2'(job);
      end

      // addresses
      if (asked) begin
        assert (!stop_i);
        length_q[asked_q] <= req_beats;
        start_q[asked_q] <= req_address[8:0];
        asked_q <= asked_q + 1'b1;
      end
      if (!reset_q && arvalid_q && !arready_q) assert (arvalid && araddr == araddr_q && arlen == arlen_q);
      if (stop_q && stop_i && (!arvalid_q || arready_q)) assert (!arvalid);
      if (arvalid) begin
        assert (addressed_q != asked_q);
        assert (araddr == BusAddrWidth'({start_q[addressed_q], 4'd0}));
        assert (arlen < 8'(MaxBeats) && 5'(arlen) + 5'd1 == length_q[addressed_q]);
        assert (9'(araddr[7:4]) + 9'(arlen) < 9'd16);
        if (arready_i) addressed_q <= addressed_q + 1'b1;
      end

      // beats
      assert (rready);
      assert (beat == (rvalid_q && !reset_q));
      if (rvalid) begin
        data_q <= data_q + 1'b1;
        beat_q <= rlast ? '0 : beat_q + 1'b1;
        if (rlast) answered_q <= answered_q + 1'b1;
      end
      assert (idle == (asked_q == answered_q));

      // lines
      if (stop_i) ever_stopped_q <= 1'b1;
`ifdef REACHED
      assert (!(pop && line_last && ever_stopped_q));
`endif
      if (line_valid && !stop_i) begin
        assert (out_q != asked_q);
        for (int unsigned k = 0; k < LineBeats; k++) begin
          if (5'(k) < out_rest) assert (line[k*BeatBits+:BeatBits] == BeatBits'(7'(out_data_q + 7'(k))));
        end
        assert (line_last == (out_rest <= 5'(LineBeats)));
        assert (!line_error);
      end
      if (stop_i) begin
        out_q <= answered_q + 3'(rvalid && rlast);
        out_beat_q <= '0;
        out_data_q <= data_q + 7'(rvalid);
      end else if (pop) begin
        out_data_q <= out_data_q + 7'(line_last ? out_rest : 5'(LineBeats));
        out_beat_q <= line_last ? '0 : out_beat_q + 5'(LineBeats);
        if (line_last) out_q <= out_q + 1'b1;
      end
    end
  end

endmodule
