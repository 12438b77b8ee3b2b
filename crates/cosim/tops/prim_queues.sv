// FIFOs of several depths and a register slice, each with its own input and output.

module prim_queues #(
  localparam int unsigned N = 7,
  localparam int unsigned Width = 12
) (
  input logic clk_i,
  input logic rst_ni,
  input logic clear_i,

  input  logic [N-1:0]            in_valid_i,
  output logic [N-1:0]            in_ready_o,
  input  logic [N-1:0][Width-1:0] in_data_i,
  output logic [N-1:0]            out_valid_o,
  input  logic [N-1:0]            out_ready_i,
  output logic [N-1:0][Width-1:0] out_data_o,
  output logic [N-1:0][7:0]       count_o
);

  for (genvar i = 0; i < N - 1; i++) begin : gen_fifo
    // 1, 2, 3, 4, 7, 16
    localparam int unsigned Depth = i < 4 ? i + 1 : i == 4 ? 7 : 16;
    logic [$clog2(Depth+1)-1:0] count;

    fifo #(
      .Width(Width),
      .Depth(Depth)
    ) u_fifo (
      .clk_i,
      .rst_ni,
      .clear_i,
      .in_valid_i(in_valid_i[i]),
      .in_ready_o(in_ready_o[i]),
      .in_data_i(in_data_i[i]),
      .out_valid_o(out_valid_o[i]),
      .out_ready_i(out_ready_i[i]),
      .out_data_o(out_data_o[i]),
      .count_o(count)
    );
    assign count_o[i] = 8'(count);
  end

  skid #(
    .Width(Width)
  ) u_skid (
    .clk_i,
    .rst_ni,
    .in_valid_i(in_valid_i[N-1]),
    .in_ready_o(in_ready_o[N-1]),
    .in_data_i(in_data_i[N-1]),
    .out_valid_o(out_valid_o[N-1]),
    .out_ready_i(out_ready_i[N-1]),
    .out_data_o(out_data_o[N-1])
  );
  assign count_o[N-1] = '0;

endmodule
