// The stream memory: shared_mem's promises, with up to Banks reads and Banks writes a cycle.
//
// Word w lies in bank `w mod Banks`, since every client walks through consecutive words: two clients that meet in a bank
// are apart from the next cycle on. Data come 4 cycles after the grant: arbiter, block RAM (2), and a register behind the choice of the bank,
// which each reader has of its own.
module stream_mem #(
  parameter int unsigned Readers = 4,
  parameter int unsigned Writers = 3,
  parameter int unsigned AddrWidth = 24,
  parameter int unsigned Lanes = 8,  // of 16 bits, a strobe each
  parameter int unsigned Depth = 1024,  // a multiple of Banks
  parameter int unsigned Banks = 4  // a power of two, at least 2
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic [Readers-1:0]                  req_i,
  input  logic [Readers-1:0][AddrWidth-1:0]   addr_i,
  output logic [Readers-1:0]                  gnt_o,
  output logic [Readers-1:0]                  rvalid_o,
  output logic [Readers-1:0][Lanes-1:0][15:0] rdata_o,
  output logic [Readers-1:0]                  read_range_o,

  input  logic [Writers-1:0]                  we_i,
  input  logic [Writers-1:0][AddrWidth-1:0]   waddr_i,
  input  logic [Writers-1:0][Lanes-1:0][15:0] wdata_i,
  input  logic [Writers-1:0][Lanes-1:0]       wstrb_i,
  output logic [Writers-1:0]                  wgnt_o,
  output logic [Writers-1:0]                  write_range_o
);

  localparam int unsigned BankBits = $clog2(Banks);
  localparam int unsigned RowWidth = AddrWidth - BankBits;
  localparam int unsigned Width = 16 * Lanes;

  // whose a bank's data are, for each two lanes, so that none has too many readers
  localparam int unsigned Parts = Lanes > 1 ? Lanes / 2 : 1;
  logic [Banks-1:0][Readers-1:0] bank_req, bank_gnt, bank_rvalid, bank_read_range;
  logic [Banks-1:0][Readers-1:0][Parts-1:0] bank_part_q;
  logic [Banks-1:0][Width-1:0] bank_rdata;
  logic [Banks-1:0][Writers-1:0] bank_we, bank_wgnt, bank_write_range;
  logic [Readers-1:0][RowWidth-1:0] row;
  logic [Writers-1:0][RowWidth-1:0] wrow;

  for (genvar r = 0; r < Readers; r++) begin : gen_row
    assign row[r] = addr_i[r][AddrWidth-1:BankBits];
  end
  for (genvar w = 0; w < Writers; w++) begin : gen_wrow
    assign wrow[w] = waddr_i[w][AddrWidth-1:BankBits];
  end

  for (genvar b = 0; b < Banks; b++) begin : gen_bank
    for (genvar r = 0; r < Readers; r++) begin : gen_req
      assign bank_req[b][r] = req_i[r] && addr_i[r][BankBits-1:0] == BankBits'(b);
    end
    for (genvar w = 0; w < Writers; w++) begin : gen_we
      assign bank_we[b][w] = we_i[w] && waddr_i[w][BankBits-1:0] == BankBits'(b);
    end

    shared_mem #(
      .Readers(Readers),
      .Writers(Writers),
      .AddrWidth(RowWidth),
      .Width(Width),
      .Lanes(Lanes),
      .Depth(Depth / Banks),
      .Addresses(2)
    ) u_bank (
      .clk_i,
      .rst_ni,
      .req_i(bank_req[b]),
      .addr_i(row),
      .gnt_o(bank_gnt[b]),
      .rvalid_o(bank_rvalid[b]),
      .rdata_o(bank_rdata[b]),
      .read_range_o(bank_read_range[b]),
      .we_i(bank_we[b]),
      .waddr_i(wrow),
      .wdata_i(wdata_i),
      .wstrb_i(wstrb_i),
      .wgnt_o(bank_wgnt[b]),
      .write_range_o(bank_write_range[b])
    );
  end

  // data come 3 cycles after a bank's grant
  logic [Banks-1:0][Readers-1:0] granted1_q, granted2_q;
  always_ff @(posedge clk_i) begin
    granted1_q <= bank_gnt;
    granted2_q <= granted1_q;
  end
  for (genvar b = 0; b < Banks; b++) begin : gen_part
    for (genvar r = 0; r < Readers; r++) begin : gen_reader
      copies #(
        .Copies(Parts)
      ) u_part (
        .clk_i,
        .d_i(granted2_q[b][r]),
        .q_o(bank_part_q[b][r])
      );
    end
  end

  always_comb begin
    gnt_o = '0;
    read_range_o = '0;
    wgnt_o = '0;
    write_range_o = '0;
    for (int unsigned b = 0; b < Banks; b++) begin
      gnt_o |= bank_gnt[b];
      read_range_o |= bank_read_range[b];
      wgnt_o |= bank_wgnt[b];
      write_range_o |= bank_write_range[b];
    end
  end

  logic [Readers-1:0] rvalid_d;
  logic [Readers-1:0][Width-1:0] rdata_d;

  always_comb begin
    rvalid_d = '0;
    rdata_d = '0;
    for (int unsigned b = 0; b < Banks; b++) begin
      rvalid_d |= bank_rvalid[b];
      for (int unsigned r = 0; r < Readers; r++) begin
        for (int unsigned l = 0; l < Lanes; l++) rdata_d[r][16*l+:16] |= bank_rdata[b][16*l+:16] & {16{bank_part_q[b][r][l*Parts/Lanes]}};
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) rvalid_o <= '0;
    else rvalid_o <= rvalid_d;
    rdata_o <= rdata_d;
  end

`ifndef SYNTHESIS
  initial assert (Depth % Banks == 0 && Banks >= 2 && 2 ** BankBits == Banks)
  else $error("%m: Banks is a power of two that divides Depth");
`endif

endmodule
