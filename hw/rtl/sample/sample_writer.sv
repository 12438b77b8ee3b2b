// The new state, a channel of a pixel a cycle, in the order of elements.
//
// `room_o` is high while there is room for the result of a further element; `begins_i` takes it.
module sample_writer
  import diffuser_pkg::*;
#(
  parameter int unsigned Results = 64  // more than elements are under way
) (
  input logic clk_i,
  input logic rst_ni,

  input logic                 start_i,
  input logic [AddrWidth-1:0] first_i,
  input logic [         23:0] pixels_i,
  input logic [          2:0] channels_i,  // stable

  input  logic        begins_i,
  output logic        room_o,
  input  logic        valid_i,
  input  logic [31:0] state_i,
  output logic        complete_o,  // all pixels are written
  output logic        none_o,  // no element is under way

  output logic                  we_o,
  output logic [ AddrWidth-1:0] waddr_o,
  output logic [           3:0] wstrb_o,
  output logic [     3:0][31:0] wdata_o,
  input  logic                  wgnt_i
);

  localparam int unsigned CountWidth = $clog2(Results + 1);

  logic ready, written, last_channel;
  logic [31:0] result;
  logic [CountWidth-1:0] owed_q, unused_count;
  logic [AddrWidth-1:0] addr_q;
  logic [1:0] channel_q;
  logic [3:0] strobe_q;
  logic [23:0] left_q;

  fifo #(
    .Width(32),
    .Depth(Results)
  ) u_results (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .in_valid_i(valid_i),
    .in_ready_o(ready),
    .in_data_i(state_i),
    .out_valid_o(we_o),
    .out_ready_i(wgnt_i),
    .out_data_o(result),
    .count_o(unused_count)
  );

  assign waddr_o = addr_q;
  assign wstrb_o = strobe_q;
  assign wdata_o = {4{result}};
  assign written = we_o && wgnt_i;
  assign last_channel = channel_q == 2'(channels_i - 3'd1);

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      addr_q <= first_i;
      left_q <= pixels_i;
      channel_q <= '0;
      strobe_q <= 4'b0001;
    end else if (written) begin
      channel_q <= last_channel ? '0 : channel_q + 1'b1;
      strobe_q  <= last_channel ? 4'b0001 : strobe_q << 1;
      if (last_channel) begin
        addr_q <= addr_q + 1'b1;
        left_q <= left_q - 1'b1;
      end
    end
  end

  // What is written is seen a cycle late, what begins at once.
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      owed_q <= '0;
      room_o <= 1'b1;
      none_o <= 1'b1;
      complete_o <= 1'b0;
    end else begin
      owed_q <= owed_q + CountWidth'(begins_i) - CountWidth'(written);
      room_o <= owed_q < CountWidth'(Results - 1);
      none_o <= owed_q == '0 && !begins_i;
      complete_o <= left_q == '0 && !start_i;
    end
  end

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) valid_i |-> ready)
  else $error("%m: no place for a result");
`else
  logic unused;
  assign unused = ready;
`endif

endmodule
