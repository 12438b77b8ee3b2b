// Reads the residual of a `conv`, word after word in the order in which pixels drain, as far ahead as it can hold.

module conv_residual
  import diffuser_pkg::*;
  import array_pkg::*;
#(
  parameter int unsigned O = 8,
  parameter int unsigned Depth = 32  // pixels
) (
  input logic clk_i,
  input logic rst_ni,
  input logic unit_rst_ni,  // as in conv_drain
  input logic clear_i,

  input logic stop_i,  // make no new request; what was requested stays until it is granted

  input logic valid_i,  // a descriptor, and all before it have retired; stays until done_o
  output logic done_o,  // pulse: all its reads were granted, or it has none
  // verilator lint_off UNUSEDSIGNAL
  input conv_cfg_t cfg_i,  // each stage uses a part
  // verilator lint_on UNUSEDSIGNAL

  output logic stream_req_o,
  output logic [AddrWidth-1:0] stream_addr_o,
  input logic stream_gnt_i,
  input logic stream_rvalid_i,
  input logic [O-1:0][15:0] stream_rdata_i,

  output logic valid_o,
  input logic ready_i,
  output logic [O-1:0][15:0] data_o
);

  logic run_q, run_addr_q;  // the same twice, since one would have too many readers
  logic run;
  logic [AddrWidth-1:0] base_q, addr_q;
  logic [23:0] left_q;  // pixels of the tile after this one
  logic [7:0] tiles_left_q;
  logic granted, tile_end;
  logic [$clog2(Depth+1)-1:0] room_q;  // places not promised to a read

  logic blocked_q;  // told to stop, and nothing waits for its grant
  assign stream_req_o = run_q && room_q != '0 && !blocked_q;
  always_ff @(posedge clk_i) blocked_q <= stop_i && !(stream_req_o && !stream_gnt_i);
  assign stream_addr_o = addr_q;
  assign granted = stream_req_o && stream_gnt_i;
  assign tile_end = left_q == '0;
  assign done_o = run_q ? granted && tile_end && tiles_left_q == '0 : valid_i && !cfg_i.residual;

  always_comb begin
    run = run_q;
    if (!run_q) run = valid_i && cfg_i.residual;
    else if (granted && tile_end) run = tiles_left_q != '0;
    if (!rst_ni) run = 1'b0;
  end
  copies #(
    .Copies(1)
  ) u_run_addr (
    .clk_i,
    .d_i(run),
    .q_o(run_addr_q)
  );

  always_ff @(posedge clk_i) begin
    run_q <= run;
    if (!run_addr_q) begin
      base_q <= cfg_i.residual_at;
      addr_q <= cfg_i.residual_at;
    end else if (granted) begin
      if (tile_end) begin
        base_q <= base_q + cfg_i.dest_plane;
        addr_q <= base_q + cfg_i.dest_plane;
      end else begin
        addr_q <= addr_q + 1'b1;
      end
    end
    if (!run_q) begin
      left_q <= cfg_i.pixels - 1'b1;
      tiles_left_q <= cfg_i.tiles - 1'b1;
    end else if (granted) begin
      if (tile_end) begin
        left_q <= cfg_i.pixels - 1'b1;
        tiles_left_q <= tiles_left_q - 1'b1;
      end else begin
        left_q <= left_q - 1'b1;
      end
    end
    if (!rst_ni) begin
      room_q <= ($clog2(Depth + 1))'(Depth);
    end else begin
      room_q <= room_q - ($clog2(Depth + 1))'(granted) + ($clog2(Depth + 1))'(valid_o && ready_i);
    end
  end

  logic fifo_ready;
  logic [$clog2(Depth+1)-1:0] fifo_count;
  fifo #(
    .Width(O * 16),
    .Depth(Depth)
  ) u_fifo (
    .clk_i,
    .rst_ni(unit_rst_ni),
    .clear_i,
    .in_valid_i(stream_rvalid_i),
    .in_ready_o(fifo_ready),
    .in_data_i(stream_rdata_i),
    .out_valid_o(valid_o),
    .out_ready_i(ready_i),
    .out_data_o(data_o),
    .count_o(fifo_count)
  );

  logic unused;
  assign unused = ^{fifo_ready, fifo_count};

endmodule
