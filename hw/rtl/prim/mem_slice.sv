// Up to 8 columns of a memory in RAMB36E2 cells: mem_1r1w cuts its words into such slices.
//
// The depth is laid out in pieces of 4096, 2048, 1024 and 512 words, the largest first, and a block RAM has the shape of its piece
// (9, 18, 36 or 72 bits): Columns * Depth / 4096 cells whatever the depth, and a choice between the pieces behind their output
// registers (a LUT a bit up to three pieces, none with one). A slice has the choice's register of its own, which then drives 72 bits.
//
// Reads: the block RAM's latch, then its output register. Port A reads, port B writes. On one clock a read that meets a write of
// its word gives the old word (READ_FIRST); on two it may not meet one (mem_2clk).
module mem_slice #(
  parameter int unsigned Columns = 8,  // 1 to 8, a strobe each
  parameter int unsigned ColumnWidth = 8,  // 8, or 9 with the parity bits
  parameter int unsigned Depth = 512,  // words; those up to the next multiple of 512 exist, too
  parameter bit OneClock = 1'b1,  // both clocks are the same
  localparam int unsigned IndexWidth = Depth > 1 ? $clog2(Depth) : 1,
  localparam int unsigned Width = Columns * ColumnWidth
) (
  input logic                  wclk_i,
  input logic [   Columns-1:0] we_i,
  input logic [IndexWidth-1:0] waddr_i,
  input logic [     Width-1:0] wdata_i,

  input  logic                  rclk_i,
  input  logic                  re_i,
  input  logic [IndexWidth-1:0] raddr_i,
  output logic [     Width-1:0] rdata_o
);

  localparam int unsigned Blocks = (Depth + 511) / 512;  // of 512 words
  localparam int unsigned Whole = Blocks / 8;
  localparam int unsigned Pieces = Whole + (Blocks / 4) % 2 + (Blocks / 2) % 2 + Blocks % 2;

  // 512 words: 0, 1024: 1, 2048: 2, 4096: 3
  function automatic int unsigned piece_size(int unsigned piece);
    int unsigned left, size;
    left = Blocks;
    size = 3;
    for (int unsigned i = 0; i <= piece; i++) begin
      size = left >= 8 ? 3 : left >= 4 ? 2 : left >= 2 ? 1 : 0;
      left = left - (1 << size);
    end
    return size;
  endfunction
  function automatic int unsigned piece_begin(int unsigned piece);
    int unsigned first;
    first = 0;
    for (int unsigned i = 0; i < piece; i++) first = first + (512 << piece_size(i));
    return first;
  endfunction

  logic [14:0] waddr, raddr;  // a bit more than a block RAM has, at least
  assign waddr = 15'(waddr_i);
  assign raddr = 15'(raddr_i);

  logic [Pieces-1:0][Width-1:0] rdata;
  logic [Pieces-1:0] hit;

  for (genvar s = 0; s < Pieces; s++) begin : gen_piece
    localparam int unsigned Size = piece_size(s);
    localparam int unsigned Begin = piece_begin(s);
    localparam int unsigned CellColumns = 8 >> Size;
    localparam int unsigned Cells = (Columns + CellColumns - 1) / CellColumns;
    logic whit;
    logic [14:0] cell_waddr, cell_raddr;

    // pieces begin at multiples of their size
    assign whit = waddr >> (9 + Size) == 15'(Begin >> (9 + Size));
    assign hit[s] = raddr >> (9 + Size) == 15'(Begin >> (9 + Size));
    // the address is aligned to the left of what counts bits; those that are not used are high
    assign cell_waddr = ~(~waddr << (6 - Size));
    assign cell_raddr = ~(~raddr << (6 - Size));

    for (genvar c = 0; c < Cells; c++) begin : gen_cell
      localparam int unsigned First = c * CellColumns;
      localparam int unsigned Used = Columns - First < CellColumns ? Columns - First : CellColumns;
      logic [7:0] we;
      logic [63:0] din;
      logic [7:0] dinp;
      // verilator lint_off UNUSEDSIGNAL
      // A cell's columns may be more than a memory has.
      logic [63:0] dout;
      logic [7:0] doutp;
      // verilator lint_on UNUSEDSIGNAL

      for (genvar k = 0; k < 8; k++) begin : gen_column
        if (k < Used) begin : gen_used
          assign we[k] = we_i[First+k];
          assign din[8*k+:8] = wdata_i[(First+k)*ColumnWidth+:8];
          assign rdata[s][(First+k)*ColumnWidth+:8] = dout[8*k+:8];
          if (ColumnWidth == 9) begin : gen_parity
            assign dinp[k] = wdata_i[(First+k)*ColumnWidth+8];
            assign rdata[s][(First+k)*ColumnWidth+8] = doutp[k];
          end else begin : gen_no_parity
            assign dinp[k] = 1'b0;
          end
        end else begin : gen_unused
          assign we[k] = 1'b0;
          assign din[8*k+:8] = 8'b0;
          assign dinp[k] = 1'b0;
        end
      end

      RAMB36E2 #(
        .CLOCK_DOMAINS(OneClock ? "COMMON" : "INDEPENDENT"),
        .DOA_REG(1),
        .DOB_REG(1),
        .READ_WIDTH_A(9 * CellColumns),
        .READ_WIDTH_B(0),
        .WRITE_WIDTH_A(0),
        .WRITE_WIDTH_B(9 * CellColumns),
        .WRITE_MODE_A(OneClock ? "READ_FIRST" : "NO_CHANGE"),
        .WRITE_MODE_B(OneClock ? "READ_FIRST" : "NO_CHANGE")
      ) u_ram (
        .CLKARDCLK(rclk_i),
        .CLKBWRCLK(wclk_i),
        .ENARDEN(re_i && hit[s]),
        .ADDRARDADDR(cell_raddr),
        .REGCEAREGCE(1'b1),
        .DOUTADOUT(dout[31:0]),
        .DOUTPADOUTP(doutp[3:0]),
        .ENBWREN(whit),
        .ADDRBWRADDR(cell_waddr),
        // 72 bits take port A's inputs for the lower half
        .WEBWE(we),
        .DINADIN(Size == 0 ? din[31:0] : 32'b0),
        .DINPADINP(Size == 0 ? dinp[3:0] : 4'b0),
        .DINBDIN(Size == 0 ? din[63:32] : din[31:0]),
        .DINPBDINP(Size == 0 ? dinp[7:4] : dinp[3:0]),
        .REGCEB(1'b1),
        .DOUTBDOUT(dout[63:32]),
        .DOUTPBDOUTP(doutp[7:4]),
        .ADDRENA(1'b1),
        .ADDRENB(1'b1),
        .WEA(4'b0),
        .RSTRAMARSTRAM(1'b0),
        .RSTRAMB(1'b0),
        .RSTREGARSTREG(1'b0),
        .RSTREGB(1'b0),
        .SLEEP(1'b0),
        .ECCPIPECE(1'b1),
        .INJECTDBITERR(1'b0),
        .INJECTSBITERR(1'b0),
        .CASDIMUXA(1'b0),
        .CASDIMUXB(1'b0),
        .CASDINA(32'b0),
        .CASDINB(32'b0),
        .CASDINPA(4'b0),
        .CASDINPB(4'b0),
        .CASDOMUXA(1'b0),
        .CASDOMUXB(1'b0),
        .CASDOMUXEN_A(1'b1),
        .CASDOMUXEN_B(1'b1),
        .CASOREGIMUXA(1'b0),
        .CASOREGIMUXB(1'b0),
        .CASOREGIMUXEN_A(1'b1),
        .CASOREGIMUXEN_B(1'b1),
        .CASINDBITERR(1'b0),
        .CASINSBITERR(1'b0)
      );
    end
  end

  // The choice goes along with the data, which stay in a latch that is not read.
  if (Pieces > 1) begin : gen_choice
    // the last piece's bits are not needed
    logic [Pieces-2:0] latched_q, chosen_q;
    always_ff @(posedge rclk_i) begin
      if (re_i) latched_q <= hit[Pieces-2:0];
    end
    copies #(
      .Width(Pieces - 1),
      .Copies(1)
    ) u_chosen (
      .clk_i(rclk_i),
      .d_i(latched_q),
      .q_o(chosen_q)
    );
    always_comb begin
      rdata_o = rdata[Pieces-1];
      for (int s = Pieces - 2; s >= 0; s--) begin
        if (chosen_q[s]) rdata_o = rdata[s];
      end
    end
  end else begin : gen_one
    assign rdata_o = rdata[0];
  end

endmodule
