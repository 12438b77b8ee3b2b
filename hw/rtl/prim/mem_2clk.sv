// mem_1r1w with a clock for each port: block RAM with its output register, written by one clock, read by another.
//
// A word may not be read while it is written: whoever uses this keeps the two apart (async_fifo does). Cost: a RAMB36E2 for each 4096 x 9 bits.
module mem_2clk #(
  parameter int unsigned Width = 64,
  parameter int unsigned Depth = 512,  // words; any number, addresses past it do nothing and read anything
  localparam int unsigned IndexWidth = Depth > 1 ? $clog2(Depth) : 1
) (
  input logic                  wclk_i,
  input logic                  we_i,
  input logic [IndexWidth-1:0] waddr_i,
  input logic [     Width-1:0] wdata_i,

  input  logic                  rclk_i,
  input  logic                  re_i,
  input  logic [IndexWidth-1:0] raddr_i,
  output logic [     Width-1:0] rdata_o  // two cycles after re_i; holds only until the next read's
);

`ifdef DIFFUSER_RAMB36E2
  localparam int unsigned Columns = (Width + 8) / 9;
  localparam int unsigned Slices = (Columns + 7) / 8;
  // verilator lint_off UNUSEDSIGNAL  // what is left of the last column
  logic [9*Columns-1:0] rdata;
  // verilator lint_on UNUSEDSIGNAL
  logic [9*Columns-1:0] wdata;
  assign wdata   = (9 * Columns)'(wdata_i);
  assign rdata_o = rdata[Width-1:0];
  for (genvar s = 0; s < Slices; s++) begin : gen_slice
    localparam int unsigned First = 8 * s;
    localparam int unsigned Some = Columns - First < 8 ? Columns - First : 8;
    mem_slice #(
      .Columns(Some),
      .ColumnWidth(9),
      .Depth(Depth),
      .OneClock(1'b0)
    ) u_slice (
      .wclk_i,
      .we_i({Some{we_i}}),
      .waddr_i,
      .wdata_i(wdata[First*9+:Some*9]),
      .rclk_i,
      .re_i,
      .raddr_i,
      .rdata_o(rdata[First*9+:Some*9])
    );
  end
`else
  (* ram_style = "block" *)
  logic [Width-1:0] mem_q[Depth];
  logic [Width-1:0] array_q;
  logic [Width-1:0] rdata_q;
  always_ff @(posedge wclk_i) begin
    if (we_i) mem_q[waddr_i] <= wdata_i;
  end
  always_ff @(posedge rclk_i) begin
    if (re_i) array_q <= mem_q[raddr_i];
    rdata_q <= array_q;
  end
  assign rdata_o = rdata_q;
`endif

endmodule
