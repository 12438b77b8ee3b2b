// Register slice: cuts every path, forward and backward, of a valid and ready pair at full throughput.
//
// One cycle of latency. Cost: two registers of Width bits and a multiplexer; `fifo` with Depth 2 does the same with
// distributed RAM and is smaller, but its output comes out of a RAM, this one's straight from registers.
module skid #(
  parameter int unsigned Width = 32
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic             in_valid_i,
  output logic             in_ready_o,
  input  logic [Width-1:0] in_data_i,

  output logic             out_valid_o,
  input  logic             out_ready_i,
  output logic [Width-1:0] out_data_o
);

  logic [Width-1:0] data_q, spare_q;
  logic valid_q, spare_valid_q;  // the spare is used only behind an output that waits

  assign in_ready_o = !spare_valid_q;
  assign out_valid_o = valid_q;
  assign out_data_o = data_q;

  always_ff @(posedge clk_i) begin
    if (!spare_valid_q) spare_q <= in_data_i;
    if (!valid_q || out_ready_i) data_q <= spare_valid_q ? spare_q : in_data_i;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      valid_q <= 1'b0;
      spare_valid_q <= 1'b0;
    end else if (!valid_q || out_ready_i) begin
      valid_q <= spare_valid_q || in_valid_i;
      spare_valid_q <= 1'b0;
    end else if (in_valid_i) begin
      spare_valid_q <= 1'b1;
    end
  end

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni)
      out_valid_o && !out_ready_i |=> out_valid_o && $stable(out_data_o))
  else $error("%m: the output changed before it was taken");
  assert property (@(posedge clk_i) disable iff (!rst_ni) spare_valid_q |-> valid_q)
  else $error("%m: a spare word without one before it");
`endif

endmodule
