// Normal numbers of one image and purpose, in order from number 0: `noise` of crates/model/src/noise.rs.
//
// A number each 2.5 cycles at best (a block of 4 each 10), the first about 65 cycles after `run_i`. Up to Depth numbers are made ahead.
module sample_noise #(
  parameter int unsigned Depth = 16
) (
  input logic clk_i,
  input logic rst_ni,

  input logic        run_i,  // what follows is stable while it is high
  input logic        clear_i,
  input logic [63:0] seed_i,
  input logic [63:0] image_i,
  input logic [31:0] purpose_i,

  output logic               valid_o,
  input  logic               ready_i,
  output logic signed [27:0] normal_o  // Q24
);

  localparam int unsigned CountWidth = $clog2(Depth + 1);

  logic block_valid, block_taken, number_taken, fifo_ready, made;
  logic [3:0][31:0] block;
  logic [1:0] word_q;
  logic [CountWidth-1:0] places_q, fifo_count;
  logic signed [31:0] number;

  sample_philox u_philox (
    .clk_i,
    .rst_ni,
    .run_i,
    .clear_i,
    .key_i(seed_i),
    .counter_i({purpose_i, image_i}),
    .valid_o(block_valid),
    .ready_i(block_taken),
    .block_o(block)
  );

  assign number_taken = block_valid && places_q != '0;
  assign block_taken = number_taken && word_q == 2'd3;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      word_q   <= '0;
      places_q <= CountWidth'(Depth);
    end else begin
      word_q   <= word_q + 2'(number_taken);
      places_q <= places_q + CountWidth'(valid_o && ready_i) - CountWidth'(number_taken);
    end
  end

  sample_normal u_normal (
    .clk_i,
    .rst_ni,
    .clear_i,
    .valid_i(number_taken),
    .uniform_i(block[word_q]),
    .valid_o(made),
    .normal_o(number)
  );

  fifo #(
    .Width(28),
    .Depth(Depth)
  ) u_numbers (
    .clk_i,
    .rst_ni,
    .clear_i,
    .in_valid_i(made),
    .in_ready_o(fifo_ready),
    .in_data_i(number[27:0]),
    .out_valid_o(valid_o),
    .out_ready_i(ready_i),
    .out_data_o(normal_o),
    .count_o(fifo_count)
  );

  logic unused;
  assign unused = &{1'b0, fifo_ready, fifo_count, number[31:28]};

endmodule
