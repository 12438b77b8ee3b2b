// First in, first out, one clock, valid and ready on both sides.
//
// A word is at the output one cycle after it was taken. `in_ready_o` and `out_valid_o` are made of registers alone, so
// that no path leads from one side to the other; a full FIFO takes a word only in the cycle after one left it.
// Throughput is a word a cycle from Depth 2 on (Depth 1: one in two cycles).
//
// Cost: Depth x Width bits of distributed RAM (32 or 64 deep by 1 bit a LUT), a counter, and 2 pointers for each 112 bits of a word (56 past
// a depth of 32), so that a pointer reaches no more than 8 cells of RAM with their 7 read addresses each. Past a depth of about 128 a
// mem_1r1w of one's own is cheaper.
module fifo #(
  parameter int unsigned Width = 32,
  parameter int unsigned Depth = 4,  // words, at least 1, any number
  parameter int unsigned Clears = 1,  // equal registers of clear_i, each for a part of a wide word's pointers
  localparam int unsigned CountWidth = $clog2(Depth + 1)
) (
  input logic clk_i,
  input logic rst_ni,
  input logic [Clears-1:0] clear_i,  // empty it; a word offered in the same cycle is lost

  input  logic             in_valid_i,
  output logic             in_ready_o,
  input  logic [Width-1:0] in_data_i,

  output logic             out_valid_o,
  input  logic             out_ready_i,
  output logic [Width-1:0] out_data_o,

  output logic [CountWidth-1:0] count_o  // words held
);

  localparam int unsigned IndexWidth = Depth > 1 ? $clog2(Depth) : 1;

  // A cell of distributed RAM holds 32 words of 14 bits or 64 of 7.
`ifdef DIFFUSER_FORMAL
  // proofs look into one chunk; all have the same pointers
  localparam int unsigned ChunkWidth = Width;
`else
  localparam int unsigned ChunkWidth = Depth > 32 ? 56 : 112;
`endif
  localparam int unsigned Chunks = (Width + ChunkWidth - 1) / ChunkWidth;

  logic [CountWidth-1:0] count_q;
  logic full_q, some_q;  // count_q == Depth, count_q != 0
  logic push, pop;

  assign in_ready_o = !full_q;
  assign out_valid_o = some_q;
  assign count_o = count_q;
  assign push = in_valid_i && !full_q;
  assign pop = some_q && out_ready_i;

  function automatic logic [IndexWidth-1:0] next_index(logic [IndexWidth-1:0] index);
    return index == IndexWidth'(Depth - 1) ? '0 : index + 1'b1;
  endfunction

  for (genvar c = 0; c < Chunks; c++) begin : gen_chunk
    localparam int unsigned First = c * ChunkWidth;
    localparam int unsigned Bits = Width - First < ChunkWidth ? Width - First : ChunkWidth;
    logic [Bits-1:0] mem_q[Depth];
    logic [IndexWidth-1:0] head_q, tail_q;  // next to be read, next to be written; equal in all chunks
    assign out_data_o[First+:Bits] = mem_q[head_q];
    always_ff @(posedge clk_i) begin
      if (push) mem_q[tail_q] <= in_data_i[First+:Bits];
    end
    always_ff @(posedge clk_i) begin
      if (!rst_ni || clear_i[c*Clears/Chunks]) begin
        head_q <= '0;
        tail_q <= '0;
      end else begin
        if (push) tail_q <= next_index(tail_q);
        if (pop) head_q <= next_index(head_q);
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i[0]) begin
      count_q <= '0;
      full_q  <= 1'b0;
      some_q  <= 1'b0;
    end else begin
      if (push && !pop) begin
        count_q <= count_q + 1'b1;
        full_q  <= count_q == CountWidth'(Depth - 1);
        some_q  <= 1'b1;
      end else if (pop && !push) begin
        count_q <= count_q - 1'b1;
        full_q  <= 1'b0;
        some_q  <= count_q != CountWidth'(1);
      end
    end
  end

`ifndef SYNTHESIS
  // What is offered stays until it is taken.
  assert property (@(posedge clk_i) disable iff (!rst_ni || clear_i[0])
      out_valid_o && !out_ready_i |=> clear_i[0] || (out_valid_o && $stable(out_data_o)))
  else $error("%m: the output changed before it was taken");
  assert property (@(posedge clk_i) disable iff (!rst_ni) count_q <= CountWidth'(Depth))
  else $error("%m: more words than places");
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      full_q == (count_q == CountWidth'(Depth)) && some_q == (count_q != '0))
  else $error("%m: flags do not follow the count");
`endif

endmodule
