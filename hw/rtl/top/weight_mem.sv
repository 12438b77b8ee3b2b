// The weight memory: words of Bytes bytes, a strobe each.
//
// Reads are always granted and take WeightLatency cycles, those of mem_1r1w. Of the two writers the first comes first: the array writes K and
// V for some hundred cycles and waits for nothing else then, dma fills the rest of the memory all the time. The turn changes two cycles
// after the first one begins or ends, so that the choice between two words stands in registers of few readers each. No register stands before
// the memory, so that a write is seen by the reads of the next cycle: the writers drive them from registers.
module weight_mem
  import diffuser_pkg::*;
#(
  parameter int unsigned Bytes = 64,
  parameter int unsigned Depth = 1024
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic                  req_i,
  input  logic [AddrWidth-1:0]  addr_i,
  output logic [Bytes-1:0][7:0] rdata_o,
  output logic                  read_range_o,

  input  logic [1:0]                 we_i,
  input  logic [1:0][AddrWidth-1:0]  waddr_i,
  input  logic [1:0][Bytes-1:0]      wstrb_i,
  input  logic [1:0][Bytes-1:0][7:0] wdata_i,
  output logic [1:0]                 wgnt_o,
  output logic [1:0]                 write_range_o
);

  localparam int unsigned IndexWidth = $clog2(Depth);

  localparam int unsigned Part = Bytes < 8 ? Bytes : 8;  // data bytes of a register
  localparam int unsigned Parts = Bytes / Part;
  localparam int unsigned StrobePart = Bytes < 64 ? Bytes : 64;
  localparam int unsigned StrobeParts = Bytes / StrobePart;

  logic [AddrWidth-1:0] mem_waddr;
  logic [Bytes-1:0][7:0] mem_wdata;
  logic [Bytes-1:0] mem_wstrb;
  logic mem_we, in_range;

  logic turn_q;  // the first writer's
  logic [1:0] first_q;
  logic [Parts-1:0] data_turn_q;
  logic [StrobeParts-1:0] strobe_turn_q;
  copies #(
    .Copies(2)
  ) u_first (
    .clk_i,
    .d_i(rst_ni && we_i[0]),
    .q_o(first_q)
  );
  copies #(
    .Copies(Parts)
  ) u_data_turn (
    .clk_i,
    .d_i(first_q[0]),
    .q_o(data_turn_q)
  );
  copies #(
    .Copies(1 + StrobeParts)
  ) u_turn (
    .clk_i,
    .d_i(first_q[1]),
    .q_o({turn_q, strobe_turn_q})
  );

  assign wgnt_o = {we_i[1] && !turn_q, we_i[0] && turn_q};
  assign in_range = turn_q ? 32'(waddr_i[0]) < Depth : 32'(waddr_i[1]) < Depth;
  assign mem_we = wgnt_o != '0 && in_range;
  assign mem_waddr = turn_q ? waddr_i[0] : waddr_i[1];
  always_comb begin
    for (int unsigned b = 0; b < Bytes; b++) begin
      mem_wdata[b] = data_turn_q[b/Part] ? wdata_i[0][b] : wdata_i[1][b];
      mem_wstrb[b] = strobe_turn_q[b/StrobePart] ? wstrb_i[0][b] : wstrb_i[1][b];
    end
  end

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
  for (genvar w = 0; w < 2; w++) begin : gen_write_range
    always_ff @(posedge clk_i) begin
      if (!rst_ni) write_range_o[w] <= 1'b0;
      else write_range_o[w] <= we_i[w] && wgnt_o[w] && 32'(waddr_i[w]) >= Depth;
    end
  end

endmodule
