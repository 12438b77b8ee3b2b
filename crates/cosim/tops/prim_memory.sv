// A memory behind its arbiters: 3 readers, 2 writers.

module prim_memory #(
  parameter bit RoundRobin = 1'b1,
  parameter bit Pipe = 1'b0,
  localparam int unsigned Readers = 3,
  localparam int unsigned Writers = 2,
  localparam int unsigned Width = 40,
  localparam int unsigned Lanes = 5,
  localparam int unsigned Depth = 20,
  localparam int unsigned AddrWidth = 5
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic [Readers-1:0]                req_i,
  input  logic [Readers-1:0][AddrWidth-1:0] addr_i,
  output logic [Readers-1:0]                gnt_o,
  output logic [Readers-1:0]                rvalid_o,
  output logic [Width-1:0]                  rdata_o,

  input  logic [Writers-1:0]                we_i,
  input  logic [Writers-1:0][AddrWidth-1:0] waddr_i,
  input  logic [Writers-1:0][Width-1:0]     wdata_i,
  input  logic [Writers-1:0][Lanes-1:0]     wstrb_i,
  output logic [Writers-1:0]                wgnt_o,

  input logic free_i  // the memory takes something, without Pipe
);

  logic re, we;
  logic [AddrWidth-1:0] raddr, waddr;
  logic [Width-1:0] rdata, wdata;
  logic [Lanes-1:0] wstrb;
  logic free;

  assign free = free_i || Pipe;

  arb_read #(
    .N(Readers),
    .AddrWidth(AddrWidth),
    .DataWidth(Width),
    .Latency(2),
    .RoundRobin(RoundRobin),
    .Pipe(Pipe)
  ) u_read (
    .clk_i,
    .rst_ni,
    .req_i,
    .addr_i,
    .gnt_o,
    .rvalid_o,
    .rdata_o,
    .mem_req_o(re),
    .mem_addr_o(raddr),
    .mem_gnt_i(free),
    .mem_rdata_i(rdata)
  );

  arb_write #(
    .N(Writers),
    .AddrWidth(AddrWidth),
    .DataWidth(Width),
    .Lanes(Lanes),
    .RoundRobin(RoundRobin),
    .Pipe(Pipe)
  ) u_write (
    .clk_i,
    .rst_ni,
    .we_i,
    .waddr_i,
    .wdata_i,
    .wstrb_i,
    .wgnt_o,
    .mem_we_o(we),
    .mem_waddr_o(waddr),
    .mem_wdata_o(wdata),
    .mem_wstrb_o(wstrb),
    .mem_wgnt_i(free)
  );

  mem_1r1w #(
    .Width(Width),
    .Depth(Depth),
    .Lanes(Lanes),
    .ZeroInit(1'b1)
  ) u_mem (
    .clk_i,
    .we_i(we && free),
    .waddr_i(waddr),
    .wdata_i(wdata),
    .wstrb_i(wstrb),
    .re_i(re && free),
    .raddr_i(raddr),
    .rdata_o(rdata)
  );

endmodule
