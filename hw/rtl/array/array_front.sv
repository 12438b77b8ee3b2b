// What stands between the controllers and the multiply-accumulate array: reads of operands and weights, and the crossbar from
// banks to lanes. No handshake: the operand and weight memories always grant, so that a request of cycle T multiplies in cycle
// T + FrontLatency.
//
// An operand may take several cycles, one for each row of a bank that is read twice: requests before the last one have
// `issue_i.valid` low, and each lane keeps what it has until `load_i` or `fill_i` names it again.

module array_front
  import diffuser_pkg::*;
  import array_pkg::*;
#(
  parameter int unsigned P = 4,
  parameter int unsigned O = 8,
  parameter int unsigned I = 8,
  parameter bit Primitive = 1'b0,
  localparam int unsigned BankWidth = $clog2(P)
) (
  input logic clk_i,
  input logic rst_ni,

  // cycle T
  input issue_t issue_i,  // this request completes the operand of an issue
  input logic [AddrWidth-1:0] weight_addr_i,  // with issue_i.valid
  input logic read_i,  // read operand rows
  input logic [P-1:0] bank_en_i,  // from these banks
  input logic [P-1:0][AddrWidth-1:0] row_i,  // row of each bank
  input logic [P-1:0] load_i,  // lane takes what bank_i[lane] reads
  input logic [P-1:0][BankWidth-1:0] bank_i,
  input logic [P-1:0] fill_i,  // lane takes fill_value_i in every byte; not with load_i
  input logic [7:0] fill_value_i,
  input logic bypass_i,  // all lanes take bypass_operand_i
  // cycle T + BypassDelay
  input logic [P-1:0][I-1:0][7:0] bypass_operand_i,

  // operand memory: read port
  output logic operand_req_o,
  output logic [P-1:0] operand_en_o,
  output logic [P-1:0][AddrWidth-1:0] operand_addr_o,
  input logic [P-1:0][I-1:0][7:0] operand_rdata_i,

  // weight memory: read port
  output logic weight_req_o,
  output logic [AddrWidth-1:0] weight_addr_o,
  input logic [O-1:0][I-1:0][7:0] weight_rdata_i,

  // FrontLatency + mac_latency(I) after a request with issue_i.last
  output logic acc_soon_o,  // two cycles before
  output logic acc_valid_o,
  output logic [P-1:0][O-1:0][31:0] acc_o
);

  typedef struct packed {
    logic bypass;
    logic load;
    logic fill;
    logic [BankWidth-1:0] bank;
    logic [7:0] fill_value;
  } route_t;  // of a lane

  assign operand_req_o = read_i;
  assign operand_en_o = bank_en_i;
  assign operand_addr_o = row_i;
  assign weight_req_o = issue_i.valid;
  assign weight_addr_o = weight_addr_i;

  if (OperandLatency != WeightLatency || BypassDelay != OperandLatency || FrontLatency != OperandLatency + 1)
  begin : gen_latency
    $error("array_front is made for equal latencies of the operand and the weight memory");
  end

  // When the data are there, the route stands in a register for each few bytes of a lane: one would have too many readers.
  localparam int unsigned Parts = I / 2;
  issue_t [OperandLatency:0] issue_q;
  route_t [OperandLatency-2:0][P-1:0] route_q;
  route_t [P-1:0][Parts-1:0] arrived;
  always_ff @(posedge clk_i) begin
    issue_q <= {issue_q[OperandLatency-1:0], issue_i};
    for (int unsigned j = 0; j < P; j++) begin
      route_q[0][j] <= '{bypass: bypass_i, load: load_i[j], fill: fill_i[j], bank: bank_i[j], fill_value: fill_value_i};
    end
    for (int unsigned k = 1; k < OperandLatency - 1; k++) route_q[k] <= route_q[k-1];
    if (!rst_ni) begin
      for (int unsigned k = 0; k <= OperandLatency; k++) issue_q[k].valid <= 1'b0;
    end
  end
  for (genvar j = 0; j < P; j++) begin : gen_arrived
    copies #(
      .Width($bits(route_t)),
      .Copies(Parts)
    ) u_arrived (
      .clk_i,
      .d_i(route_q[OperandLatency-2][j]),
      .q_o(arrived[j])
    );
  end

  logic [P-1:0][I-1:0][7:0] operand_q;
  logic [O-1:0][I-1:0][7:0] weight_q;
  always_ff @(posedge clk_i) begin
    weight_q <= weight_rdata_i;
    for (int unsigned j = 0; j < P; j++) begin
      for (int unsigned i = 0; i < I; i++) begin
        automatic route_t of = arrived[j][i*Parts/I];
        if (of.bypass) operand_q[j][i] <= bypass_operand_i[j][i];
        else if (of.fill) operand_q[j][i] <= of.fill_value;
        else if (of.load) operand_q[j][i] <= operand_rdata_i[of.bank][i];
      end
    end
  end

  mac_array #(
    .P(P),
    .O(O),
    .I(I),
    .Primitive(Primitive)
  ) u_mac (
    .clk_i,
    .rst_ni,
    .issue_i(issue_q[OperandLatency]),
    .operand_i(operand_q),
    .weight_i(weight_q),
    .acc_soon_o,
    .acc_valid_o,
    .acc_o
  );

endmodule
