// A memory that several units read and write through one read port and one write port.
//
// Data come 3 cycles after the grant: the arbiter's register, then the two of the block RAM. An access past the end pulses
// `read_range_o` or `write_range_o` of its client in the cycle after the grant; such a write is dropped, such a read gives anything.
module shared_mem #(
  parameter int unsigned Readers = 2,
  parameter int unsigned Writers = 1,
  parameter int unsigned AddrWidth = 16,
  parameter int unsigned Width = 64,
  parameter int unsigned Lanes = 1,  // write strobes
  parameter int unsigned Depth = 1024,
  parameter bit ZeroInit = 1'b0,
  parameter int unsigned Addresses = 1  // registers of an address, each for a part of the block RAMs
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic [Readers-1:0]                req_i,
  input  logic [Readers-1:0][AddrWidth-1:0] addr_i,
  output logic [Readers-1:0]                gnt_o,
  output logic [Readers-1:0]                rvalid_o,
  output logic [Width-1:0]                  rdata_o,
  output logic [Readers-1:0]                read_range_o,

  input  logic [Writers-1:0]                we_i,
  input  logic [Writers-1:0][AddrWidth-1:0] waddr_i,
  input  logic [Writers-1:0][Width-1:0]     wdata_i,
  input  logic [Writers-1:0][Lanes-1:0]     wstrb_i,
  output logic [Writers-1:0]                wgnt_o,
  output logic [Writers-1:0]                write_range_o
);

  localparam int unsigned IndexWidth = $clog2(Depth);

  logic mem_req, mem_we;
  logic [Addresses-1:0][AddrWidth-1:0] mem_addr, mem_waddr;
  logic [Addresses-1:0][IndexWidth-1:0] mem_index, mem_windex;
  logic [Width-1:0] mem_wdata, mem_rdata;
  logic [Lanes-1:0] mem_wstrb;

  arb_read #(
    .N(Readers),
    .AddrWidth(AddrWidth),
    .DataWidth(Width),
    .Latency(2),
    .Pipe(1'b1),
    .Addresses(Addresses)
  ) u_read (
    .clk_i,
    .rst_ni,
    .req_i,
    .addr_i,
    .gnt_o,
    .rvalid_o,
    .rdata_o,
    .mem_req_o(mem_req),
    .mem_addr_o(mem_addr),
    .mem_gnt_i(1'b1),
    .mem_rdata_i(mem_rdata)
  );

  arb_write #(
    .N(Writers),
    .AddrWidth(AddrWidth),
    .DataWidth(Width),
    .Lanes(Lanes),
    .Pipe(1'b1),
    .Addresses(Addresses)
  ) u_write (
    .clk_i,
    .rst_ni,
    .we_i,
    .waddr_i,
    .wdata_i,
    .wstrb_i,
    .wgnt_o,
    .mem_we_o(mem_we),
    .mem_waddr_o(mem_waddr),
    .mem_wdata_o(mem_wdata),
    .mem_wstrb_o(mem_wstrb),
    .mem_wgnt_i(1'b1)
  );

  for (genvar k = 0; k < Addresses; k++) begin : gen_index
    assign mem_index[k] = mem_addr[k][IndexWidth-1:0];
    assign mem_windex[k] = mem_waddr[k][IndexWidth-1:0];
  end
  mem_1r1w #(
    .Width(Width),
    .Depth(Depth),
    .Lanes(Lanes),
    .ZeroInit(ZeroInit),
    .Addresses(Addresses)
  ) u_mem (
    .clk_i,
    .we_i(mem_we && 32'(mem_waddr[0]) < Depth),
    .waddr_i(mem_windex),
    .wdata_i(mem_wdata),
    .wstrb_i(mem_wstrb),
    .re_i(mem_req),
    .raddr_i(mem_index),
    .rdata_o(mem_rdata)
  );

  logic unused_addr;
  assign unused_addr = ^{mem_addr, mem_waddr};

  for (genvar r = 0; r < Readers; r++) begin : gen_read_range
    always_ff @(posedge clk_i) begin
      if (!rst_ni) read_range_o[r] <= 1'b0;
      else read_range_o[r] <= req_i[r] && gnt_o[r] && 32'(addr_i[r]) >= Depth;
    end
  end
  for (genvar w = 0; w < Writers; w++) begin : gen_write_range
    always_ff @(posedge clk_i) begin
      if (!rst_ni) write_range_o[w] <= 1'b0;
      else write_range_o[w] <= we_i[w] && wgnt_o[w] && 32'(waddr_i[w]) >= Depth;
    end
  end

endmodule
