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

  logic run_q;
  logic [AddrWidth-1:0] base_q, addr_q;
  logic [23:0] left_q;  // pixels of the tile after this one
  logic [7:0] tiles_left_q;
  logic granted, tile_end;
  logic [$clog2(Depth+1)-1:0] room_q;  // places not promised to a read

  logic held_q;  // requested and not granted
  assign stream_req_o = run_q && room_q != '0 && (!stop_i || held_q);
  always_ff @(posedge clk_i) held_q <= rst_ni && stream_req_o && !stream_gnt_i;
  assign stream_addr_o = addr_q;
  assign granted = stream_req_o && stream_gnt_i;
  assign tile_end = left_q == '0;
  assign done_o = run_q ? granted && tile_end && tiles_left_q == '0 : valid_i && !cfg_i.residual;

  always_ff @(posedge clk_i) begin
    if (!run_q) begin
      run_q <= valid_i && cfg_i.residual;
      base_q <= cfg_i.residual_at;
      addr_q <= cfg_i.residual_at;
      left_q <= cfg_i.pixels - 1'b1;
      tiles_left_q <= cfg_i.tiles - 1'b1;
    end else if (granted) begin
      if (tile_end) begin
        base_q <= base_q + cfg_i.dest_plane;
        addr_q <= base_q + cfg_i.dest_plane;
        left_q <= cfg_i.pixels - 1'b1;
        tiles_left_q <= tiles_left_q - 1'b1;
        run_q <= tiles_left_q != '0;
      end else begin
        addr_q <= addr_q + 1'b1;
        left_q <= left_q - 1'b1;
      end
    end
    if (!rst_ni) begin
      run_q  <= 1'b0;
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
    .rst_ni,
    .clear_i(1'b0),
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
