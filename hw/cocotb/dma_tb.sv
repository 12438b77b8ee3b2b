// The dma unit with memories of its own, and its AXI ports under the names that cocotbext-axi looks for.
module dma_tb
  import diffuser_isa_pkg::*;
  import diffuser_pkg::*;
  import control_pkg::*;
#(
  localparam int unsigned O = 32,
  localparam int unsigned I = 16,
  localparam int unsigned Words = 256,  // of each memory
  localparam int unsigned ReadPorts = 4
) (
  input logic clk,
  input logic rst_n,

  input  logic         desc_valid,
  output logic         desc_ready,
  input  logic [511:0] desc,
  input  logic [ 31:0] step,
  output logic         done,
  output logic         error,
  output logic [  3:0] error_code,
  input  logic         flush,
  input  logic [ 63:0] data_base,
  input  logic [ 63:0] step_base,
  input  logic [ 31:0] step_stride,
  input  logic [ 31:0] steps,

  // what a word of a memory holds
  input  logic [   7:0] look,
  output logic [4095:0] look_weight,
  output logic [  63:0] look_param,
  output logic [ 511:0] look_stream,
  output logic [ 127:0] look_state,

`define READ_PORT(n) \
  output logic [7:0] m_axi``n``_arid, \
  output logic m_axi``n``_arvalid, \
  input logic m_axi``n``_arready, \
  output logic [39:0] m_axi``n``_araddr, \
  output logic [7:0] m_axi``n``_arlen, \
  output logic [2:0] m_axi``n``_arsize, \
  output logic [1:0] m_axi``n``_arburst, \
  output logic [3:0] m_axi``n``_arcache, \
  output logic [2:0] m_axi``n``_arprot, \
  input logic [7:0] m_axi``n``_rid, \
  input logic m_axi``n``_rvalid, \
  output logic m_axi``n``_rready, \
  input logic [127:0] m_axi``n``_rdata, \
  input logic [1:0] m_axi``n``_rresp, \
  input logic m_axi``n``_rlast,
  `READ_PORT(0)
  `READ_PORT(1)
  `READ_PORT(2)
  `READ_PORT(3)
`undef READ_PORT

  output logic [  7:0] m_axi_awid,
  output logic         m_axi_awvalid,
  input  logic         m_axi_awready,
  output logic [ 39:0] m_axi_awaddr,
  output logic [  7:0] m_axi_awlen,
  output logic [  2:0] m_axi_awsize,
  output logic [  1:0] m_axi_awburst,
  output logic [  3:0] m_axi_awcache,
  output logic [  2:0] m_axi_awprot,
  output logic         m_axi_wvalid,
  input  logic         m_axi_wready,
  output logic [127:0] m_axi_wdata,
  output logic [ 15:0] m_axi_wstrb,
  output logic         m_axi_wlast,
  input  logic [  7:0] m_axi_bid,
  input  logic         m_axi_bvalid,
  output logic         m_axi_bready,
  input  logic [  1:0] m_axi_bresp
);

  logic [ReadPorts-1:0] arvalid, arready, rvalid, rready, rlast;
  logic [ReadPorts-1:0][39:0] araddr;
  logic [ReadPorts-1:0][7:0] arlen;
  logic [ReadPorts-1:0][2:0] arsize, arprot;
  logic [ReadPorts-1:0][1:0] arburst, rresp;
  logic [ReadPorts-1:0][3:0] arcache;
  logic [ReadPorts-1:0][127:0] rdata;

