// AMD's RAMB36E2 as UG573 and UG974 describe it, as far as mem_slice uses it: port A reads, port B writes, on one clock with READ_FIRST
// or on two with NO_CHANGE, both output registers, no cascade, no error correction. On two clocks no read may meet a write of its word, and what one that does reads
// is not modelled. For tests; ours, not AMD's.
//
// Data bits lie from 0 on, those of parity beside them, one for each 8: an address names 9, 18, 36 or 72 bits, and is aligned to the left of
// its 15 bits. 72 bits come from and go to both ports' data pins, the lower half at A.

// verilator lint_off UNUSEDSIGNAL
// verilator lint_off UNUSEDPARAM
module RAMB36E2 #(
  parameter CLOCK_DOMAINS = "INDEPENDENT",
  parameter int DOA_REG = 1,
  parameter int DOB_REG = 1,
  parameter int READ_WIDTH_A = 0,
  parameter int READ_WIDTH_B = 0,
  parameter int WRITE_WIDTH_A = 0,
  parameter int WRITE_WIDTH_B = 0,
  parameter WRITE_MODE_A = "NO_CHANGE",
  parameter WRITE_MODE_B = "NO_CHANGE"
) (
  output logic [31:0] DOUTADOUT,
  output logic [31:0] DOUTBDOUT,
  output logic [3:0] DOUTPADOUTP,
  output logic [3:0] DOUTPBDOUTP,
  input logic [14:0] ADDRARDADDR,
  input logic [14:0] ADDRBWRADDR,
  input logic ADDRENA,
  input logic ADDRENB,
  input logic CASDIMUXA,
  input logic CASDIMUXB,
  input logic [31:0] CASDINA,
  input logic [31:0] CASDINB,
  input logic [3:0] CASDINPA,
  input logic [3:0] CASDINPB,
  input logic CASDOMUXA,
  input logic CASDOMUXB,
  input logic CASDOMUXEN_A,
  input logic CASDOMUXEN_B,
  input logic CASINDBITERR,
  input logic CASINSBITERR,
  input logic CASOREGIMUXA,
  input logic CASOREGIMUXB,
  input logic CASOREGIMUXEN_A,
  input logic CASOREGIMUXEN_B,
  input logic CLKARDCLK,
  input logic CLKBWRCLK,
  input logic [31:0] DINADIN,
  input logic [31:0] DINBDIN,
  input logic [3:0] DINPADINP,
  input logic [3:0] DINPBDINP,
  input logic ECCPIPECE,
  input logic ENARDEN,
  input logic ENBWREN,
  input logic INJECTDBITERR,
  input logic INJECTSBITERR,
  input logic REGCEAREGCE,
  input logic REGCEB,
  input logic RSTRAMARSTRAM,
  input logic RSTRAMB,
  input logic RSTREGARSTREG,
  input logic RSTREGB,
  input logic SLEEP,
  input logic [3:0] WEA,
  input logic [7:0] WEBWE
);

  localparam int unsigned ReadBytes = READ_WIDTH_A / 9;
  localparam int unsigned WriteBytes = WRITE_WIDTH_B / 9;

  logic [7:0] data_q[4096];
  logic [4095:0] parity_q;
  logic [63:0] latch_q, out_q;  // of both ports
  logic [7:0] latch_parity_q, out_parity_q;

  initial begin
    data_q = '{default: '0};
    parity_q = '0;
    assert ((READ_WIDTH_A inside {9, 18, 36, 72}) && (WRITE_WIDTH_B inside {9, 18, 36, 72}) && READ_WIDTH_B == 0 && WRITE_WIDTH_A == 0)
    else $error("%m: a use that this model does not have");
    assert (WRITE_MODE_A == (CLOCK_DOMAINS == "COMMON" ? "READ_FIRST" : "NO_CHANGE") && WRITE_MODE_B == WRITE_MODE_A && DOA_REG == 1 && DOB_REG == 1)
    else $error("%m: a use that this model does not have");
  end

  // an address in bytes: its lower bits do not count
  logic [11:0] raddr, waddr;
  assign raddr = ADDRARDADDR[14:3] & ~12'(ReadBytes - 1);
  assign waddr = ADDRBWRADDR[14:3] & ~12'(WriteBytes - 1);

  always_ff @(posedge CLKARDCLK) begin
    if (ENARDEN && ADDRENA && !SLEEP) begin
      for (int unsigned i = 0; i < ReadBytes; i++) begin
        latch_q[8*i+:8] <= data_q[raddr+12'(i)];
        latch_parity_q[i] <= parity_q[raddr+12'(i)];
      end
    end
    if (RSTRAMARSTRAM) {latch_q, latch_parity_q} <= '0;
    if (REGCEAREGCE) {out_q, out_parity_q} <= {latch_q, latch_parity_q};
    if (RSTREGARSTREG) {out_q, out_parity_q} <= '0;
  end
  assign {DOUTBDOUT, DOUTADOUT} = out_q;
  assign {DOUTPBDOUTP, DOUTPADOUTP} = out_parity_q;

  logic [63:0] din;
  logic [7:0] dinp;
  assign din = WriteBytes == 8 ? {DINBDIN, DINADIN} : {32'b0, DINBDIN};
  assign dinp = WriteBytes == 8 ? {DINPBDINP, DINPADINP} : {4'b0, DINPBDINP};

  always_ff @(posedge CLKBWRCLK) begin
    if (ENBWREN && ADDRENB && !SLEEP) begin
      for (int unsigned i = 0; i < WriteBytes; i++) begin
        if (WEBWE[i]) begin
          data_q[waddr+12'(i)] <= din[8*i+:8];
          parity_q[waddr+12'(i)] <= dinp[i];
        end
      end
    end
  end

endmodule
// verilator lint_on UNUSEDPARAM
// verilator lint_on UNUSEDSIGNAL
