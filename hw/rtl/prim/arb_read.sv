// N readers on one read port of a memory.
//
// Both sides speak the read port of hw/README.md: `req` and `addr` stay until `gnt` in the same cycle; `rvalid` and the data come Latency
// cycles after the grant. Data go to all readers, `rvalid_o` says whose they are.
//
// With Pipe the chosen address is registered before the memory: a read then takes Latency + 1 cycles. The same memory's
// arb_write must have the same Pipe, or a read could overtake a write that was granted before it.
//
// Cost: a multiplexer of N addresses, N * Latency registers (and AddrWidth with Pipe); no register on data.
module arb_read #(
  parameter int unsigned N = 2,
  parameter int unsigned AddrWidth = 24,
  parameter int unsigned DataWidth = 64,
  parameter int unsigned Latency = 2,  // of the memory, from mem_gnt_i to its data, at least 1
  parameter bit RoundRobin = 1'b1,  // 0: reader 0 comes first, then reader 1, ...; a busy reader starves the next ones
  parameter bit Pipe = 1'b0,
  parameter int unsigned Addresses = 1  // the chosen address so many times, with Pipe each in a register of its own
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic [N-1:0]                req_i,
  input  logic [N-1:0][AddrWidth-1:0] addr_i,
  output logic [N-1:0]                gnt_o,
  output logic [N-1:0]                rvalid_o,
  output logic [DataWidth-1:0]        rdata_o,

  output logic                 mem_req_o,
  output logic [Addresses-1:0][AddrWidth-1:0] mem_addr_o,
  input  logic                 mem_gnt_i,  // 1 where the memory is this port's alone
  input  logic [DataWidth-1:0] mem_rdata_i
);

  localparam int unsigned Total = Latency + (Pipe ? 1 : 0);

  logic [N-1:0] chosen;
  logic [AddrWidth-1:0] addr;
  logic accept;  // the chosen reader is granted
  logic [Total-1:0][N-1:0] owner_q;  // [0] the newest

  if (RoundRobin) begin : gen_round_robin
    round_robin #(
      .N(N)
    ) u_choice (
      .clk_i,
      .rst_ni,
      .req_i,
      .advance_i(accept),
      .gnt_o(chosen)
    );
  end else begin : gen_fixed
    assign chosen = req_i & ~(req_i - 1'b1);
  end

  always_comb begin
    addr = '0;
    for (int unsigned i = 0; i < N; i++) addr |= addr_i[i] & {AddrWidth{chosen[i]}};
  end

  if (Pipe) begin : gen_pipe
    logic req_q;
    // A request in the register that the memory does not take would shift the owners: the memory must always take it.
    always_ff @(posedge clk_i) begin
      if (!rst_ni) req_q <= 1'b0;
      else req_q <= req_i != '0;
    end
    copies #(
      .Width(AddrWidth),
      .Copies(Addresses)
    ) u_addr (
      .clk_i,
      .d_i(addr),
      .q_o(mem_addr_o)
    );
    assign accept = 1'b1;
    assign mem_req_o = req_q;
`ifndef SYNTHESIS
    assert property (@(posedge clk_i) disable iff (!rst_ni) mem_req_o |-> mem_gnt_i)
    else $error("%m: with Pipe the memory has to take every read");
`else
    logic unused_gnt;
    assign unused_gnt = mem_gnt_i;
`endif
  end else begin : gen_direct
    assign accept = mem_gnt_i;
    assign mem_req_o = req_i != '0;
    assign mem_addr_o = {Addresses{addr}};
  end

  assign gnt_o = chosen & {N{accept}};
  assign rvalid_o = owner_q[Total-1];
  assign rdata_o = mem_rdata_i;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      owner_q <= '0;
    end else begin
      owner_q[0] <= gnt_o;
      for (int unsigned i = 1; i < Total; i++) owner_q[i] <= owner_q[i-1];
    end
  end

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) $onehot0(gnt_o) && $onehot0(rvalid_o))
  else $error("%m: two readers at once");
  for (genvar i = 0; i < N; i++) begin : gen_stays
    assert property (@(posedge clk_i) disable iff (!rst_ni)
        req_i[i] && !gnt_o[i] |=> req_i[i] && $stable(addr_i[i]))
    else $error("%m: reader %0d withdrew or changed its request", i);
  end
`endif

endmodule
