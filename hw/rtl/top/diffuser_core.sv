// The accelerator: control, the five units and the memories. Its surroundings see AXI4-Lite for the registers, an AXI4 read master
// for the program, ReadPorts AXI4 read masters and one write master for `dma`, and an interrupt.
module diffuser_core
  import diffuser_isa_pkg::*;
  import diffuser_pkg::*;
  import control_pkg::*;
#(
  parameter int unsigned Target = 0,  // of target_pkg: 0 small, 1 zu9eg
  parameter bit Primitive = 1'b0,  // DSP48E2 cells rather than their model
  localparam target_pkg::target_t T = target_pkg::target(Target),
  localparam int unsigned ReadPorts = T.ReadPorts
) (
  input logic clk_i,
  input logic rst_ni,
  output logic irq_o,

  input  logic        s_axil_awvalid_i,
  output logic        s_axil_awready_o,
  input  logic [11:0] s_axil_awaddr_i,
  input  logic        s_axil_wvalid_i,
  output logic        s_axil_wready_o,
  input  logic [31:0] s_axil_wdata_i,
  input  logic [ 3:0] s_axil_wstrb_i,
  output logic        s_axil_bvalid_o,
  input  logic        s_axil_bready_i,
  output logic [ 1:0] s_axil_bresp_o,
  input  logic        s_axil_arvalid_i,
  output logic        s_axil_arready_o,
  input  logic [11:0] s_axil_araddr_i,
  output logic        s_axil_rvalid_o,
  input  logic        s_axil_rready_i,
  output logic [31:0] s_axil_rdata_o,
  output logic [ 1:0] s_axil_rresp_o,

  // program
  output logic                    m_axi_program_arvalid_o,
  input  logic                    m_axi_program_arready_i,
  output logic [BusAddrWidth-1:0] m_axi_program_araddr_o,
  output logic [             7:0] m_axi_program_arlen_o,
  output logic [             2:0] m_axi_program_arsize_o,
  output logic [             1:0] m_axi_program_arburst_o,
  output logic [             3:0] m_axi_program_arcache_o,
  output logic [             2:0] m_axi_program_arprot_o,
  input  logic                    m_axi_program_rvalid_i,
  output logic                    m_axi_program_rready_o,
  input  logic [    BeatBits-1:0] m_axi_program_rdata_i,
  input  logic [             1:0] m_axi_program_rresp_i,
  input  logic                    m_axi_program_rlast_i,

  // data: reads
  output logic [ReadPorts-1:0]                   m_axi_arvalid_o,
  input  logic [ReadPorts-1:0]                   m_axi_arready_i,
  output logic [ReadPorts-1:0][BusAddrWidth-1:0] m_axi_araddr_o,
  output logic [ReadPorts-1:0][             7:0] m_axi_arlen_o,
  output logic [ReadPorts-1:0][             2:0] m_axi_arsize_o,
  output logic [ReadPorts-1:0][             1:0] m_axi_arburst_o,
  output logic [ReadPorts-1:0][             3:0] m_axi_arcache_o,
  output logic [ReadPorts-1:0][             2:0] m_axi_arprot_o,
  input  logic [ReadPorts-1:0]                   m_axi_rvalid_i,
  output logic [ReadPorts-1:0]                   m_axi_rready_o,
  input  logic [ReadPorts-1:0][    BeatBits-1:0] m_axi_rdata_i,
  input  logic [ReadPorts-1:0][             1:0] m_axi_rresp_i,
  input  logic [ReadPorts-1:0]                   m_axi_rlast_i,

  // data: writes
  output logic                    m_axi_awvalid_o,
  input  logic                    m_axi_awready_i,
  output logic [BusAddrWidth-1:0] m_axi_awaddr_o,
  output logic [             7:0] m_axi_awlen_o,
  output logic [             2:0] m_axi_awsize_o,
  output logic [             1:0] m_axi_awburst_o,
  output logic [             3:0] m_axi_awcache_o,
  output logic [             2:0] m_axi_awprot_o,
  output logic                    m_axi_wvalid_o,
  input  logic                    m_axi_wready_i,
  output logic [    BeatBits-1:0] m_axi_wdata_o,
  output logic [   BeatBytes-1:0] m_axi_wstrb_o,
  output logic                    m_axi_wlast_o,
  input  logic                    m_axi_bvalid_i,
  output logic                    m_axi_bready_o,
  input  logic [             1:0] m_axi_bresp_i,

  // for traces and lockstep: each unit's retirements; which of control's counters count
  output logic [NumUnits-1:0] retired_o,
  output logic [5:0] counted_o
);

  localparam int unsigned P = T.P;
  localparam int unsigned O = T.O;
  localparam int unsigned I = T.I;

  // ---------------------------------------------------------------- control

  logic [NumUnits-1:0] desc_valid, desc_ready, done, unit_error, range_error;
  logic [NumUnits-1:0][DescriptorBits-1:0] desc;
  logic [NumUnits-1:0][31:0] step;
  error_e [NumUnits-1:0] unit_error_code;
  logic flush;
  settings_t settings;
  logic [AddrWidth-1:0] prep_progress, chain_groups;
  logic array_busy, stall_operand, stall_bank, stall_store;
  logic [2:0] dma_read_beats;

  control #(
    .P(P),
    .O(O),
    .I(I)
  ) u_control (
    .clk_i,
    .rst_ni,
    .s_axil_awvalid_i,
    .s_axil_awready_o,
    .s_axil_awaddr_i,
    .s_axil_wvalid_i,
    .s_axil_wready_o,
    .s_axil_wdata_i,
    .s_axil_wstrb_i,
    .s_axil_bvalid_o,
    .s_axil_bready_i,
    .s_axil_bresp_o,
    .s_axil_arvalid_i,
    .s_axil_arready_o,
    .s_axil_araddr_i,
    .s_axil_rvalid_o,
    .s_axil_rready_i,
    .s_axil_rdata_o,
    .s_axil_rresp_o,
    .irq_o,
    .m_axi_arvalid_o(m_axi_program_arvalid_o),
    .m_axi_arready_i(m_axi_program_arready_i),
    .m_axi_araddr_o(m_axi_program_araddr_o),
    .m_axi_arlen_o(m_axi_program_arlen_o),
    .m_axi_arsize_o(m_axi_program_arsize_o),
    .m_axi_arburst_o(m_axi_program_arburst_o),
    .m_axi_arcache_o(m_axi_program_arcache_o),
    .m_axi_arprot_o(m_axi_program_arprot_o),
    .m_axi_rvalid_i(m_axi_program_rvalid_i),
    .m_axi_rready_o(m_axi_program_rready_o),
    .m_axi_rdata_i(m_axi_program_rdata_i),
    .m_axi_rresp_i(m_axi_program_rresp_i),
    .m_axi_rlast_i(m_axi_program_rlast_i),
    .desc_valid_o(desc_valid),
    .desc_ready_i(desc_ready),
    .desc_o(desc),
    .step_o(step),
    .done_i(done),
    .error_i(unit_error),
    .error_code_i(unit_error_code),
    .range_error_i(range_error),
    .flush_o(flush),
    .settings_o(settings),
    .prep_progress_i(prep_progress),
    .chain_groups_o(chain_groups),
    .array_busy_i(array_busy),
    .stall_operand_i(stall_operand),
    .stall_bank_i(stall_bank),
    .stall_store_i(stall_store),
    .dma_read_beats_i(dma_read_beats),
    .counted_o
  );

  assign retired_o = done;

  // ---------------------------------------------------------------- memories

  // clients, in memory_system's order
  localparam int unsigned StreamArray = 0, StreamPrep = 1, StreamSample = 2, StreamDma = 3;
  localparam int unsigned StreamWriteDma = 2;
  localparam int unsigned OperandArray = 0, OperandPrep = 1;
  localparam int unsigned WeightArray = 0, WeightDma = 1;
  localparam int unsigned ParamArray = 0, ParamPrep = 1, ParamNorm = 2, ParamSample = 3;
  localparam int unsigned SumsArray = 0, SumsNorm = 1, SumsWritePrep = 1;
  localparam int unsigned StatePrep = 0, StateSample = 1, StateDma = 2;
  localparam int unsigned StateWriteSample = 0, StateWriteDma = 1;

  logic [3:0] stream_req, stream_gnt, stream_rvalid;
  logic [3:0][AddrWidth-1:0] stream_addr;
  logic [3:0][O-1:0][15:0] stream_rdata;
  logic [2:0] stream_we, stream_wgnt;
  logic [2:0][AddrWidth-1:0] stream_waddr;
  logic [2:0][O-1:0] stream_wstrb;
  logic [2:0][O-1:0][15:0] stream_wdata;

  logic operand_req;
  logic [P-1:0] operand_en;
  logic [P-1:0][AddrWidth-1:0] operand_addr;
  logic [P-1:0][I-1:0][7:0] operand_rdata;
  logic [1:0] operand_we, operand_wgnt;
  logic [1:0][AddrWidth-1:0] operand_waddr;
  logic [1:0][P-1:0] operand_wstrb;
  logic [1:0][P-1:0][I-1:0][7:0] operand_wdata;

  logic weight_req;
  logic [AddrWidth-1:0] weight_addr;
  logic [O-1:0][I-1:0][7:0] weight_rdata;
  logic [1:0] weight_we, weight_wgnt;
  logic [1:0][AddrWidth-1:0] weight_waddr;
  logic [1:0][O-1:0][I-1:0] weight_wstrb;
  logic [1:0][O-1:0][I-1:0][7:0] weight_wdata;

  logic [3:0] param_req, param_gnt, param_rvalid;
  logic [3:0][EntryWidth-1:0] param_addr;
  logic [63:0] param_rdata, param_wdata;
  logic param_we, param_wgnt;
  logic [EntryWidth-1:0] param_waddr;

  logic affine_req, affine_gnt, affine_rvalid, affine_we, affine_wgnt;
  logic [EntryWidth-1:0] affine_addr, affine_waddr;
  affine_t [I-1:0] affine_rdata;
  affine_t affine_wdata;

  logic [1:0] sums_req, sums_gnt, sums_rvalid, sums_we, sums_wgnt;
  logic [1:0][EntryWidth-1:0] sums_addr, sums_waddr;
  sums_t sums_rdata;
  sums_t [1:0] sums_wdata;

  logic [2:0] state_req, state_gnt, state_rvalid;
  logic [2:0][AddrWidth-1:0] state_addr;
  logic [3:0][31:0] state_rdata;
  logic [1:0] state_we, state_wgnt;
  logic [1:0][AddrWidth-1:0] state_waddr;
  logic [1:0][3:0] state_wstrb;
  logic [1:0][3:0][31:0] state_wdata;

  memory_system #(
    .T(T)
  ) u_memories (
    .clk_i,
    .rst_ni,
    .stream_req_i(stream_req),
    .stream_addr_i(stream_addr),
    .stream_gnt_o(stream_gnt),
    .stream_rvalid_o(stream_rvalid),
    .stream_rdata_o(stream_rdata),
    .stream_we_i(stream_we),
    .stream_waddr_i(stream_waddr),
    .stream_wstrb_i(stream_wstrb),
    .stream_wdata_i(stream_wdata),
    .stream_wgnt_o(stream_wgnt),
    .operand_req_i(operand_req),
    .operand_en_i(operand_en),
    .operand_addr_i(operand_addr),
    .operand_rdata_o(operand_rdata),
    .operand_we_i(operand_we),
    .operand_waddr_i(operand_waddr),
    .operand_wstrb_i(operand_wstrb),
    .operand_wdata_i(operand_wdata),
    .operand_wgnt_o(operand_wgnt),
    .weight_req_i(weight_req),
    .weight_addr_i(weight_addr),
    .weight_rdata_o(weight_rdata),
    .weight_we_i(weight_we),
    .weight_waddr_i(weight_waddr),
    .weight_wstrb_i(weight_wstrb),
    .weight_wdata_i(weight_wdata),
    .weight_wgnt_o(weight_wgnt),
    .param_req_i(param_req),
    .param_addr_i(param_addr),
    .param_gnt_o(param_gnt),
    .param_rvalid_o(param_rvalid),
    .param_rdata_o(param_rdata),
    .param_we_i(param_we),
    .param_waddr_i(param_waddr),
    .param_wdata_i(param_wdata),
    .param_wgnt_o(param_wgnt),
    .affine_req_i(affine_req),
    .affine_addr_i(affine_addr),
    .affine_gnt_o(affine_gnt),
    .affine_rvalid_o(affine_rvalid),
    .affine_rdata_o(affine_rdata),
    .affine_we_i(affine_we),
    .affine_waddr_i(affine_waddr),
    .affine_wdata_i(affine_wdata),
    .affine_wgnt_o(affine_wgnt),
    .sums_req_i(sums_req),
    .sums_addr_i(sums_addr),
    .sums_gnt_o(sums_gnt),
    .sums_rvalid_o(sums_rvalid),
    .sums_rdata_o(sums_rdata),
    .sums_we_i(sums_we),
    .sums_waddr_i(sums_waddr),
    .sums_wdata_i(sums_wdata),
    .sums_wgnt_o(sums_wgnt),
    .state_req_i(state_req),
    .state_addr_i(state_addr),
    .state_gnt_o(state_gnt),
    .state_rvalid_o(state_rvalid),
    .state_rdata_o(state_rdata),
    .state_we_i(state_we),
    .state_waddr_i(state_waddr),
    .state_wstrb_i(state_wstrb),
    .state_wdata_i(state_wdata),
    .state_wgnt_o(state_wgnt),
    .range_o(range_error)
  );

  // ---------------------------------------------------------------- units

  dma_unit #(
    .O(O),
    .I(I),
    .ReadPorts(ReadPorts),
    .WeightDepth(T.Weight),
    .ParamDepth(T.Param),
    .StreamDepth(T.Stream),
    .StateDepth(T.State)
  ) u_dma (
    .clk_i,
    .rst_ni,
    .desc_valid_i(desc_valid[UnitDma]),
    .desc_ready_o(desc_ready[UnitDma]),
    .desc_i(desc[UnitDma]),
    .step_i(step[UnitDma]),
    .done_o(done[UnitDma]),
    .error_o(unit_error[UnitDma]),
    .error_code_o(unit_error_code[UnitDma]),
    .flush_i(flush),
    .data_base_i(settings.data),
    .step_base_i(settings.step_base),
    .step_stride_i(settings.step_stride),
    .steps_i(settings.steps),
    .read_beats_o(dma_read_beats),
    .m_axi_arvalid_o,
    .m_axi_arready_i,
    .m_axi_araddr_o,
    .m_axi_arlen_o,
    .m_axi_arsize_o,
    .m_axi_arburst_o,
    .m_axi_arcache_o,
    .m_axi_arprot_o,
    .m_axi_rvalid_i,
    .m_axi_rready_o,
    .m_axi_rdata_i,
    .m_axi_rresp_i,
    .m_axi_rlast_i,
    .m_axi_awvalid_o,
    .m_axi_awready_i,
    .m_axi_awaddr_o,
    .m_axi_awlen_o,
    .m_axi_awsize_o,
    .m_axi_awburst_o,
    .m_axi_awcache_o,
    .m_axi_awprot_o,
    .m_axi_wvalid_o,
    .m_axi_wready_i,
    .m_axi_wdata_o,
    .m_axi_wstrb_o,
    .m_axi_wlast_o,
    .m_axi_bvalid_i,
    .m_axi_bready_o,
    .m_axi_bresp_i,
    .stream_req_o(stream_req[StreamDma]),
    .stream_addr_o(stream_addr[StreamDma]),
    .stream_gnt_i(stream_gnt[StreamDma]),
    .stream_rvalid_i(stream_rvalid[StreamDma]),
    .stream_rdata_i(stream_rdata[StreamDma]),
    .stream_we_o(stream_we[StreamWriteDma]),
    .stream_waddr_o(stream_waddr[StreamWriteDma]),
    .stream_wstrb_o(stream_wstrb[StreamWriteDma]),
    .stream_wdata_o(stream_wdata[StreamWriteDma]),
    .stream_wgnt_i(stream_wgnt[StreamWriteDma]),
    .weight_we_o(weight_we[WeightDma]),
    .weight_waddr_o(weight_waddr[WeightDma]),
    .weight_wstrb_o(weight_wstrb[WeightDma]),
    .weight_wdata_o(weight_wdata[WeightDma]),
    .weight_wgnt_i(weight_wgnt[WeightDma]),
    .param_we_o(param_we),
    .param_waddr_o(param_waddr),
    .param_wdata_o(param_wdata),
    .param_wgnt_i(param_wgnt),
    .state_req_o(state_req[StateDma]),
    .state_addr_o(state_addr[StateDma]),
    .state_gnt_i(state_gnt[StateDma]),
    .state_rvalid_i(state_rvalid[StateDma]),
    .state_rdata_i(state_rdata),
    .state_we_o(state_we[StateWriteDma]),
    .state_waddr_o(state_waddr[StateWriteDma]),
    .state_wstrb_o(state_wstrb[StateWriteDma]),
    .state_wdata_o(state_wdata[StateWriteDma]),
    .state_wgnt_i(state_wgnt[StateWriteDma])
  );

  norm_unit u_norm (
    .clk_i,
    .rst_ni,
    .desc_valid_i(desc_valid[UnitNorm]),
    .desc_ready_o(desc_ready[UnitNorm]),
    .desc_i(desc[UnitNorm]),
    .done_o(done[UnitNorm]),
    .error_o(unit_error[UnitNorm]),
    .error_code_o(unit_error_code[UnitNorm]),
    .flush_i(flush),
    .param_req_o(param_req[ParamNorm]),
    .param_addr_o(param_addr[ParamNorm]),
    .param_gnt_i(param_gnt[ParamNorm]),
    .param_rvalid_i(param_rvalid[ParamNorm]),
    .param_rdata_i(param_rdata),
    .sums_req_o(sums_req[SumsNorm]),
    .sums_addr_o(sums_addr[SumsNorm]),
    .sums_gnt_i(sums_gnt[SumsNorm]),
    .sums_rvalid_i(sums_rvalid[SumsNorm]),
    .sums_rdata_i(sums_rdata),
    .affine_we_o(affine_we),
    .affine_waddr_o(affine_waddr),
    .affine_wdata_o(affine_wdata),
    .affine_wgnt_i(affine_wgnt)
  );

  prep_unit #(
    .P(P),
    .O(O),
    .I(I)
  ) u_prep (
    .clk_i,
    .rst_ni,
    .desc_valid_i(desc_valid[UnitPrep]),
    .desc_ready_o(desc_ready[UnitPrep]),
    .desc_i(desc[UnitPrep]),
    .done_o(done[UnitPrep]),
    .error_o(unit_error[UnitPrep]),
    .error_code_o(unit_error_code[UnitPrep]),
    .flush_i(flush),
    .progress_o(prep_progress),
    .stream_req_o(stream_req[StreamPrep]),
    .stream_addr_o(stream_addr[StreamPrep]),
    .stream_gnt_i(stream_gnt[StreamPrep]),
    .stream_rvalid_i(stream_rvalid[StreamPrep]),
    .stream_rdata_i(stream_rdata[StreamPrep]),
    .stream_we_o(stream_we[StreamPrep]),
    .stream_waddr_o(stream_waddr[StreamPrep]),
    .stream_wstrb_o(stream_wstrb[StreamPrep]),
    .stream_wdata_o(stream_wdata[StreamPrep]),
    .stream_wgnt_i(stream_wgnt[StreamPrep]),
    .operand_we_o(operand_we[OperandPrep]),
    .operand_waddr_o(operand_waddr[OperandPrep]),
    .operand_wstrb_o(operand_wstrb[OperandPrep]),
    .operand_wdata_o(operand_wdata[OperandPrep]),
    .operand_wgnt_i(operand_wgnt[OperandPrep]),
    .state_req_o(state_req[StatePrep]),
    .state_addr_o(state_addr[StatePrep]),
    .state_gnt_i(state_gnt[StatePrep]),
    .state_rvalid_i(state_rvalid[StatePrep]),
    .state_rdata_i(state_rdata),
    .affine_req_o(affine_req),
    .affine_addr_o(affine_addr),
    .affine_gnt_i(affine_gnt),
    .affine_rvalid_i(affine_rvalid),
    .affine_rdata_i(affine_rdata),
    .param_req_o(param_req[ParamPrep]),
    .param_addr_o(param_addr[ParamPrep]),
    .param_gnt_i(param_gnt[ParamPrep]),
    .param_rvalid_i(param_rvalid[ParamPrep]),
    .param_rdata_i(param_rdata),
    .sums_we_o(sums_we[SumsWritePrep]),
    .sums_waddr_o(sums_waddr[SumsWritePrep]),
    .sums_wdata_o(sums_wdata[SumsWritePrep]),
    .sums_wgnt_i(sums_wgnt[SumsWritePrep])
  );

  array_unit #(
    .P(P),
    .O(O),
    .I(I),
    .MaxKeys(T.Keys),
    .Primitive(Primitive)
  ) u_array (
    .clk_i,
    .rst_ni,
    .desc_valid_i(desc_valid[UnitArray]),
    .desc_ready_o(desc_ready[UnitArray]),
    .desc_i(desc[UnitArray]),
    .done_o(done[UnitArray]),
    .error_o(unit_error[UnitArray]),
    .error_code_o(unit_error_code[UnitArray]),
    .flush_i(flush),
    .chain_groups_i(chain_groups),
    .operand_req_o(operand_req),
    .operand_en_o(operand_en),
    .operand_addr_o(operand_addr),
    .operand_rdata_i(operand_rdata),
    .operand_we_o(operand_we[OperandArray]),
    .operand_waddr_o(operand_waddr[OperandArray]),
    .operand_wstrb_o(operand_wstrb[OperandArray]),
    .operand_wdata_o(operand_wdata[OperandArray]),
    .operand_wgnt_i(operand_wgnt[OperandArray]),
    .weight_req_o(weight_req),
    .weight_addr_o(weight_addr),
    .weight_rdata_i(weight_rdata),
    .weight_we_o(weight_we[WeightArray]),
    .weight_waddr_o(weight_waddr[WeightArray]),
    .weight_wstrb_o(weight_wstrb[WeightArray]),
    .weight_wdata_o(weight_wdata[WeightArray]),
    .weight_wgnt_i(weight_wgnt[WeightArray]),
    .stream_req_o(stream_req[StreamArray]),
    .stream_addr_o(stream_addr[StreamArray]),
    .stream_gnt_i(stream_gnt[StreamArray]),
    .stream_rvalid_i(stream_rvalid[StreamArray]),
    .stream_rdata_i(stream_rdata[StreamArray]),
    .stream_we_o(stream_we[StreamArray]),
    .stream_waddr_o(stream_waddr[StreamArray]),
    .stream_wstrb_o(stream_wstrb[StreamArray]),
    .stream_wdata_o(stream_wdata[StreamArray]),
    .stream_wgnt_i(stream_wgnt[StreamArray]),
    .param_req_o(param_req[ParamArray]),
    .param_addr_o(param_addr[ParamArray]),
    .param_gnt_i(param_gnt[ParamArray]),
    .param_rvalid_i(param_rvalid[ParamArray]),
    .param_rdata_i(param_rdata),
    .sums_req_o(sums_req[SumsArray]),
    .sums_addr_o(sums_addr[SumsArray]),
    .sums_gnt_i(sums_gnt[SumsArray]),
    .sums_rvalid_i(sums_rvalid[SumsArray]),
    .sums_rdata_i(sums_rdata),
    .sums_we_o(sums_we[SumsArray]),
    .sums_waddr_o(sums_waddr[SumsArray]),
    .sums_wdata_o(sums_wdata[SumsArray]),
    .sums_wgnt_i(sums_wgnt[SumsArray]),
    .busy_o(array_busy),
    .stall_operand_o(stall_operand),
    .stall_bank_o(stall_bank),
    .stall_store_o(stall_store)
  );

  sample_unit #(
    .O(O),
    .StateDepth(T.State)
  ) u_sample (
    .clk_i,
    .rst_ni,
    .desc_valid_i(desc_valid[UnitSample]),
    .desc_ready_o(desc_ready[UnitSample]),
    .desc_i(desc[UnitSample]),
    .step_i(step[UnitSample]),
    .done_o(done[UnitSample]),
    .error_o(unit_error[UnitSample]),
    .error_code_o(unit_error_code[UnitSample]),
    .flush_i(flush),
    .seed_i(settings.seed),
    .image_i(settings.image),
    .stream_req_o(stream_req[StreamSample]),
    .stream_addr_o(stream_addr[StreamSample]),
    .stream_gnt_i(stream_gnt[StreamSample]),
    .stream_rvalid_i(stream_rvalid[StreamSample]),
    .stream_rdata_i(stream_rdata[StreamSample]),
    .state_req_o(state_req[StateSample]),
    .state_addr_o(state_addr[StateSample]),
    .state_gnt_i(state_gnt[StateSample]),
    .state_rvalid_i(state_rvalid[StateSample]),
    .state_rdata_i(state_rdata),
    .state_we_o(state_we[StateWriteSample]),
    .state_waddr_o(state_waddr[StateWriteSample]),
    .state_wstrb_o(state_wstrb[StateWriteSample]),
    .state_wdata_o(state_wdata[StateWriteSample]),
    .state_wgnt_i(state_wgnt[StateWriteSample]),
    .param_req_o(param_req[ParamSample]),
    .param_addr_o(param_addr[ParamSample]),
    .param_gnt_i(param_gnt[ParamSample]),
    .param_rvalid_i(param_rvalid[ParamSample]),
    .param_rdata_i(param_rdata)
  );

  // verilator lint_off UNUSEDSIGNAL
  logic unused_settings;  // what only the control unit reads, and the steps of units that have no use for them
  // verilator lint_on UNUSEDSIGNAL
  assign unused_settings = ^{settings, step};

endmodule
