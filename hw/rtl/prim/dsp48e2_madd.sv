// One product and a sum: p_o = a * b + pcin_i or + c_i, three cycles after a_i and b_i, two after c_i; pcin_i is added in the last of them, so
// that a cell further down a cascade takes its factors one cycle later than the one above. Registers are those inside a DSP48E2: A and B, then
// the product and C, then the sum.
//
// With DIFFUSER_DSP48E2 the cell is instantiated, without it this is its model.
module dsp48e2_madd #(
  parameter bit Head = 1'b0,  // first cell of a cascade: pcin_i is not used
  parameter bit AddC = 1'b0  // c_i is added instead
) (
  input  logic               clk_i,
  input  logic signed [26:0] a_i,
  input  logic signed [17:0] b_i,
  input  logic        [47:0] c_i,
  input  logic        [47:0] pcin_i,
  output logic        [47:0] pcout_o,  // to the next cell of the cascade; dedicated wires
  output logic        [47:0] p_o       // to the fabric
);

`ifdef DIFFUSER_DSP48E2
  // OPMODE: X and Y take the product (01, 01), Z is 0, PCIN or C (000, 001, 011), W is 0. INMODE: A2 and B2.
  localparam logic [8:0] OpMode = AddC ? 9'b00_011_01_01 : Head ? 9'b00_000_01_01 : 9'b00_001_01_01;
  DSP48E2 #(
    .AMULTSEL("A"),
    .BMULTSEL("B"),
    .USE_MULT("MULTIPLY"),
    .AREG(1),
    .ACASCREG(1),
    .BREG(1),
    .BCASCREG(1),
    .CREG(AddC),
    .DREG(0),
    .ADREG(0),
    .MREG(1),
    .PREG(1),
    .ALUMODEREG(0),
    .CARRYINREG(0),
    .CARRYINSELREG(0),
    .INMODEREG(0),
    .OPMODEREG(0)
  ) u_dsp (
    .CLK(clk_i),
    .A({{3{a_i[26]}}, a_i}),
    .B(b_i),
    .C(AddC ? c_i : 48'b0),
    .D(27'b0),
    .PCIN(pcin_i),
    .PCOUT(pcout_o),
    .P(p_o),
    .OPMODE(OpMode),
    .ALUMODE(4'b0000),
    .INMODE(5'b00000),
    .CARRYIN(1'b0),
    .CARRYINSEL(3'b000),
    .ACIN(30'b0),
    .BCIN(18'b0),
    .CARRYCASCIN(1'b0),
    .MULTSIGNIN(1'b0),
    .CEA1(1'b0),
    .CEA2(1'b1),
    .CEB1(1'b0),
    .CEB2(1'b1),
    .CEC(AddC),
    .CED(1'b0),
    .CEAD(1'b0),
    .CEM(1'b1),
    .CEP(1'b1),
    .CEALUMODE(1'b0),
    .CECARRYIN(1'b0),
    .CECTRL(1'b0),
    .CEINMODE(1'b0),
    .RSTA(1'b0),
    .RSTB(1'b0),
    .RSTC(1'b0),
    .RSTD(1'b0),
    .RSTM(1'b0),
    .RSTP(1'b0),
    .RSTALLCARRYIN(1'b0),
    .RSTALUMODE(1'b0),
    .RSTCTRL(1'b0),
    .RSTINMODE(1'b0)
  );
`else
  logic signed [26:0] a_q;
  logic signed [17:0] b_q;
  logic signed [44:0] m_q;
  logic [47:0] c_q, sum_q;

  always_ff @(posedge clk_i) begin
    a_q <= a_i;
    b_q <= b_i;
    c_q <= c_i;
    m_q <= 45'(a_q) * 45'(b_q);
    sum_q <= 48'(m_q) + (AddC ? c_q : Head ? 48'b0 : pcin_i);
  end

  assign pcout_o = sum_q;
  assign p_o = sum_q;
`endif

endmodule
