// All on-chip memories, their arbiters, and the checks that no access leaves its memory.
//
// Clients of a memory are in the order that its ports' comments give. `range_o` has a bit for each unit: it pulses a few cycles after an access
// of that unit past a memory's end. Such a write is dropped.
module memory_system
  import diffuser_pkg::*;
  import diffuser_isa_pkg::*;
#(
  parameter target_pkg::target_t T = target_pkg::Small,
  localparam int unsigned P = T.P,
  localparam int unsigned O = T.O,
  localparam int unsigned I = T.I
) (
  input logic clk_i,
  input logic rst_ni,

  // stream: readers array, prep, sample, dma; writers array, prep, dma
  input  logic [3:0]                stream_req_i,
  input  logic [3:0][AddrWidth-1:0] stream_addr_i,
  output logic [3:0]                stream_gnt_o,
  output logic [3:0]                stream_rvalid_o,
  output logic [3:0][O-1:0][15:0]   stream_rdata_o,
  input  logic [2:0]                stream_we_i,
  input  logic [2:0][AddrWidth-1:0] stream_waddr_i,
  input  logic [2:0][O-1:0]         stream_wstrb_i,
  input  logic [2:0][O-1:0][15:0]   stream_wdata_i,
  output logic [2:0]                stream_wgnt_o,

  // operand: reader array; writers array, prep
  input  logic                            operand_req_i,
  input  logic [P-1:0]                    operand_en_i,
  input  logic [P-1:0][AddrWidth-1:0]     operand_addr_i,
  output logic [P-1:0][I-1:0][7:0]        operand_rdata_o,
  input  logic [1:0]                      operand_we_i,
  input  logic [1:0][AddrWidth-1:0]       operand_waddr_i,
  input  logic [1:0][P-1:0]               operand_wstrb_i,
  input  logic [1:0][P-1:0][I-1:0][7:0]   operand_wdata_i,
  output logic [1:0]                      operand_wgnt_o,

  // weight: reader array; writers array, dma
  input  logic                          weight_req_i,
  input  logic [AddrWidth-1:0]          weight_addr_i,
  output logic [O-1:0][I-1:0][7:0]      weight_rdata_o,
  input  logic [1:0]                    weight_we_i,
  input  logic [1:0][AddrWidth-1:0]     weight_waddr_i,
  input  logic [1:0][O-1:0][I-1:0]      weight_wstrb_i,
  input  logic [1:0][O-1:0][I-1:0][7:0] weight_wdata_i,
  output logic [1:0]                    weight_wgnt_o,

  // param: readers array, prep, norm, sample; writer dma
  input  logic [3:0]                 param_req_i,
  input  logic [3:0][EntryWidth-1:0] param_addr_i,
  output logic [3:0]                 param_gnt_o,
  output logic [3:0]                 param_rvalid_o,
  output logic [63:0]                param_rdata_o,
  input  logic                       param_we_i,
  input  logic [EntryWidth-1:0]      param_waddr_i,
  input  logic [63:0]                param_wdata_i,
  output logic                       param_wgnt_o,

  // affine: reader prep; writer norm
  input  logic                  affine_req_i,
  input  logic [EntryWidth-1:0] affine_addr_i,
  output logic                  affine_gnt_o,
  output logic                  affine_rvalid_o,
  output affine_t [I-1:0]       affine_rdata_o,
  input  logic                  affine_we_i,
  input  logic [EntryWidth-1:0] affine_waddr_i,
  input  affine_t               affine_wdata_i,
  output logic                  affine_wgnt_o,

  // sums: readers array, norm; writers array, prep
  input  logic [1:0]                 sums_req_i,
  input  logic [1:0][EntryWidth-1:0] sums_addr_i,
  output logic [1:0]                 sums_gnt_o,
  output logic [1:0]                 sums_rvalid_o,
  output sums_t                      sums_rdata_o,
  input  logic [1:0]                 sums_we_i,
  input  logic [1:0][EntryWidth-1:0] sums_waddr_i,
  input  sums_t [1:0]                sums_wdata_i,
  output logic [1:0]                 sums_wgnt_o,

  // state: readers prep, sample, dma; writers sample, dma
  input  logic [2:0]                state_req_i,
  input  logic [2:0][AddrWidth-1:0] state_addr_i,
  output logic [2:0]                state_gnt_o,
  output logic [2:0]                state_rvalid_o,
  output logic [3:0][31:0]          state_rdata_o,
  input  logic [1:0]                state_we_i,
  input  logic [1:0][AddrWidth-1:0] state_waddr_i,
  input  logic [1:0][3:0]           state_wstrb_i,
  input  logic [1:0][3:0][31:0]     state_wdata_i,
  output logic [1:0]                state_wgnt_o,

  output logic [NumUnits-1:0] range_o
);

  logic [3:0] stream_read_range, param_read_range;
  logic [2:0] stream_write_range, state_read_range;
  logic [1:0] operand_write_range, weight_write_range, sums_read_range, sums_write_range, state_write_range;
  logic operand_read_range, weight_read_range, param_write_range, affine_range, affine_write_q;

  stream_mem #(
    .Readers(4),
    .Writers(3),
    .AddrWidth(AddrWidth),
    .Lanes(O),
    .Depth(T.Stream),
    .Banks(T.StreamBanks)
  ) u_stream (
    .clk_i,
    .rst_ni,
    .req_i(stream_req_i),
    .addr_i(stream_addr_i),
    .gnt_o(stream_gnt_o),
    .rvalid_o(stream_rvalid_o),
    .rdata_o(stream_rdata_o),
    .read_range_o(stream_read_range),
    .we_i(stream_we_i),
    .waddr_i(stream_waddr_i),
    .wdata_i(stream_wdata_i),
    .wstrb_i(stream_wstrb_i),
    .wgnt_o(stream_wgnt_o),
    .write_range_o(stream_write_range)
  );

  operand_mem #(
    .P(P),
    .I(I),
    .Writers(2),
    .Depth(T.Operand)
  ) u_operand (
    .clk_i,
    .rst_ni,
    .req_i(operand_req_i),
    .en_i(operand_en_i),
    .addr_i(operand_addr_i),
    .rdata_o(operand_rdata_o),
    .read_range_o(operand_read_range),
    .we_i(operand_we_i),
    .waddr_i(operand_waddr_i),
    .wstrb_i(operand_wstrb_i),
    .wdata_i(operand_wdata_i),
    .wgnt_o(operand_wgnt_o),
    .write_range_o(operand_write_range)
  );

  weight_mem #(
    .Bytes(O * I),
    .Depth(T.Weight)
  ) u_weight (
    .clk_i,
    .rst_ni,
    .req_i(weight_req_i),
    .addr_i(weight_addr_i),
    .rdata_o(weight_rdata_o),
    .read_range_o(weight_read_range),
    .we_i(weight_we_i),
    .waddr_i(weight_waddr_i),
    .wstrb_i(weight_wstrb_i),
    .wdata_i(weight_wdata_i),
    .wgnt_o(weight_wgnt_o),
    .write_range_o(weight_write_range)
  );

  shared_mem #(
    .Readers(4),
    .Writers(1),
    .AddrWidth(EntryWidth),
    .Width(64),
    .Depth(T.Param)
  ) u_param (
    .clk_i,
    .rst_ni,
    .req_i(param_req_i),
    .addr_i(param_addr_i),
    .gnt_o(param_gnt_o),
    .rvalid_o(param_rvalid_o),
    .rdata_o(param_rdata_o),
    .read_range_o(param_read_range),
    .we_i(param_we_i),
    .waddr_i(param_waddr_i),
    .wdata_i(param_wdata_i),
    .wstrb_i(1'b1),
    .wgnt_o(param_wgnt_o),
    .write_range_o(param_write_range)
  );

  affine_mem #(
    .I(I),
    .Depth(T.Affine)
  ) u_affine (
    .clk_i,
    .rst_ni,
    .we_i(affine_we_i),
    .waddr_i(affine_waddr_i),
    .wdata_i(affine_wdata_i),
    .wgnt_o(affine_wgnt_o),
    .req_i(affine_req_i),
    .addr_i(affine_addr_i),
    .gnt_o(affine_gnt_o),
    .rvalid_o(affine_rvalid_o),
    .rdata_o(affine_rdata_o),
    .range_o(affine_range)
  );

  shared_mem #(
    .Readers(2),
    .Writers(2),
    .AddrWidth(EntryWidth),
    .Width(128),
    .Depth(T.Sums)
  ) u_sums (
    .clk_i,
    .rst_ni,
    .req_i(sums_req_i),
    .addr_i(sums_addr_i),
    .gnt_o(sums_gnt_o),
    .rvalid_o(sums_rvalid_o),
    .rdata_o(sums_rdata_o),
    .read_range_o(sums_read_range),
    .we_i(sums_we_i),
    .waddr_i(sums_waddr_i),
    .wdata_i(sums_wdata_i),
    .wstrb_i('1),
    .wgnt_o(sums_wgnt_o),
    .write_range_o(sums_write_range)
  );

  // Lanes that were never written read as 0 (docs/isa.md, `pixel`).
  shared_mem #(
    .Readers(3),
    .Writers(2),
    .AddrWidth(AddrWidth),
    .Width(128),
    .Lanes(4),
    .Depth(T.State),
    .ZeroInit(1'b1)
  ) u_state (
    .clk_i,
    .rst_ni,
    .req_i(state_req_i),
    .addr_i(state_addr_i),
    .gnt_o(state_gnt_o),
    .rvalid_o(state_rvalid_o),
    .rdata_o(state_rdata_o),
    .read_range_o(state_read_range),
    .we_i(state_we_i),
    .waddr_i(state_waddr_i),
    .wdata_i(state_wdata_i),
    .wstrb_i(state_wstrb_i),
    .wgnt_o(state_wgnt_o),
    .write_range_o(state_write_range)
  );

  // affine_mem does not say which of its two clients it was
  always_ff @(posedge clk_i) affine_write_q <= affine_we_i && 32'(affine_waddr_i) >= T.Affine;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      range_o <= '0;
    end else begin
      range_o[UnitDma] <= stream_read_range[3] || stream_write_range[2] || weight_write_range[1] || param_write_range
          || state_read_range[2] || state_write_range[1];
      range_o[UnitNorm] <= param_read_range[2] || sums_read_range[1] || (affine_range && affine_write_q);
      range_o[UnitPrep] <= stream_read_range[1] || stream_write_range[1] || operand_write_range[1] || param_read_range[1]
          || sums_write_range[1] || state_read_range[0] || (affine_range && !affine_write_q);
      range_o[UnitArray] <= stream_read_range[0] || stream_write_range[0] || operand_read_range || operand_write_range[0]
          || weight_read_range || weight_write_range[0] || param_read_range[0] || sums_read_range[0] || sums_write_range[0];
      range_o[UnitSample] <= stream_read_range[2] || param_read_range[3] || state_read_range[1] || state_write_range[0];
    end
  end

`ifndef SYNTHESIS
  // mem_1r1w takes two cycles, which is what the array counts on.
  initial assert (OperandLatency == 2 && WeightLatency == 2)
  else $error("%m: latency of the operand or weight memory");
`endif

endmodule
