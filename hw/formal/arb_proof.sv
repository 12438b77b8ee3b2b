// Both arbiters: one grant at a time, to who asks; the memory sees the address and data of the one that is granted; data return to who asked,
// Latency (and Pipe) cycles later; and, in turn, nobody waits for more than N - 1 others.

module arb_proof #(
  parameter int unsigned N = 3,
  parameter int unsigned Latency = 2,
  parameter bit RoundRobin = 1'b1,
  parameter bit Pipe = 1'b0,
  localparam int unsigned AddrWidth = 2,
  localparam int unsigned DataWidth = 2
) (
  input logic clk_i,
  input logic rst_ni,
  input logic [N-1:0] req_i,
  input logic [N-1:0][AddrWidth-1:0] addr_i,
  input logic [N-1:0][DataWidth-1:0] data_i,
  input logic free_i
);

  logic [N-1:0] gnt, rvalid, wgnt;
  logic [DataWidth-1:0] rdata, wdata;
  logic re, we, free;
  logic [AddrWidth-1:0] raddr, waddr;
  logic wstrb;

  // with Pipe the memory takes everything
  assign free = free_i || Pipe;

  arb_read #(
    .N(N),
    .AddrWidth(AddrWidth),
    .DataWidth(DataWidth),
    .Latency(Latency),
    .RoundRobin(RoundRobin),
    .Pipe(Pipe)
  ) u_read (
    .clk_i,
    .rst_ni,
    .req_i,
    .addr_i,
    .gnt_o(gnt),
    .rvalid_o(rvalid),
    .rdata_o(rdata),
    .mem_req_o(re),
    .mem_addr_o(raddr),
    .mem_gnt_i(free),
    .mem_rdata_i('0)
  );

  arb_write #(
    .N(N),
    .AddrWidth(AddrWidth),
    .DataWidth(DataWidth),
    .Lanes(1),
    .RoundRobin(RoundRobin),
    .Pipe(Pipe)
  ) u_write (
    .clk_i,
    .rst_ni,
    .we_i(req_i),
    .waddr_i(addr_i),
    .wdata_i(data_i),
    .wstrb_i('1),
    .wgnt_o(wgnt),
    .mem_we_o(we),
    .mem_waddr_o(waddr),
    .mem_wdata_o(wdata),
    .mem_wstrb_o(wstrb),
    .mem_wgnt_i(free)
  );

  localparam int unsigned Total = Latency + (Pipe ? 1 : 0);
  logic begun_q = 1'b0;
  logic [Total-1:0][N-1:0] past_q;  // grants of the last cycles, [0] the newest
  logic [N-1:0] req_q, gnt_q;
  logic [N-1:0][AddrWidth-1:0] addr_q;
  logic [N-1:0][DataWidth-1:0] data_q;
  logic [N-1:0][2:0] passed_q;  // others served since a request came
  logic reset_q;

  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    reset_q <= !rst_ni;
    past_q <= rst_ni ? (past_q << N) | (Total * N)'(gnt) : '0;
    {req_q, gnt_q, addr_q, data_q} <= {req_i, gnt, addr_i, data_i};
    for (int unsigned i = 0; i < N; i++) begin
      if (!rst_ni || !req_i[i] || gnt[i]) passed_q[i] <= '0;
      else if (gnt != '0) passed_q[i] <= passed_q[i] + 1'b1;
    end

    if (!begun_q) begin
      assume (!rst_ni);
    end else begin
      assume (rst_ni);
      // the protocol: a request stays as it is until it is granted
      for (int unsigned i = 0; i < N; i++) begin
        if (!reset_q && req_q[i] && !gnt_q[i]) begin
          assume (req_i[i] && addr_i[i] == addr_q[i] && data_i[i] == data_q[i]);
        end
      end

`ifdef REACHED
      assert (!(rvalid == N'(2) && gnt == N'(1)));
`endif
      assert (gnt == wgnt);
      assert ((gnt & (gnt - 1'b1)) == '0);
      assert ((gnt & ~req_i) == '0);
      assert ((gnt != '0) == (req_i != '0 && free));
      assert (rvalid == past_q[Total-1]);
      if (Pipe) begin
        assert (re == (gnt_q != '0 && !reset_q) && we == re);
      end else begin
        assert (re == (req_i != '0) && we == re);
      end
      for (int unsigned i = 0; i < N; i++) begin
        if (!Pipe && gnt[i]) assert (raddr == addr_i[i] && waddr == addr_i[i] && wdata == data_i[i] && wstrb);
        if (Pipe && re && gnt_q[i]) assert (raddr == addr_q[i] && waddr == addr_q[i] && wdata == data_q[i] && wstrb);
        if (RoundRobin) assert (passed_q[i] < 3'(N));
        else if (i == 0) assert (passed_q[0] == '0);
      end
    end
  end

  logic unused;
  assign unused = &{1'b0, rdata};

endmodule
