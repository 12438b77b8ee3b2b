// The control unit with units that take a descriptor at once and retire it eight cycles later.
module control_tb
  import diffuser_isa_pkg::*;
  import control_pkg::*;
(
  input logic clk,
  input logic rst_n,
  output logic irq,
  output logic [15:0] norms,  // descriptors that `norm` retired

  input  logic        s_axil_awvalid,
  output logic        s_axil_awready,
  input  logic [11:0] s_axil_awaddr,
  input  logic [ 2:0] s_axil_awprot,
  input  logic        s_axil_wvalid,
  output logic        s_axil_wready,
  input  logic [31:0] s_axil_wdata,
  input  logic [ 3:0] s_axil_wstrb,
  output logic        s_axil_bvalid,
  input  logic        s_axil_bready,
  output logic [ 1:0] s_axil_bresp,
  input  logic        s_axil_arvalid,
  output logic        s_axil_arready,
  input  logic [11:0] s_axil_araddr,
  input  logic [ 2:0] s_axil_arprot,
  output logic        s_axil_rvalid,
  input  logic        s_axil_rready,
  output logic [31:0] s_axil_rdata,
  output logic [ 1:0] s_axil_rresp,

  output logic [  7:0] m_axi_arid,
  output logic         m_axi_arvalid,
  input  logic         m_axi_arready,
  output logic [ 39:0] m_axi_araddr,
  output logic [  7:0] m_axi_arlen,
  output logic [  2:0] m_axi_arsize,
  output logic [  1:0] m_axi_arburst,
  output logic [  3:0] m_axi_arcache,
  output logic [  2:0] m_axi_arprot,
  input  logic [  7:0] m_axi_rid,
  input  logic         m_axi_rvalid,
  output logic         m_axi_rready,
  input  logic [127:0] m_axi_rdata,
  input  logic [  1:0] m_axi_rresp,
  input  logic         m_axi_rlast
);

  logic [NumUnits-1:0] valid, ready, done;
  logic [NumUnits-1:0][511:0] desc;
  logic [NumUnits-1:0][31:0] step;
  logic [NumUnits-1:0][3:0] left_q;
  logic flush;
  settings_t settings;
  logic [23:0] chain_groups;

  assign m_axi_arid = '0;

  for (genvar u = 0; u < NumUnits; u++) begin : gen_unit
    assign ready[u] = left_q[u] == '0;
    assign done[u]  = left_q[u] == 4'd1;
    always_ff @(posedge clk) begin
      if (!rst_n) left_q[u] <= '0;
      else if (valid[u] && ready[u]) left_q[u] <= 4'd8;
      else if (left_q[u] != '0) left_q[u] <= left_q[u] - 1'b1;
    end
  end
  always_ff @(posedge clk) begin
    if (!rst_n) norms <= '0;
    else norms <= norms + 16'(done[UnitNorm]);
  end

  control u_control (
    .clk_i(clk),
    .rst_ni(rst_n),
    .s_axil_awvalid_i(s_axil_awvalid),
    .s_axil_awready_o(s_axil_awready),
    .s_axil_awaddr_i(s_axil_awaddr),
    .s_axil_wvalid_i(s_axil_wvalid),
    .s_axil_wready_o(s_axil_wready),
    .s_axil_wdata_i(s_axil_wdata),
    .s_axil_wstrb_i(s_axil_wstrb),
    .s_axil_bvalid_o(s_axil_bvalid),
    .s_axil_bready_i(s_axil_bready),
    .s_axil_bresp_o(s_axil_bresp),
    .s_axil_arvalid_i(s_axil_arvalid),
    .s_axil_arready_o(s_axil_arready),
    .s_axil_araddr_i(s_axil_araddr),
    .s_axil_rvalid_o(s_axil_rvalid),
    .s_axil_rready_i(s_axil_rready),
    .s_axil_rdata_o(s_axil_rdata),
    .s_axil_rresp_o(s_axil_rresp),
    .irq_o(irq),
    .m_axi_arvalid_o(m_axi_arvalid),
    .m_axi_arready_i(m_axi_arready),
    .m_axi_araddr_o(m_axi_araddr),
    .m_axi_arlen_o(m_axi_arlen),
    .m_axi_arsize_o(m_axi_arsize),
    .m_axi_arburst_o(m_axi_arburst),
    .m_axi_arcache_o(m_axi_arcache),
    .m_axi_arprot_o(m_axi_arprot),
    .m_axi_rvalid_i(m_axi_rvalid),
    .m_axi_rready_o(m_axi_rready),
    .m_axi_rdata_i(m_axi_rdata),
    .m_axi_rresp_i(m_axi_rresp),
    .m_axi_rlast_i(m_axi_rlast),
    .desc_valid_o(valid),
    .desc_ready_i(ready),
    .desc_o(desc),
    .step_o(step),
    .done_i(done),
    .error_i('0),
    .error_code_i('0),
    .range_error_i('0),
    .flush_o(flush),
    .settings_o(settings),
    .prep_progress_i('0),
    .chain_groups_o(chain_groups),
    .array_busy_i(1'b0),
    .stall_operand_i(1'b0),
    .stall_bank_i(1'b0),
    .stall_store_i(1'b0),
    .dma_read_beats_i('0)
  );

endmodule
