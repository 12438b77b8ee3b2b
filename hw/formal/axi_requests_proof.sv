// dma_requests against any transfers and any ports: the pieces of a transfer are exactly its beats, in order, of 16 beats at most, none over 256 aligned bytes (so
// none over 4 KB), transfer after transfer; pieces go to the ports in turn; what is offered stays until it is taken; stopped, nothing is offered afterwards.
//
// Of the transfers one, any, is followed.
module axi_requests_proof
  import dma_pkg::*;
#(
  parameter int unsigned ReadPorts = 4,
  parameter int unsigned Depth = 8  // a power of two
) (
  input logic clk_i,
  input logic rst_ni,
  input logic stop_i,
  input logic job_i,
  input logic [8:0] address_i,
  input logic [5:0] beats_i,
  input logic [ReadPorts-1:0] ready_i,
  input logic watch_i
);

  logic job;
  logic [ReadPorts-1:0] valid, valid_q;
  logic [BeatAddrWidth-1:0] address, address_q;
  logic [4:0] beats, beats_q;

  dma_requests #(
    .ReadPorts(ReadPorts),
    .Depth(Depth)
  ) u_requests (
    .clk_i,
    .rst_ni,
    .stop_i,
    .valid_i(job),
    .address_i(BeatAddrWidth'(address_i)),
    .beats_i(BeatsWidth'(beats_i)),
    .req_valid_o(valid),
    .req_ready_i(ready_i),
    .req_address_o(address),
    .req_beats_o(beats)
  );

  localparam int unsigned Index = $clog2(Depth);
  logic [3:0] jobs_q;  // not cut to their end
  logic follow_q, watched_q;  // one is followed; was chosen
  logic [3:0] ahead_q;  // jobs before it
  logic [8:0] at_q;
  logic [5:0] left_q;
  logic [$clog2(ReadPorts)-1:0] port_q;
  logic taken, job_end, here;
  assign job = job_i && jobs_q < 4'(Depth) && !stop_i;
  assign taken = (valid & ready_i) != '0;
  // for the one that is followed this is shown to be its end
  assign job_end = taken && u_requests.last_q;
  assign here = follow_q && ahead_q == '0;

  logic [3:0] held, active;
  logic [BeatAddrWidth+BeatsWidth-1:0] entry;
  assign held = 4'(u_requests.u_jobs.count_q);
  assign active = 4'(u_requests.active_q);
  assign entry = u_requests.u_jobs.gen_chunk[0].mem_q[Index'(u_requests.u_jobs.gen_chunk[0].head_q + Index'(ahead_q - active))];

  logic begun_q = 1'b0;
  logic reset_q, stop_q, taken_q;

  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    reset_q <= !rst_ni;
    {stop_q, valid_q, address_q, beats_q, taken_q} <= {stop_i, valid, address, beats, taken};

    if (!begun_q) begin
      assume (!rst_ni);
      {jobs_q, follow_q, watched_q, port_q} <= '0;
    end else begin
      assume (rst_ni);
      assume (beats_i != '0 && address_i < 9'h180);  // no wrap in the counts here

      // what is offered
      assert (valid == '0 || valid == ReadPorts'(1) << port_q);
      if (!reset_q && !stop_q && valid_q != '0 && !taken_q) assert (valid == valid_q && address == address_q && beats == beats_q);
      if (stop_q || reset_q) assert (valid == '0);
      if (valid != '0) begin
        assert (jobs_q != '0);
        assert (beats != '0 && 5'(address[3:0]) + beats <= 5'd16);
        if (here) begin
          assert (address == BeatAddrWidth'(at_q));
          assert (6'(beats) <= left_q && u_requests.last_q == (6'(beats) == left_q));
        end
      end

      // jobs, and the one that is followed
      if (stop_i) begin
        {jobs_q, follow_q, port_q} <= '0;
      end else begin
        jobs_q <= jobs_q + 4'(job) - 4'(job_end);
        if (taken) port_q <= port_q == ($clog2(ReadPorts))'(ReadPorts - 1) ? '0 : port_q + 1'b1;
        if (job && watch_i && !watched_q) begin
          {follow_q, watched_q} <= '1;
          ahead_q <= jobs_q - 4'(job_end);
          at_q <= address_i;
          left_q <= beats_i;
        end else if (here) begin
          if (taken) begin
            at_q <= at_q + 9'(beats);
            left_q <= left_q - 6'(beats);
          end
          if (job_end) follow_q <= 1'b0;
        end else if (job_end) begin
          ahead_q <= ahead_q - 1'b1;
        end
      end
`ifdef REACHED
      assert (!(here && taken && job_end && beats == 5'd16 && port_q == '1));
`endif

      // ---- what makes it inductive
      assert (jobs_q == held + active && u_requests.active_now_q == u_requests.active_q);
      assert (held <= 4'(Depth) && u_requests.u_jobs.full_q == (held == 4'(Depth)) && u_requests.u_jobs.some_q == (held != '0));
      assert (u_requests.u_jobs.gen_chunk[0].tail_q == Index'(u_requests.u_jobs.gen_chunk[0].head_q + Index'(held)));
      assert (u_requests.port_q == port_q);
      if (u_requests.active_q) assert (u_requests.now_q.beats != '0);
      for (int unsigned k = 0; k < Depth; k++) begin
        if (4'(k) < held) assert (u_requests.u_jobs.gen_chunk[0].mem_q[Index'(u_requests.u_jobs.gen_chunk[0].head_q + Index'(k))][BeatsWidth-1:0] != '0);
      end
      if (u_requests.cut_q) begin
        assert (u_requests.active_q);
        assert (u_requests.last_q == (u_requests.now_q.beats <= BeatsWidth'(u_requests.room)));
        assert (beats == (u_requests.last_q ? u_requests.now_q.beats[4:0] : u_requests.room));
      end
      if (follow_q) begin
        assert (ahead_q < jobs_q && left_q != '0 && 10'(at_q) + 10'(left_q) <= 10'h1c0);
        if (ahead_q >= active) assert (entry == {BeatAddrWidth'(at_q), BeatsWidth'(left_q)});
        else assert (u_requests.now_q == {BeatAddrWidth'(at_q), BeatsWidth'(left_q)});
      end
    end
  end

endmodule
