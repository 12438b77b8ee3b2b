// Affine maps, one entry a channel of a norm: one entry a write, I consecutive entries a read, from any first one.
//
// Entry e lies in bank e mod I, row e div I. A read that begins inside a row takes the banks before its first one from
// the row behind; two stages then turn the banks' order into the entries' order. Entries past the memory's end come
// from its beginning: a last block that is not full reads there and its client ignores them. `range_o` pulses with a
// granted access whose first entry is past the end; such a write is dropped.
//
// Both ports are always granted. Data of a read follows `Latency` (5) cycles after it.
module affine_mem
  import diffuser_pkg::*;
#(
    parameter int unsigned I = 16,
    parameter int unsigned Depth = 1024  // entries, a power of two, at least 2 I
) (
    input logic clk_i,
    input logic rst_ni,

    input  logic                  we_i,
    input  logic [EntryWidth-1:0] waddr_i,
    input  affine_t               wdata_i,
    output logic                  wgnt_o,

    input  logic                  req_i,
    input  logic [EntryWidth-1:0] addr_i,
    output logic                  gnt_o,
    output logic                  rvalid_o,
    output affine_t [I-1:0]       rdata_o,

    output logic range_o
);

  localparam int unsigned Latency = 5;
  localparam int unsigned Rows = Depth / I;
  localparam int unsigned RowWidth = $clog2(Rows);
  localparam int unsigned BankWidth = $clog2(I);
  localparam int unsigned FineWidth = BankWidth / 2;  // of the rotation, in its first stage

  assign wgnt_o = 1'b1;
  assign gnt_o = 1'b1;

  logic [Latency-1:0] valid_q;
  logic w_past, r_past;
  assign w_past = 32'(waddr_i) >= Depth;
  assign r_past = 32'(addr_i) >= Depth;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q <= '0;
      range_o <= 1'b0;
    end else begin
      valid_q <= {valid_q[Latency-2:0], req_i};
      range_o <= (we_i && w_past) || (req_i && r_past);
    end
  end
  assign rvalid_o = valid_q[Latency-1];

  // stage 1: addresses of the banks
  // one for each half of an entry: one would have too many readers
  localparam int unsigned Half = $bits(affine_t) / 2;
  logic [I-1:0][1:0][RowWidth-1:0] row_q;
  logic [BankWidth-1:0] first1_q, first2_q;
  logic [BankWidth-1:FineWidth] first3_q;
  always_ff @(posedge clk_i) begin
    first1_q <= addr_i[BankWidth-1:0];
    first2_q <= first1_q;
    first3_q <= first2_q[BankWidth-1:FineWidth];
  end

  for (genvar k = 0; k < I; k++) begin : gen_row
    copies #(
      .Width(RowWidth),
      .Copies(2)
    ) u_row (
      .clk_i,
      .d_i(addr_i[BankWidth+:RowWidth] + RowWidth'(k < 32'(addr_i[BankWidth-1:0]))),
      .q_o(row_q[k])
    );
  end

  // stages 2 and 3: the banks and their output registers
  affine_t [I-1:0] read_q, bank_q;
  for (genvar k = 0; k < I; k++) begin : gen_bank
    for (genvar h = 0; h < 2; h++) begin : gen_half
      (* ram_style = "distributed" *)
      logic [Half-1:0] mem[Rows];
      always_ff @(posedge clk_i) begin
        if (we_i && !w_past && waddr_i[BankWidth-1:0] == BankWidth'(k)) begin
          mem[waddr_i[BankWidth+:RowWidth]] <= wdata_i[h*Half+:Half];
        end
        read_q[k][h*Half+:Half] <= mem[row_q[k][h]];
      end
    end
    always_ff @(posedge clk_i) bank_q[k] <= read_q[k];
  end

  // stages 4 and 5: lane i takes bank (first + i) mod I
  // amounts for each lane, so that none has too many readers
  affine_t [I-1:0] fine_q;
  logic [I-1:0][FineWidth-1:0] fine;
  logic [I-1:0][BankWidth-1:FineWidth] coarse;
  copies #(
    .Width(FineWidth),
    .Copies(I)
  ) u_fine (
    .clk_i,
    .d_i(first2_q[FineWidth-1:0]),
    .q_o(fine)
  );
  copies #(
    .Width(BankWidth - FineWidth),
    .Copies(I)
  ) u_coarse (
    .clk_i,
    .d_i(first3_q),
    .q_o(coarse)
  );
  always_ff @(posedge clk_i) begin
    for (int unsigned i = 0; i < I; i++) begin
      fine_q[i]  <= bank_q[BankWidth'(i)+BankWidth'(fine[i])];
      rdata_o[i] <= fine_q[BankWidth'(i)+{coarse[i], FineWidth'(0)}];
    end
  end

endmodule