`define READ_PORT(n) \
  assign m_axi``n``_arid = '0; \
  assign m_axi``n``_arvalid = arvalid[n]; \
  assign arready[n] = m_axi``n``_arready; \
  assign m_axi``n``_araddr = araddr[n]; \
  assign m_axi``n``_arlen = arlen[n]; \
  assign m_axi``n``_arsize = arsize[n]; \
  assign m_axi``n``_arburst = arburst[n]; \
  assign m_axi``n``_arcache = arcache[n]; \
  assign m_axi``n``_arprot = arprot[n]; \
  assign rvalid[n] = m_axi``n``_rvalid; \
  assign m_axi``n``_rready = rready[n]; \
  assign rdata[n] = m_axi``n``_rdata; \
  assign rresp[n] = m_axi``n``_rresp; \
  assign rlast[n] = m_axi``n``_rlast;
  `READ_PORT(0)
  `READ_PORT(1)
  `READ_PORT(2)
  `READ_PORT(3)
`undef READ_PORT
  assign m_axi_awid = '0;

  logic [4095:0] weight[Words];
  logic [63:0] param[Words];
  logic [511:0] stream[Words];
  logic [127:0] state[Words];

  logic weight_we, param_we, stream_we, state_we, stream_req, state_req, stream_rvalid, state_rvalid;
  logic [AddrWidth-1:0] weight_waddr, stream_waddr, state_waddr, stream_addr, state_addr;
  logic [EntryWidth-1:0] param_waddr;
  logic [4095:0] weight_wdata;
  logic [511:0] weight_wstrb, stream_wdata, stream_rdata;
  logic [63:0] param_wdata;
  logic [127:0] state_wdata, state_rdata;
  logic [2:0] read_beats;
  logic [O-1:0] stream_wstrb;
  logic [3:0] state_wstrb;

  always_ff @(posedge clk) begin
    for (int i = 0; i < 512; i++) begin
      if (weight_we && weight_wstrb[i]) weight[weight_waddr[7:0]][8*i+:8] <= weight_wdata[8*i+:8];
    end
    if (param_we) param[param_waddr[7:0]] <= param_wdata;
    if (stream_we) stream[stream_waddr[7:0]] <= stream_wdata;
    if (state_we) state[state_waddr[7:0]] <= state_wdata;
    stream_rvalid <= stream_req;
    stream_rdata <= stream[stream_addr[7:0]];
    state_rvalid <= state_req;
    state_rdata <= state[state_addr[7:0]];
  end
  assign look_weight = weight[look];
  assign look_param = param[look];
  assign look_stream = stream[look];
  assign look_state = state[look];

  error_e code;
  assign error_code = code;

  dma_unit #(
    .O(O),
    .I(I),
    .ReadPorts(ReadPorts),
    .WeightDepth(Words),
    .ParamDepth(Words),
    .StreamDepth(Words),
    .StateDepth(Words)
  ) u_dma (
    .clk_i(clk),
    .rst_ni(rst_n),
    .desc_valid_i(desc_valid),
    .desc_ready_o(desc_ready),
    .desc_i(desc),
    .step_i(step),
    .done_o(done),
    .error_o(error),
    .error_code_o(code),
    .flush_i(flush),
    .data_base_i(data_base),
    .step_base_i(step_base),
    .step_stride_i(step_stride),
    .steps_i(steps),
    .read_beats_o(read_beats),
    .m_axi_arvalid_o(arvalid),
    .m_axi_arready_i(arready),
    .m_axi_araddr_o(araddr),
    .m_axi_arlen_o(arlen),
    .m_axi_arsize_o(arsize),
    .m_axi_arburst_o(arburst),
    .m_axi_arcache_o(arcache),
    .m_axi_arprot_o(arprot),
    .m_axi_rvalid_i(rvalid),
    .m_axi_rready_o(rready),
    .m_axi_rdata_i(rdata),
    .m_axi_rresp_i(rresp),
    .m_axi_rlast_i(rlast),
    .m_axi_awvalid_o(m_axi_awvalid),
    .m_axi_awready_i(m_axi_awready),
    .m_axi_awaddr_o(m_axi_awaddr),
    .m_axi_awlen_o(m_axi_awlen),
    .m_axi_awsize_o(m_axi_awsize),
    .m_axi_awburst_o(m_axi_awburst),
    .m_axi_awcache_o(m_axi_awcache),
    .m_axi_awprot_o(m_axi_awprot),
    .m_axi_wvalid_o(m_axi_wvalid),
    .m_axi_wready_i(m_axi_wready),
    .m_axi_wdata_o(m_axi_wdata),
    .m_axi_wstrb_o(m_axi_wstrb),
    .m_axi_wlast_o(m_axi_wlast),
    .m_axi_bvalid_i(m_axi_bvalid),
    .m_axi_bready_o(m_axi_bready),
    .m_axi_bresp_i(m_axi_bresp),
    .weight_we_o(weight_we),
    .weight_waddr_o(weight_waddr),
    .weight_wdata_o(weight_wdata),
    .weight_wstrb_o(weight_wstrb),
    .weight_wgnt_i(1'b1),
    .param_we_o(param_we),
    .param_waddr_o(param_waddr),
    .param_wdata_o(param_wdata),
    .param_wgnt_i(1'b1),
    .stream_we_o(stream_we),
    .stream_waddr_o(stream_waddr),
    .stream_wstrb_o(stream_wstrb),
    .stream_wdata_o(stream_wdata),
    .stream_wgnt_i(1'b1),
    .stream_req_o(stream_req),
    .stream_addr_o(stream_addr),
    .stream_gnt_i(1'b1),
    .stream_rvalid_i(stream_rvalid),
    .stream_rdata_i(stream_rdata),
    .state_we_o(state_we),
    .state_waddr_o(state_waddr),
    .state_wstrb_o(state_wstrb),
    .state_wdata_o(state_wdata),
    .state_wgnt_i(1'b1),
    .state_req_o(state_req),
    .state_addr_o(state_addr),
    .state_gnt_i(1'b1),
    .state_rvalid_i(state_rvalid),
    .state_rdata_i(state_rdata)
  );

endmodule
