// N writers on one write port of a memory.
//
// Both sides speak the write port of hw/README.md: `we`, address, data and strobes stay until `wgnt` in the same cycle.
// With Pipe the chosen write is registered before the memory, as arb_read's Pipe for the same memory must be; the memory then has to take
// every write at once.
//
// Cost: a multiplexer of N writes (2 levels of LUTs for N up to 4); with Pipe one register of a write.
module arb_write #(
  parameter int unsigned N = 2,
  parameter int unsigned AddrWidth = 24,
  parameter int unsigned DataWidth = 64,
  parameter int unsigned Lanes = 1,  // strobes
  parameter bit RoundRobin = 1'b1,  // 0: writer 0 comes first, then writer 1, ...; a busy writer starves the next ones
  parameter bit Pipe = 1'b0,
  parameter int unsigned Addresses = 1  // as arb_read's
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic [N-1:0]                we_i,
  input  logic [N-1:0][AddrWidth-1:0] waddr_i,
  input  logic [N-1:0][DataWidth-1:0] wdata_i,
  input  logic [N-1:0][    Lanes-1:0] wstrb_i,
  output logic [N-1:0]                wgnt_o,

  output logic                 mem_we_o,
  output logic [Addresses-1:0][AddrWidth-1:0] mem_waddr_o,
  output logic [DataWidth-1:0] mem_wdata_o,
  output logic [    Lanes-1:0] mem_wstrb_o,
  input  logic                 mem_wgnt_i  // 1 where the memory is this port's alone
);

  logic [N-1:0] chosen;
  logic accept;
  logic [AddrWidth-1:0] waddr;
  logic [DataWidth-1:0] wdata;
  logic [Lanes-1:0] wstrb;

  if (RoundRobin) begin : gen_round_robin
    round_robin #(
      .N(N)
    ) u_choice (
      .clk_i,
      .rst_ni,
      .req_i(we_i),
      .advance_i(accept),
      .gnt_o(chosen)
    );
  end else begin : gen_fixed
    assign chosen = we_i & ~(we_i - 1'b1);
  end

  always_comb begin
    waddr = '0;
    wdata = '0;
    wstrb = '0;
    for (int unsigned i = 0; i < N; i++) begin
      waddr |= waddr_i[i] & {AddrWidth{chosen[i]}};
      wdata |= wdata_i[i] & {DataWidth{chosen[i]}};
      wstrb |= wstrb_i[i] & {Lanes{chosen[i]}};
    end
  end

  if (Pipe) begin : gen_pipe
    logic we_q;
    logic [DataWidth-1:0] wdata_q;
    logic [Lanes-1:0] wstrb_q;

    always_ff @(posedge clk_i) begin
      if (!rst_ni) we_q <= 1'b0;
      else we_q <= we_i != '0;
      wdata_q <= wdata;
      wstrb_q <= wstrb;
    end
    copies #(
      .Width(AddrWidth),
      .Copies(Addresses)
    ) u_waddr (
      .clk_i,
      .d_i(waddr),
      .q_o(mem_waddr_o)
    );
    assign accept = 1'b1;
    assign mem_we_o = we_q;
    assign mem_wdata_o = wdata_q;
    assign mem_wstrb_o = wstrb_q;
`ifndef SYNTHESIS
    assert property (@(posedge clk_i) disable iff (!rst_ni) mem_we_o |-> mem_wgnt_i)
    else $error("%m: with Pipe the memory has to take every write");
`else
    logic unused_gnt;
    assign unused_gnt = mem_wgnt_i;
`endif
  end else begin : gen_direct
    assign accept = mem_wgnt_i;
    assign mem_we_o = we_i != '0;
    assign mem_waddr_o = {Addresses{waddr}};
    assign mem_wdata_o = wdata;
    assign mem_wstrb_o = wstrb;
  end

  assign wgnt_o = chosen & {N{accept}};

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) $onehot0(wgnt_o))
  else $error("%m: two writers at once");
  for (genvar i = 0; i < N; i++) begin : gen_stays
    assert property (@(posedge clk_i) disable iff (!rst_ni) we_i[i] && !wgnt_o[i] |=>
        we_i[i] && $stable(waddr_i[i]) && $stable(wdata_i[i]) && $stable(wstrb_i[i]))
    else $error("%m: writer %0d withdrew or changed its write", i);
  end
`endif

endmodule
