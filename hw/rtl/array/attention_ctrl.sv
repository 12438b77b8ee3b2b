// Place of the controller of `attention`: ends every descriptor with error `opcode`. Ports as array_unit.sv describes them.

module attention_ctrl
  import diffuser_pkg::*;
  import diffuser_isa_pkg::*;
#(
  parameter int unsigned P = 4,
  parameter int unsigned O = 8,
  parameter int unsigned I = 8
) (
  input logic clk_i,
  input logic rst_ni,

  // queue
  input logic desc_valid_i,
  output logic desc_ready_o,
  input logic [DescriptorBits-1:0] desc_i,
  output logic done_o,
  output logic error_o,
  output error_e error_code_o,
  input logic flush_i,

  // cycle T
  output issue_t issue_o,
  output logic [AddrWidth-1:0] weight_addr_o,
  output logic read_o,
  output logic [AddrWidth-1:0] row_o,
  output logic bypass_o,
  // cycle T + BypassDelay
  output logic [P-1:0][I-1:0][7:0] bypass_operand_o,

  input logic acc_valid_i,
  input logic [P-1:0][O-1:0][31:0] acc_i,

  output logic operand_we_o,
  output logic [AddrWidth-1:0] operand_waddr_o,
  output logic [P-1:0] operand_wstrb_o,
  output logic [P-1:0][I-1:0][7:0] operand_wdata_o,
  input logic operand_wgnt_i,

  output logic param_req_o,
  output logic [EntryWidth-1:0] param_addr_o,
  input logic param_gnt_i,
  input logic param_rvalid_i,
  input logic [63:0] param_rdata_i
);

  logic taken_q;
  always_ff @(posedge clk_i) taken_q <= rst_ni && desc_valid_i && !taken_q;

  assign desc_ready_o = !taken_q;
  assign done_o = taken_q;
  assign error_o = taken_q;
  assign error_code_o = ErrorOpcode;

  assign issue_o = '0;
  assign weight_addr_o = '0;
  assign read_o = 1'b0;
  assign row_o = '0;
  assign bypass_o = 1'b0;
  assign bypass_operand_o = '0;
  assign operand_we_o = 1'b0;
  assign operand_waddr_o = '0;
  assign operand_wstrb_o = '0;
  assign operand_wdata_o = '0;
  assign param_req_o = 1'b0;
  assign param_addr_o = '0;

  logic unused;
  assign unused = ^{desc_i, flush_i, acc_valid_i, acc_i, operand_wgnt_i, param_gnt_i, param_rvalid_i, param_rdata_i};

endmodule
