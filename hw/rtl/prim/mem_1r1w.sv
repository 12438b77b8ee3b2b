// Memory with one read port and one write port, mapped to block RAM with its output register.
//
// A read takes 2 cycles: the array's own register, then the output register, which is what lets RAMB36E2 run
// at its full clock. A word written in one cycle is seen by every read that begins in a later one; a read that
// begins in the very cycle of a write to its address gives the old word. Block RAM does the same with both ports on one clock and
// WRITE_MODE READ_FIRST, but no unit depends on it.
//
// Cost: a RAMB36E2 for each 4096 x 9 bits, or 4096 x 8 where lanes are no multiples of 9, since 8 or 9 bits are what a block RAM can write
// by itself; no fabric where the depth is a power of two up to 4096, else a multiplexer of two or three words behind them.
//
// With DIFFUSER_RAMB36E2 the cells are instantiated (mem_slice), without it this is their model; tests of crates/cosim compare the two.
module mem_1r1w #(
  parameter int unsigned Width = 64,
  parameter int unsigned Depth = 512,  // words; any number, addresses past it do nothing and read anything
  parameter int unsigned Lanes = 1,  // write strobes; Width is a multiple of it
  // verilator lint_off UNUSEDPARAM  // cells hold 0 then in any case
  parameter bit ZeroInit = 1'b0,  // words hold 0 when the device is configured (not at reset)
  // verilator lint_on UNUSEDPARAM
  parameter int unsigned Addresses = 1,  // the same address so many times, each for a part of the cells: one would have too many readers
  localparam int unsigned IndexWidth = Depth > 1 ? $clog2(Depth) : 1
) (
  input logic clk_i,

  input logic we_i,
  // verilator lint_off UNUSEDSIGNAL  // the model looks at the first addresses alone
  input logic [Addresses-1:0][IndexWidth-1:0] waddr_i,
  // verilator lint_on UNUSEDSIGNAL
  input logic [Width-1:0] wdata_i,
  input logic [Lanes-1:0] wstrb_i,

  input logic re_i,
  // verilator lint_off UNUSEDSIGNAL
  input logic [Addresses-1:0][IndexWidth-1:0] raddr_i,
  // verilator lint_on UNUSEDSIGNAL
  output logic [Width-1:0] rdata_o  // two cycles after re_i; holds only until the next read's
);

  localparam int unsigned LaneWidth = Width / Lanes;

`ifdef DIFFUSER_RAMB36E2
  // Columns of 8 or 9 bits, one strobe each; 8 of them a slice.
  localparam int unsigned ColumnWidth = Lanes == 1 || LaneWidth % 9 == 0 ? 9 : 8;
  localparam int unsigned LaneColumns = (LaneWidth + ColumnWidth - 1) / ColumnWidth;
  localparam int unsigned Columns = Lanes * LaneColumns;
  localparam int unsigned Slices = (Columns + 7) / 8;

  logic [Columns*ColumnWidth-1:0] wdata;
  // verilator lint_off UNUSEDSIGNAL  // what is left of the last column
  logic [Columns*ColumnWidth-1:0] rdata;
  // verilator lint_on UNUSEDSIGNAL
  logic [Columns-1:0] we;

  // lanes are whole columns, but where there is only one
  assign wdata = (Columns * ColumnWidth)'(wdata_i);
  assign rdata_o = rdata[Width-1:0];
  for (genvar l = 0; l < Lanes; l++) begin : gen_lane
    assign we[l*LaneColumns+:LaneColumns] = {LaneColumns{we_i && wstrb_i[l]}};
  end
  if (Lanes > 1 && LaneWidth % ColumnWidth != 0) begin : gen_lane_width
    $error("mem_1r1w: lanes are multiples of 8 or of 9 bits");
  end

  for (genvar s = 0; s < Slices; s++) begin : gen_slice
    localparam int unsigned First = 8 * s;
    localparam int unsigned Some = Columns - First < 8 ? Columns - First : 8;
    mem_slice #(
      .Columns(Some),
      .ColumnWidth(ColumnWidth),
      .Depth(Depth)
    ) u_slice (
      .wclk_i(clk_i),
      .we_i(we[First+:Some]),
      .waddr_i(waddr_i[s*Addresses/Slices]),
      .wdata_i(wdata[First*ColumnWidth+:Some*ColumnWidth]),
      .rclk_i(clk_i),
      .re_i,
      .raddr_i(raddr_i[s*Addresses/Slices]),
      .rdata_o(rdata[First*ColumnWidth+:Some*ColumnWidth])
    );
  end
`else
  (* ram_style = "block" *)
  logic [Width-1:0] mem_q[Depth];
  logic [Width-1:0] array_q;
  logic [Width-1:0] rdata_q;

  if (ZeroInit) begin : gen_zero
    initial mem_q = '{default: '0};
  end

  always_ff @(posedge clk_i) begin
    // outside of the loop, so that a simulator has nothing to do where nothing is written
    if (we_i) begin
      for (int unsigned l = 0; l < Lanes; l++) begin
        if (wstrb_i[l]) mem_q[waddr_i[0]][l*LaneWidth+:LaneWidth] <= wdata_i[l*LaneWidth+:LaneWidth];
      end
    end
    if (re_i) array_q <= mem_q[raddr_i[0]];
    rdata_q <= array_q;
  end

  assign rdata_o = rdata_q;
`endif

`ifndef SYNTHESIS
  initial assert (Width % Lanes == 0)
  else $error("%m: Width is no multiple of Lanes");
`endif

endmodule
