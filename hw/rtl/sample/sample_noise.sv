// Normal numbers of one image and purpose, in order from number 0: `noise` of crates/model/src/noise.rs.
//
// A number a cycle, the first about 65 cycles after `run_i`: each ring makes a block of 4 in 10 cycles, and they take turns. Up to
// Depth numbers are made ahead.
module sample_noise #(
  parameter int unsigned Rings = 3,
  parameter int unsigned Depth = 32
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

  localparam int unsigned RingWidth = Rings > 1 ? $clog2(Rings) : 1;
  logic [Rings-1:0] block_valid, block_taken;
  logic number_taken, fifo_ready, made, taken_q;
  logic [Rings-1:0][3:0][31:0] block;
  logic [RingWidth-1:0] ring_q, ring;  // whose turn it is
  logic [1:0] word_q, word;
  // the same for 8 bits of a number each: one would have too many readers
  logic [3:0][RingWidth-1:0] ring_part_q;
  logic [3:0][1:0] word_part_q;
  logic [CountWidth-1:0] places_q, fifo_count;
  logic [31:0] uniform_q;
  logic signed [31:0] number;

  for (genvar r = 0; r < Rings; r++) begin : gen_ring
    sample_philox #(
      .First(r),
      .Step(Rings)
    ) u_philox (
      .clk_i,
      .rst_ni,
      .run_i,
      .clear_i,
      .key_i(seed_i),
      .counter_i({purpose_i, image_i}),
      .valid_o(block_valid[r]),
      .ready_i(block_taken[r]),
      .block_o(block[r])
    );
    assign block_taken[r] = number_taken && word_q == 2'd3 && ring_q == RingWidth'(r);
  end

  assign number_taken = block_valid[ring_q] && places_q != '0;
  always_ff @(posedge clk_i) begin
    for (int unsigned k = 0; k < 4; k++) uniform_q[8*k+:8] <= block[ring_part_q[k]][word_part_q[k]][8*k+:8];
  end

  always_comb begin
    ring = ring_q;
    word = word_q + 2'(number_taken);
    if (number_taken && word_q == 2'd3) ring = ring_q == RingWidth'(Rings - 1) ? '0 : ring_q + 1'b1;
    if (!rst_ni || clear_i) {ring, word} = '0;
  end
  for (genvar k = 0; k < 4; k++) begin : gen_part
    copies #(
      .Width(RingWidth + 2),
      .Copies(1)
    ) u_part (
      .clk_i,
      .d_i({ring, word}),
      .q_o({ring_part_q[k], word_part_q[k]})
    );
  end

  always_ff @(posedge clk_i) begin
    ring_q <= ring;
    word_q <= word;
    if (!rst_ni || clear_i) begin
      places_q <= CountWidth'(Depth);
      taken_q  <= 1'b0;
    end else begin
      taken_q <= number_taken;
      places_q <= places_q + CountWidth'(valid_o && ready_i) - CountWidth'(number_taken);
    end
  end

  sample_normal u_normal (
    .clk_i,
    .rst_ni,
    .clear_i,
    .valid_i(taken_q),
    .uniform_i(uniform_q),
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
