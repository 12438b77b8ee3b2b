// The array unit: descriptors `conv` and `attention` on one multiply-accumulate array.
//
// conv_ctrl may hold two descriptors, one that multiplies and one that drains; attention begins when all before it have retired, and
// no conv begins before an attention has.
//
// ---- What a controller sees of the array (attention_ctrl has these ports, named as they are here) ----
//
//   desc_valid_i, desc_ready_o, desc_i, done_o, error_o, error_code_o, flush_i     the queue, as every unit's
//
//   cycle T, a request; nothing stalls it, one a cycle:
//     issue_o        issue_t: valid for a product, first, last, shift
//     weight_addr_o  word of the weight memory, with issue_o.valid
//     read_o, row_o  the operand row `row_o` of all banks, lane j from bank j
//     bypass_o       instead: the operand is what the controller drives on bypass_operand_o ([P][I] bytes) in cycle T + BypassDelay
//   cycle T + FrontLatency + mac_latency(I), where the issue had `last`:
//     acc_valid_i, acc_i ([P][O] of 32 bits)   for this cycle alone: register them
//
//   operand_we_o, operand_waddr_o, operand_wstrb_o [P], operand_wdata_o [P][I] bytes -> operand_wgnt_i
//   param_req_o, param_addr_o -> param_gnt_i, then param_rvalid_i, param_rdata_i
//
// The ports are passed through while the controller has a descriptor: from the cycle after it takes it to that of its done_o, where no
// issue may be under way any more. A controller that takes a descriptor may read all that stands before it: earlier writes were granted.

module array_unit
  import diffuser_pkg::*;
  import diffuser_isa_pkg::*;
