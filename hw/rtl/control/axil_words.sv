// Registers that a host writes by bytes and that nothing else changes, behind axil_slave.
module axil_words #(
  parameter int unsigned Words = 1,
  parameter logic [Words-1:0][2:0][31:0] Layout = '0  // of each: offset, value at reset, bits that there are
) (
  input logic clk_i,
  input logic rst_ni,

  input logic        write_i,
  input logic [ 9:0] waddr_i,
  input logic [31:0] wdata_i,
  input logic [ 3:0] wstrb_i,

  output logic [Words-1:0][31:0] words_o
);

  for (genvar w = 0; w < Words; w++) begin : gen_word
    logic [31:0] word_q;
    assign words_o[w] = word_q;
    for (genvar i = 0; i < 4; i++) begin : gen_byte
      always_ff @(posedge clk_i) begin
        if (!rst_ni) word_q[8*i+:8] <= Layout[w][1][8*i+:8];
        else if (write_i && {waddr_i, 2'b00} == Layout[w][2][11:0] && wstrb_i[i]) word_q[8*i+:8] <= wdata_i[8*i+:8] & Layout[w][0][8*i+:8];
      end
    end
  end

endmodule
