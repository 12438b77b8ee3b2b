// One of two words by a number's lowest bit, which stands in a register for each 32 bits of the word: one would have too many readers.

module conv_pick #(
  parameter int unsigned Width = 64
) (
  input logic clk_i,
  input logic next_i,  // the bit from the next cycle on
  input logic [1:0][Width-1:0] word_i,
  output logic [Width-1:0] word_o
);

  localparam int unsigned Part = 32;
  localparam int unsigned Parts = (Width + Part - 1) / Part;

  logic [Parts-1:0] number_q;
  copies #(
    .Copies(Parts)
  ) u_number (
    .clk_i,
    .d_i(next_i),
    .q_o(number_q)
  );
  always_comb begin
    for (int unsigned b = 0; b < Width; b++) word_o[b] = word_i[number_q[b/Part]][b];
  end

endmodule