#(
  parameter int unsigned P = 4,
  parameter int unsigned O = 8,
  parameter int unsigned I = 8,
  parameter int unsigned MaxKeys = 1024,  // of an attention; see attention_ctrl
  parameter bit Primitive = 1'b0  // DSP48E2 cells rather than their model
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

  // groups of pixels that a chained conv has of its operand. It belongs to the descriptor that was taken last: another
  // is taken only when the one before has read all that it must wait for.
  input logic [AddrWidth-1:0] chain_groups_i,

  // operand memory; reads are always granted
  output logic operand_req_o,
  output logic [P-1:0] operand_en_o,  // banks whose data is used; the others' rows are in range, too
  output logic [P-1:0][AddrWidth-1:0] operand_addr_o,
  input logic [P-1:0][I-1:0][7:0] operand_rdata_i,
  output logic operand_we_o,
  output logic [AddrWidth-1:0] operand_waddr_o,
  output logic [P-1:0] operand_wstrb_o,
  output logic [P-1:0][I-1:0][7:0] operand_wdata_o,
  input logic operand_wgnt_i,

  // weight memory; reads are always granted
  output logic weight_req_o,
  output logic [AddrWidth-1:0] weight_addr_o,
  input logic [O-1:0][I-1:0][7:0] weight_rdata_i,
  output logic weight_we_o,
  output logic [AddrWidth-1:0] weight_waddr_o,
  output logic [O-1:0][I-1:0] weight_wstrb_o,
  output logic [O-1:0][I-1:0][7:0] weight_wdata_o,
  input logic weight_wgnt_i,

  // stream memory
  output logic stream_req_o,
  output logic [AddrWidth-1:0] stream_addr_o,
  input logic stream_gnt_i,
  input logic stream_rvalid_i,
  input logic [O-1:0][15:0] stream_rdata_i,
  output logic stream_we_o,
  output logic [AddrWidth-1:0] stream_waddr_o,
  output logic [O-1:0] stream_wstrb_o,
  output logic [O-1:0][15:0] stream_wdata_o,
  input logic stream_wgnt_i,

  // param memory
  output logic param_req_o,
  output logic [EntryWidth-1:0] param_addr_o,
  input logic param_gnt_i,
  input logic param_rvalid_i,
  input logic [63:0] param_rdata_i,

  // sums memory
  output logic sums_req_o,
  output logic [EntryWidth-1:0] sums_addr_o,
  input logic sums_gnt_i,
  input logic sums_rvalid_i,
  input sums_t sums_rdata_i,
  output logic sums_we_o,
  output logic [EntryWidth-1:0] sums_waddr_o,
  output sums_t sums_wdata_o,
  input logic sums_wgnt_i,

  // for the counters; pulses, a cycle each
  output logic busy_o,  // multiplied
  output logic stall_operand_o,  // waited for a chained prep
  output logic stall_bank_o,  // read a bank once more for the same operand
  output logic stall_store_o  // waited for the drain
);

  // ---- who has the array ----

  logic attention_q;  // attention_ctrl has a descriptor
  // The same a cycle later, which no request notices: for the addresses of each lane, for what they share, for what is written.
  logic [P-1:0] attention_lane_q;
  logic [3:0] attention_late_q;
  logic is_attention, conv_idle;
  logic conv_valid, conv_ready, conv_done, conv_error;
  error_e conv_error_code;
  logic attn_valid, attn_ready, attn_done, attn_error;
  error_e attn_error_code;

  assign is_attention = desc_i[7:0] == OpcodeAttention;
  assign conv_valid = desc_valid_i && !is_attention && !attention_q;
  assign attn_valid = desc_valid_i && is_attention && conv_idle && !attention_q;
  assign desc_ready_o = (conv_valid && conv_ready) || (attn_valid && attn_ready);
  assign done_o = conv_done || attn_done;
  assign error_o = conv_error || attn_error;
  assign error_code_o = attn_error ? attn_error_code : conv_error_code;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) attention_q <= 1'b0;
    else if (attn_valid && attn_ready) attention_q <= 1'b1;
    else if (attn_done) attention_q <= 1'b0;
  end
  copies #(
    .Copies(P + 4)
  ) u_attention_late (
    .clk_i,
    .d_i(attention_q),
    .q_o({attention_lane_q, attention_late_q})
  );

  // ---- conv ----

  issue_t conv_issue;
  logic [AddrWidth-1:0] conv_weight_addr;
  logic conv_read;
  logic [P-1:0] conv_bank_en, conv_load, conv_fill;
  logic [P-1:0][AddrWidth-1:0] conv_row;
  logic [P-1:0][$clog2(P)-1:0] conv_bank;
  logic [7:0] conv_fill_value;
  logic acc_soon, acc_valid;
  logic [P-1:0][O-1:0][31:0] acc;

  logic conv_operand_we;
  logic [AddrWidth-1:0] conv_operand_waddr;
  logic [P-1:0] conv_operand_wstrb;
  logic [P-1:0][I-1:0][7:0] conv_operand_wdata;
  logic conv_param_req;
  logic [EntryWidth-1:0] conv_param_addr;

  conv_ctrl #(
    .P(P),
    .O(O),
    .I(I)
  ) u_conv (
    .clk_i,
    .rst_ni,
    .desc_valid_i(conv_valid),
    .desc_ready_o(conv_ready),
    .desc_i,
    .done_o(conv_done),
    .error_o(conv_error),
    .error_code_o(conv_error_code),
    .flush_i,
    .idle_o(conv_idle),
    .chain_groups_i,
    .issue_o(conv_issue),
    .weight_addr_o(conv_weight_addr),
    .read_o(conv_read),
    .bank_en_o(conv_bank_en),
    .row_o(conv_row),
    .load_o(conv_load),
    .bank_o(conv_bank),
    .fill_o(conv_fill),
    .fill_value_o(conv_fill_value),
    .acc_soon_i(acc_soon),
    .acc_valid_i(acc_valid && !attention_q),
    .acc_i(acc),
    .operand_we_o(conv_operand_we),
    .operand_waddr_o(conv_operand_waddr),
    .operand_wstrb_o(conv_operand_wstrb),
    .operand_wdata_o(conv_operand_wdata),
    .operand_wgnt_i(operand_wgnt_i && !attention_q),
    .weight_we_o,
    .weight_waddr_o,
    .weight_wstrb_o,
    .weight_wdata_o,
    .weight_wgnt_i,
    .stream_req_o,
    .stream_addr_o,
    .stream_gnt_i,
    .stream_rvalid_i,
    .stream_rdata_i,
    .stream_we_o,
    .stream_waddr_o,
    .stream_wstrb_o,
    .stream_wdata_o,
    .stream_wgnt_i,
    .param_req_o(conv_param_req),
    .param_addr_o(conv_param_addr),
    .param_gnt_i(param_gnt_i && !attention_q),
    .param_rvalid_i(param_rvalid_i && !attention_q),
    .param_rdata_i,
    .sums_req_o,
    .sums_addr_o,
    .sums_gnt_i,
    .sums_rvalid_i,
    .sums_rdata_i,
    .sums_we_o,
    .sums_waddr_o,
    .sums_wdata_o,
    .sums_wgnt_i,
    .stall_operand_o,
    .stall_bank_o,
    .stall_store_o
  );

  // ---- attention ----

  issue_t attn_issue;
  logic [AddrWidth-1:0] attn_weight_addr, attn_row;
  logic attn_read, attn_bypass;
  logic [P-1:0][I-1:0][7:0] attn_bypass_operand;
  logic attn_operand_we;
  logic [AddrWidth-1:0] attn_operand_waddr;
  logic [P-1:0] attn_operand_wstrb;
  logic [P-1:0][I-1:0][7:0] attn_operand_wdata;
  logic attn_param_req;
  logic [EntryWidth-1:0] attn_param_addr;

  attention_ctrl #(
    .P(P),
    .O(O),
    .I(I),
    .MaxKeys(MaxKeys)
  ) u_attention (
    .clk_i,
    .rst_ni,
    .desc_valid_i(attn_valid),
    .desc_ready_o(attn_ready),
    .desc_i,
    .done_o(attn_done),
    .error_o(attn_error),
    .error_code_o(attn_error_code),
    .flush_i,
    .issue_o(attn_issue),
    .weight_addr_o(attn_weight_addr),
    .read_o(attn_read),
    .row_o(attn_row),
    .bypass_o(attn_bypass),
    .bypass_operand_o(attn_bypass_operand),
    .acc_valid_i(acc_valid && attention_q),
    .acc_i(acc),
    .operand_we_o(attn_operand_we),
    .operand_waddr_o(attn_operand_waddr),
    .operand_wstrb_o(attn_operand_wstrb),
    .operand_wdata_o(attn_operand_wdata),
    .operand_wgnt_i(operand_wgnt_i && attention_q),
    .param_req_o(attn_param_req),
    .param_addr_o(attn_param_addr),
    .param_gnt_i(param_gnt_i && attention_q),
    .param_rvalid_i(param_rvalid_i && attention_q),
    .param_rdata_i
  );

  // ---- what they share ----

  assign operand_we_o = attention_q ? attn_operand_we : conv_operand_we;
  assign operand_waddr_o = attention_late_q[0] ? attn_operand_waddr : conv_operand_waddr;
  assign operand_wstrb_o = attention_late_q[0] ? attn_operand_wstrb : conv_operand_wstrb;
  for (genvar j = 0; j < P; j++) begin : gen_wdata
    // the banks' data are equal, half of them by each choice
    for (genvar i = 0; i < I; i++) begin : gen_byte
      assign operand_wdata_o[j][i] = attention_late_q[2+2*i/I] ? attn_operand_wdata[j][i] : conv_operand_wdata[j][i];
    end
  end
  assign param_req_o = attention_q ? attn_param_req : conv_param_req;
  assign param_addr_o = attention_late_q[1] ? attn_param_addr : conv_param_addr;

  logic [P-1:0][$clog2(P)-1:0] own_bank;  // lane j from bank j
  always_comb begin
    for (int unsigned j = 0; j < P; j++) own_bank[j] = ($clog2(P))'(j);
  end

  issue_t issue;
  logic [P-1:0][AddrWidth-1:0] row;
  logic [P-1:0] bank_en, load, fill;
  logic [P-1:0][$clog2(P)-1:0] bank;
  always_comb begin
    for (int unsigned j = 0; j < P; j++) begin
      row[j] = attention_lane_q[j] ? attn_row : conv_row[j];
      bank_en[j] = attention_lane_q[j] || conv_bank_en[j];
      load[j] = attention_lane_q[j] ? attn_read : conv_load[j];
      fill[j] = !attention_lane_q[j] && conv_fill[j];
      bank[j] = attention_lane_q[j] ? own_bank[j] : conv_bank[j];
    end
  end
  assign issue = attention_q ? attn_issue : conv_issue;
  assign busy_o = issue.valid;

  array_front #(
    .P(P),
    .O(O),
    .I(I),
    .Primitive(Primitive)
  ) u_front (
    .clk_i,
    .rst_ni,
    .issue_i(issue),
    .weight_addr_i(attention_late_q[1] ? attn_weight_addr : conv_weight_addr),
    .read_i(attention_q ? attn_read : conv_read),
    .bank_en_i(bank_en),
    .row_i(row),
    .load_i(load),
    .bank_i(bank),
    .fill_i(fill),
    .fill_value_i(conv_fill_value),
    .bypass_i(attention_q && attn_bypass),
    .bypass_operand_i(attn_bypass_operand),
    .operand_req_o,
    .operand_en_o,
    .operand_addr_o,
    .operand_rdata_i,
    .weight_req_o,
    .weight_addr_o,
    .weight_rdata_i,
    .acc_soon_o(acc_soon),
    .acc_valid_o(acc_valid),
    .acc_o(acc)
  );

endmodule
