// A register slice against a list of two words.

module skid_proof #(
  localparam int unsigned Width = 2
) (
  input logic clk_i,
  input logic rst_ni,
  input logic in_valid_i,
  input logic [Width-1:0] in_data_i,
  input logic out_ready_i
);

  logic in_ready, out_valid;
  logic [Width-1:0] out_data;

  skid #(
    .Width(Width)
  ) u_skid (
    .clk_i,
    .rst_ni,
    .in_valid_i,
    .in_ready_o(in_ready),
    .in_data_i,
    .out_valid_o(out_valid),
    .out_ready_i,
    .out_data_o(out_data)
  );

  logic [2:0][Width-1:0] list_q, list_d;
  logic [1:0] held_q, held_d;
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
    if (!rst_ni) held_d = '0;
  end

  always_ff @(posedge clk_i) begin
    begun_q <= 1'b1;
    list_q  <= list_d;
    held_q  <= held_d;
    if (!begun_q) begin
      assume (!rst_ni);
    end else begin
      assert (held_q <= 2'd2);
      assert (in_ready == (held_q != 2'd2));
      assert (out_valid == (held_q != '0));
      if (out_valid) assert (out_data == list_q[0]);
`ifdef REACHED
      assert (!(held_q == 2'd2 && list_q[0] == Width'(2) && out_ready_i));
`endif
    end
  end

endmodule
