// attention_ctrl with the array it controls.
module attention
  import diffuser_pkg::*;
  import diffuser_isa_pkg::*;
#(
    parameter int unsigned P = 4,
    parameter int unsigned O = 8,
    parameter int unsigned I = 8,
    parameter int unsigned MaxKeys = 128
) (
    input logic clk_i,
    input logic rst_ni,

    input logic desc_valid_i,
    output logic desc_ready_o,
    input logic [DescriptorBits-1:0] desc_i,
    output logic done_o,
    output logic error_o,
    output error_e error_code_o,
    input logic flush_i,
    output logic busy_o,

    output logic operand_req_o,
    output logic [AddrWidth-1:0] operand_addr_o,
    input logic [P-1:0][I-1:0][7:0] operand_rdata_i,
    output logic weight_req_o,
    output logic [AddrWidth-1:0] weight_addr_o,
    input logic [O-1:0][I-1:0][7:0] weight_rdata_i,

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

  issue_t issue;
  logic [AddrWidth-1:0] weight_addr, row;
  logic read, bypass, acc_valid;
  logic [P-1:0][I-1:0][7:0] bypass_operand;
  logic [P-1:0][O-1:0][31:0] acc;
  logic [P-1:0][AddrWidth-1:0] operand_addr;
  logic [P-1:0][$clog2(P)-1:0] own_bank;
  always_comb begin
    for (int unsigned j = 0; j < P; j++) own_bank[j] = ($clog2(P))'(j);
  end
  // all banks are read in one row
  logic [P-1:0] operand_en;
  logic acc_soon, unused;
  assign operand_addr_o = operand_addr[0];
  assign unused = ^{operand_en, operand_addr[P-1:1], acc_soon};
  assign busy_o = issue.valid;

  attention_ctrl #(
      .P(P),
      .O(O),
      .I(I),
      .MaxKeys(MaxKeys)
  ) u_ctrl (
      .issue_o(issue),
      .weight_addr_o(weight_addr),
      .read_o(read),
      .row_o(row),
      .bypass_o(bypass),
      .bypass_operand_o(bypass_operand),
      .acc_valid_i(acc_valid),
      .acc_i(acc),
      .*
  );

  array_front #(
      .P(P),
      .O(O),
      .I(I)
  ) u_front (
      .clk_i,
      .rst_ni,
      .issue_i(issue),
      .weight_addr_i(weight_addr),
      .read_i(read),
      .bank_en_i('1),
      .row_i({P{row}}),
      .load_i({P{read}}),
      .bank_i(own_bank),
      .fill_i('0),
      .fill_value_i('0),
      .bypass_i(bypass),
      .bypass_operand_i(bypass_operand),
      .operand_req_o,
      .operand_en_o(operand_en),
      .operand_addr_o(operand_addr),
      .operand_rdata_i,
      .weight_req_o,
      .weight_addr_o,
      .weight_rdata_i,
      .acc_soon_o(acc_soon),
      .acc_valid_o(acc_valid),
      .acc_o(acc)
  );

endmodule
