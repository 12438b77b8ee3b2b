// One multiply-accumulate cell of a cascade: p_o = ((p1 << 18) + p0) * w + pcin_i, four cycles after p1_i, p0_i and w_i; pcin_i
// is added in the last of them, so that a cell further down a cascade takes its operands one cycle later than the one above.
// Registers are those inside a DSP48E2: A, D and B1, then the pre-adder and B2, then the product, then the sum.
//
// Primitive = 1 instantiates the DSP48E2 (pre-adder, PCIN to PCOUT, every pipeline register); 0 is the same behaviour in plain
// SystemVerilog, for simulation. Operands are -127..127.

module dsp48e2_mac #(
    parameter bit Primitive = 1'b0,
    parameter bit Head = 1'b0  // first cell of a cascade: pcin_i is not used
) (
    input  logic               clk_i,
    input  logic signed [ 7:0] p1_i,
    input  logic signed [ 7:0] p0_i,
    input  logic signed [ 7:0] w_i,
    input  logic        [47:0] pcin_i,
    output logic        [47:0] pcout_o,  // to the next cell of the cascade; dedicated wires
    output logic        [47:0] p_o       // to the fabric
);

  if (Primitive) begin : gen_primitive
`ifdef DIFFUSER_DSP48E2
    // OPMODE: X and Y take the product (01, 01), Z is 0 or PCIN (000, 001), W is 0. INMODE: A2 and B2, D plus A.
    localparam logic [8:0] OpMode = Head ? 9'b00_000_01_01 : 9'b00_001_01_01;
    DSP48E2 #(
        .AMULTSEL("AD"),
        .BMULTSEL("B"),
        .PREADDINSEL("A"),
        .USE_MULT("MULTIPLY"),
        .AREG(1),
        .ACASCREG(1),
        .BREG(2),
        .BCASCREG(2),
        .CREG(0),
        .DREG(1),
        .ADREG(1),
        .MREG(1),
        .PREG(1),
        .ALUMODEREG(0),
        .CARRYINREG(0),
        .CARRYINSELREG(0),
        .INMODEREG(0),
        .OPMODEREG(0)
    ) u_dsp (
        .CLK(clk_i),
        .A({3'b0, {19{p0_i[7]}}, p0_i}),  // the pre-adder has 27 bits
        .B({{10{w_i[7]}}, w_i}),
        .C(48'b0),
        .D({p1_i[7], p1_i, 18'b0}),
        .PCIN(pcin_i),
        .PCOUT(pcout_o),
        .P(p_o),
        .OPMODE(OpMode),
        .ALUMODE(4'b0000),
        .INMODE(5'b00100),
        .CARRYIN(1'b0),
        .CARRYINSEL(3'b000),
        .ACIN(30'b0),
        .BCIN(18'b0),
        .CARRYCASCIN(1'b0),
        .MULTSIGNIN(1'b0),
        .CEA1(1'b0),
        .CEA2(1'b1),
        .CEB1(1'b1),
        .CEB2(1'b1),
        .CEC(1'b0),
        .CED(1'b1),
        .CEAD(1'b1),
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
    $error("dsp48e2_mac: define DIFFUSER_DSP48E2 where the primitive exists");
`endif
  end else begin : gen_model
    logic signed [7:0] d_q, a_q, b1_q, b2_q;
    logic signed [26:0] ad_q;
    logic signed [34:0] m_q;
    logic [47:0] sum_q;

    always_ff @(posedge clk_i) begin
      d_q <= p1_i;
      a_q <= p0_i;
      b1_q <= w_i;
      b2_q <= b1_q;
      ad_q <= (27'(d_q) <<< 18) + 27'(a_q);
      m_q <= 35'(ad_q) * 35'(b2_q);
      sum_q <= 48'(m_q) + (Head ? 48'b0 : pcin_i);
    end

    assign pcout_o = sum_q;
    assign p_o = sum_q;
  end

endmodule
