// The weight memory: words of Bytes bytes, a strobe each.
//
// Reads are always granted and take WeightLatency cycles, those of mem_1r1w. Of the writers the first comes first: the array writes K and V
// for some hundred cycles and waits for nothing else then, dma fills the rest of the memory all the time. No register stands before the
// memory, so that a write is seen by the reads of the next cycle: the writers drive them from registers.
module weight_mem
  import diffuser_pkg::*;
#(
  parameter int unsigned Bytes = 64,
  parameter int unsigned Writers = 2,
  parameter int unsigned Depth = 1024
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic                  req_i,
  input  logic [AddrWidth-1:0]  addr_i,
  output logic [Bytes-1:0][7:0] rdata_o,
  output logic                  read_range_o,

  input  logic [Writers-1:0]                 we_i,
  input  logic [Writers-1:0][AddrWidth-1:0]  waddr_i,
  input  logic [Writers-1:0][Bytes-1:0]      wstrb_i,
  input  logic [Writers-1:0][Bytes-1:0][7:0] wdata_i,
  output logic [Writers-1:0]                 wgnt_o,
  output logic [Writers-1:0]                 write_range_o
);

  localparam int unsigned IndexWidth = $clog2(Depth);

  logic [AddrWidth-1:0] mem_waddr;
  logic [8*Bytes-1:0] mem_wdata;
  logic [Bytes-1:0] mem_wstrb;
  logic [Writers-1:0][Bytes-1:0] wstrb;
  logic mem_we;

  // The ranges are looked at before a writer is chosen, not behind it: a write past the end has no strobes.
  for (genvar w = 0; w < Writers; w++) begin : gen_inside
    assign wstrb[w] = wstrb_i[w] & {Bytes{32'(waddr_i[w]) < Depth}};
  end

  arb_write #(
    .N(Writers),
    .AddrWidth(AddrWidth),
    .DataWidth(8 * Bytes),
    .Lanes(Bytes),
    .RoundRobin(1'b0),
    .Pipe(1'b0)
  ) u_write (
    .clk_i,
    .rst_ni,
    .we_i,
    .waddr_i,
    .wdata_i(wdata_i),
    .wstrb_i(wstrb),
    .wgnt_o,
    .mem_we_o(mem_we),
    .mem_waddr_o(mem_waddr),
    .mem_wdata_o(mem_wdata),
    .mem_wstrb_o(mem_wstrb),
    .mem_wgnt_i(1'b1)
  );

  logic unused_waddr;
  assign unused_waddr = ^mem_waddr;

  mem_1r1w #(
    .Width(8 * Bytes),
    .Depth(Depth),
    .Lanes(Bytes)
  ) u_mem (
    .clk_i,
    .we_i(mem_we),
    .waddr_i(mem_waddr[IndexWidth-1:0]),
    .wdata_i(mem_wdata),
    .wstrb_i(mem_wstrb),
    .re_i(req_i),
    .raddr_i(addr_i[IndexWidth-1:0]),
    .rdata_o(rdata_o)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) read_range_o <= 1'b0;
    else read_range_o <= req_i && 32'(addr_i) >= Depth;
  end
  for (genvar w = 0; w < Writers; w++) begin : gen_write_range
    always_ff @(posedge clk_i) begin
      if (!rst_ni) write_range_o[w] <= 1'b0;
      else write_range_o[w] <= we_i[w] && wgnt_o[w] && 32'(waddr_i[w]) >= Depth;
    end
  end

endmodule
