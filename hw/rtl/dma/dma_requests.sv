// Cuts loads into bursts and gives them to the read ports in turn.
//
// A burst ends where the address is a multiple of 256 bytes, so that none crosses 4 KB and all but the first and last of a transfer
// have 16 beats. A burst in two cycles at the most, twice of what four ports take.
module dma_requests
  import dma_pkg::*;
#(
  parameter int unsigned ReadPorts = 4,
  parameter int unsigned Depth = 8  // transfers
) (
  input logic clk_i,
  input logic rst_ni,
  input logic stop_i,  // forget all

  input logic valid_i,  // there is a place
  input logic [BeatAddrWidth-1:0] address_i,
  input logic [BeatsWidth-1:0] beats_i,  // not 0

  output logic [ReadPorts-1:0] req_valid_o,
  input logic [ReadPorts-1:0] req_ready_i,
  output logic [BeatAddrWidth-1:0] req_address_o,
  output logic [4:0] req_beats_o
);

  localparam int unsigned PortWidth = ReadPorts > 1 ? $clog2(ReadPorts) : 1;

  typedef struct packed {
    logic [BeatAddrWidth-1:0] address;
    logic [BeatsWidth-1:0] beats;
  } piece_t;

  piece_t next, now_q;
  logic active, active_q, active_now_q;  // the same twice, since one would have too many readers
  logic next_valid, cut_q, given, unused_ready;
  logic [4:0] room, beats_q;
  logic last_q;
  logic [PortWidth-1:0] port_q;
  logic [$clog2(Depth+1)-1:0] unused_count;

  fifo #(
    .Width($bits(piece_t)),
    .Depth(Depth)
  ) u_jobs (
    .clk_i,
    .rst_ni,
    .clear_i(stop_i),
    .in_valid_i(valid_i),
    .in_ready_o(unused_ready),
    .in_data_i({address_i, beats_i}),
    .out_valid_o(next_valid),
    .out_ready_i(!active_q),
    .out_data_o(next),
    .count_o(unused_count)
  );

  assign room = 5'd16 - {1'b0, now_q.address[3:0]};
  assign req_address_o = now_q.address;
  assign req_beats_o = beats_q;
  for (genvar p = 0; p < ReadPorts; p++) begin : gen_port
    assign req_valid_o[p] = active_q && cut_q && port_q == PortWidth'(p);
  end
  assign given = active_q && cut_q && req_ready_i[port_q];

  always_ff @(posedge clk_i) begin
    if (!active_now_q) begin
      now_q <= next;
    end else if (given) begin
      // a burst that is not the last ends at a multiple of 256 bytes
      now_q.address <= {now_q.address[BeatAddrWidth-1:4] + 1'b1, 4'd0};
      now_q.beats <= now_q.beats - BeatsWidth'(beats_q);
    end
    if (active_q && !cut_q) begin
      last_q  <= now_q.beats <= BeatsWidth'(room);
      beats_q <= now_q.beats <= BeatsWidth'(room) ? now_q.beats[4:0] : room;
    end
  end

  assign active = rst_ni && !stop_i && (active_q ? !(given && last_q) : next_valid);
  copies #(
    .Copies(2)
  ) u_active (
    .clk_i,
    .d_i(active),
    .q_o({active_q, active_now_q})
  );
  always_ff @(posedge clk_i) begin
    if (!rst_ni || stop_i) begin
      cut_q <= 1'b0;
      port_q <= '0;
    end else begin
      cut_q <= active_q && (!cut_q || !given);
      if (given) port_q <= port_q == PortWidth'(ReadPorts - 1) ? '0 : port_q + 1'b1;
    end
  end

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni || stop_i) valid_i |-> unused_ready)
  else $error("%m: no place for a transfer");
`endif

endmodule
