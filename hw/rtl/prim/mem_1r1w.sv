// Memory with one read port and one write port, mapped to block RAM with its output register.
//
// A read takes 2 cycles: the array's own register, then the output register, which is what lets RAMB36E2 run
// at its full clock. A word written in one cycle is seen by every read that begins in a later one; a read that
// begins in the very cycle of a write to its address gives the old word. Block RAM does the same with both ports on one clock and
// WRITE_MODE READ_FIRST, but no unit depends on it.
//
// Cost: ceil(Width / 72) * ceil(Depth / 512) RAMB36E2 or less (36 x 1024, 18 x 2048, 9 x 4096), no fabric but
// a multiplexer of ceil(Depth / 4096) words behind them. With strobes the lanes are whole multiples of 8 or 9 bits,
// since that is what a block RAM can write by itself.
module mem_1r1w #(
  parameter int unsigned Width = 64,
  parameter int unsigned Depth = 512,  // words; any number, addresses past it do nothing and read anything
  parameter int unsigned Lanes = 1,  // write strobes; Width is a multiple of it
  parameter bit ZeroInit = 1'b0,  // words hold 0 when the device is configured (not at reset)
  localparam int unsigned IndexWidth = Depth > 1 ? $clog2(Depth) : 1
) (
  input logic clk_i,

  input logic                  we_i,
  input logic [IndexWidth-1:0] waddr_i,
  input logic [     Width-1:0] wdata_i,
  input logic [     Lanes-1:0] wstrb_i,

  input  logic                  re_i,
  input  logic [IndexWidth-1:0] raddr_i,
  output logic [     Width-1:0] rdata_o  // two cycles after re_i; holds only until the next read's
);

  localparam int unsigned LaneWidth = Width / Lanes;

  (* ram_style = "block" *)
  logic [Width-1:0] mem_q[Depth];
  logic [Width-1:0] array_q;
  logic [Width-1:0] rdata_q;

  if (ZeroInit) begin : gen_zero
    initial mem_q = '{default: '0};
  end

  always_ff @(posedge clk_i) begin
    for (int unsigned l = 0; l < Lanes; l++) begin
      if (we_i && wstrb_i[l]) begin
        mem_q[waddr_i][l*LaneWidth+:LaneWidth] <= wdata_i[l*LaneWidth+:LaneWidth];
      end
    end
    if (re_i) array_q <= mem_q[raddr_i];
    rdata_q <= array_q;
  end

  assign rdata_o = rdata_q;

`ifndef SYNTHESIS
  initial assert (Width % Lanes == 0)
  else $error("%m: Width is no multiple of Lanes");
`endif

endmodule
