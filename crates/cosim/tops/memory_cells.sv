// Memories made of RAMB36E2 cells, in the shapes of those of the core: one after the other as `which_i` says.
module memory_cells #(
  localparam int unsigned Kinds = 4,
  localparam int unsigned MaxWidth = 216
) (
  input logic clk_i,

  input logic [$clog2(Kinds)-1:0] which_i,

  input logic                we_i,
  input logic [        12:0] waddr_i,
  input logic [MaxWidth-1:0] wdata_i,
  input logic [        11:0] wstrb_i,

  input  logic                re_i,
  input  logic [        12:0] raddr_i,
  output logic [MaxWidth-1:0] rdata_o
);

  logic [Kinds-1:0][MaxWidth-1:0] rdata;
  assign rdata_o = rdata[which_i];

  // Lanes of bytes, two pieces (the weight memory).
  memory_cells_one #(.Width(96), .Depth(1536), .Lanes(12), .MaxWidth(MaxWidth)) u_weight (
    .clk_i, .we_i(we_i && which_i == 0), .waddr_i, .wdata_i, .wstrb_i, .re_i(re_i && which_i == 0), .raddr_i, .rdata_o(rdata[0])
  );
  // Lanes of 16 bits, three pieces (a bank of the stream memory).
  memory_cells_one #(.Width(80), .Depth(6656), .Lanes(5), .MaxWidth(MaxWidth)) u_stream (
    .clk_i, .we_i(we_i && which_i == 1), .waddr_i, .wdata_i, .wstrb_i, .re_i(re_i && which_i == 1), .raddr_i, .rdata_o(rdata[1])
  );
  // One lane, parity bits (operand, param, sums).
  memory_cells_one #(.Width(128), .Depth(4096), .Lanes(1), .MaxWidth(MaxWidth)) u_operand (
    .clk_i, .we_i(we_i && which_i == 2), .waddr_i, .wdata_i, .wstrb_i, .re_i(re_i && which_i == 2), .raddr_i, .rdata_o(rdata[2])
  );
  // Lanes of 54 bits (the image predicted before).
  memory_cells_one #(.Width(216), .Depth(700), .Lanes(4), .MaxWidth(MaxWidth)) u_previous (
    .clk_i, .we_i(we_i && which_i == 3), .waddr_i, .wdata_i, .wstrb_i, .re_i(re_i && which_i == 3), .raddr_i, .rdata_o(rdata[3])
  );

endmodule

// verilator lint_off DECLFILENAME  // a part of this wrapper
module memory_cells_one #(
  // verilator lint_on DECLFILENAME
  parameter int unsigned Width = 64,
  parameter int unsigned Depth = 512,
  parameter int unsigned Lanes = 1,
  parameter int unsigned MaxWidth = 216,
  localparam int unsigned IndexWidth = $clog2(Depth)
) (
  input logic clk_i,
  input logic we_i,
  // verilator lint_off UNUSEDSIGNAL
  // Each takes as many bits as it has.
  input logic [12:0] waddr_i,
  input logic [MaxWidth-1:0] wdata_i,
  input logic [11:0] wstrb_i,
  input logic re_i,
  input logic [12:0] raddr_i,
  // verilator lint_on UNUSEDSIGNAL
  output logic [MaxWidth-1:0] rdata_o
);

  logic [Width-1:0] rdata;
  assign rdata_o = MaxWidth'(rdata);

  mem_1r1w #(
    .Width(Width),
    .Depth(Depth),
    .Lanes(Lanes),
    .ZeroInit(1'b1)
  ) u_mem (
    .clk_i,
    .we_i,
    .waddr_i(waddr_i[IndexWidth-1:0]),
    .wdata_i(wdata_i[Width-1:0]),
    .wstrb_i(wstrb_i[Lanes-1:0]),
    .re_i,
    .raddr_i(raddr_i[IndexWidth-1:0]),
    .rdata_o(rdata)
  );

endmodule
