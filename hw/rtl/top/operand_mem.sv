// The operand memory: P banks of I bytes, each with a row address of its own for reads; one row for a write, a strobe a bank.
//
// Reads are always granted and take OperandLatency cycles, those of mem_1r1w. Writes are granted in turn; no register stands before the
// banks, so that a write is seen by the reads of the next cycle: the writers drive them from registers.
module operand_mem
  import diffuser_pkg::*;
#(
  parameter int unsigned P = 4,
  parameter int unsigned I = 8,
  parameter int unsigned Writers = 2,
  parameter int unsigned Depth = 1024
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic                       req_i,
  input  logic [P-1:0]                en_i,  // banks whose range counts
  input  logic [P-1:0][AddrWidth-1:0] addr_i,
  output logic [P-1:0][I-1:0][7:0]   rdata_o,
  output logic                       read_range_o,

  input  logic [Writers-1:0]                      we_i,
  input  logic [Writers-1:0][AddrWidth-1:0]       waddr_i,
  input  logic [Writers-1:0][P-1:0]               wstrb_i,
  input  logic [Writers-1:0][P-1:0][I-1:0][7:0]   wdata_i,
  output logic [Writers-1:0]                      wgnt_o,
  output logic [Writers-1:0]                      write_range_o
);

  localparam int unsigned IndexWidth = $clog2(Depth);
  localparam int unsigned Bank = 8 * I;

  logic [AddrWidth-1:0] mem_waddr;
  logic [P-1:0][Bank-1:0] mem_wdata;
  logic [P-1:0] mem_wstrb, outside;
  logic [Writers-1:0][P-1:0] wstrb;
  logic mem_we;

  // The ranges are looked at before a writer is chosen, not behind it: a write past the end has no strobes.
  for (genvar w = 0; w < Writers; w++) begin : gen_inside
    assign wstrb[w] = wstrb_i[w] & {P{32'(waddr_i[w]) < Depth}};
  end

  arb_write #(
    .N(Writers),
    .AddrWidth(AddrWidth),
    .DataWidth(P * Bank),
    .Lanes(P),
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

  for (genvar b = 0; b < P; b++) begin : gen_bank
    mem_1r1w #(
      .Width(Bank),
      .Depth(Depth)
    ) u_mem (
      .clk_i,
      .we_i(mem_we && mem_wstrb[b]),
      .waddr_i(mem_waddr[IndexWidth-1:0]),
      .wdata_i(mem_wdata[b]),
      .wstrb_i(1'b1),
      .re_i(req_i),
      .raddr_i(addr_i[b][IndexWidth-1:0]),
      .rdata_o(rdata_o[b])
    );
    assign outside[b] = en_i[b] && 32'(addr_i[b]) >= Depth;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) read_range_o <= 1'b0;
    else read_range_o <= req_i && outside != '0;
  end
  for (genvar w = 0; w < Writers; w++) begin : gen_write_range
    always_ff @(posedge clk_i) begin
      if (!rst_ni) write_range_o[w] <= 1'b0;
      else write_range_o[w] <= we_i[w] && wgnt_o[w] && 32'(waddr_i[w]) >= Depth;
    end
  end

endmodule
