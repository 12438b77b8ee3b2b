// A fifo against a list: whatever comes and is taken, in whatever order, the same words in the same order, the same flags.

module fifo_proof #(
  parameter int unsigned Depth = 3,
  localparam int unsigned Width = 2,
  localparam int unsigned CountWidth = $clog2(Depth + 1)
) (
  input logic clk_i,
  input logic rst_ni,
  input logic clear_i,
  input logic in_valid_i,
  input logic [Width-1:0] in_data_i,
  input logic out_ready_i
);

  logic in_ready, out_valid;
  logic [Width-1:0] out_data;
  logic [CountWidth-1:0] count;

  fifo #(
    .Width(Width),
    .Depth(Depth)
  ) u_fifo (
    .clk_i,
    .rst_ni,
    .clear_i,
    .in_valid_i,
    .in_ready_o(in_ready),
    .in_data_i,
    .out_valid_o(out_valid),
    .out_ready_i,
    .out_data_o(out_data),
    .count_o(count)
  );

  // [0] is the oldest word
  logic [Depth:0][Width-1:0] list_q, list_d;
  logic [CountWidth-1:0] held_q, held_d;
  logic begun_q = 1'b0;

  always_comb begin
    list_d = list_q;
    held_d = held_q;
    if (out_valid && out_ready_i) begin
      list_d = list_d >> Width;
      held_d = held_d - 1'b1;
    end
    if (in_valid_i && in_ready) begin
      list_d[held_d] = in_data_i;
      held_d = held_d + 1'b1;
    end
    if (!rst_ni || clear_i) held_d = '0;
  end

  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    list_q  <= list_d;
    held_q  <= held_d;
    if (!begun_q) begin
      assume (!rst_ni);
    end else begin
      assert (count == held_q);
      assert (in_ready == (held_q != CountWidth'(Depth)));
      assert (out_valid == (held_q != '0));
      if (out_valid) assert (out_data == list_q[0]);
`ifdef REACHED
      assert (!(held_q == CountWidth'(Depth) && list_q[0] == Width'(2) && out_ready_i));
`endif
    end
  end

endmodule
