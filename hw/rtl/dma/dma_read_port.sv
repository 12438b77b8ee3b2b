// One AXI4 read port: asks for bursts as long as there is room for all of their data, gathers beats to lines of 64 bytes.
//
// The lines of all ports' FIFOs are the reorder buffer: bursts go to the ports in turn, and are taken out in the same order.
module dma_read_port
  import control_pkg::*;
  import dma_pkg::*;
#(
  parameter int unsigned Lines = 32  // of 64 bytes that can be on their way or wait; a burst has up to 4; distributed RAM
) (
  input logic clk_i,
  input logic rst_ni,
  input logic stop_i,  // ask for nothing, drop what comes

  input  logic req_valid_i,
  output logic req_ready_o,
  input  logic [BeatAddrWidth-1:0] req_address_i,
  input  logic [4:0] req_beats_i,

  output logic line_valid_o,
  input logic line_ready_i,
  output logic [LineBits-1:0] line_o,
  output logic line_last_o,  // of its burst
  output logic line_error_o,

  output logic idle_o,  // nothing is on the bus
  output logic beat_o,

  output logic                    m_axi_arvalid_o,
  input  logic                    m_axi_arready_i,
  output logic [BusAddrWidth-1:0] m_axi_araddr_o,
  output logic [             7:0] m_axi_arlen_o,
  input  logic                    m_axi_rvalid_i,
  output logic                    m_axi_rready_o,
  input  logic [    BeatBits-1:0] m_axi_rdata_i,
  input  logic [             1:0] m_axi_rresp_i,
  input  logic                    m_axi_rlast_i
);

  localparam int unsigned CountWidth = $clog2(Lines + 1);

  logic [CountWidth-1:0] free_q;  // lines not promised
  logic [CountWidth-1:0] bursts_q;  // on their way
  logic accept, pop, ended;
  logic [2:0] need;

  assign req_ready_o = (!m_axi_arvalid_o || m_axi_arready_i) && free_q >= CountWidth'(4) && !stop_i;
  assign accept = req_valid_i && req_ready_o;
  assign need = 3'((req_beats_i + 5'd3) >> 2);
  assign pop = line_valid_o && line_ready_i;
  assign ended = m_axi_rvalid_i && m_axi_rlast_i;
  assign m_axi_rready_o = 1'b1;  // there is a place for all that was asked for
  assign idle_o = bursts_q == '0;

  always_ff @(posedge clk_i) begin
    if (accept) begin
      m_axi_araddr_o <= {req_address_i, 4'd0};
      m_axi_arlen_o  <= {3'd0, req_beats_i} - 8'd1;
    end
    if (!rst_ni) begin
      m_axi_arvalid_o <= 1'b0;
      free_q <= CountWidth'(Lines);
      bursts_q <= '0;
      beat_o <= 1'b0;
    end else begin
      beat_o <= m_axi_rvalid_i;
      if (accept) m_axi_arvalid_o <= 1'b1;
      else if (m_axi_arready_i) m_axi_arvalid_o <= 1'b0;
      if (accept && !ended) bursts_q <= bursts_q + 1'b1;
      else if (!accept && ended) bursts_q <= bursts_q - 1'b1;
      if (stop_i) free_q <= CountWidth'(Lines);
      else free_q <= free_q - (accept ? CountWidth'(need) : '0) + CountWidth'(pop);
    end
  end

  logic [LineBeats-1:0][BeatBits-1:0] line_q;
  logic [1:0] part_q;
  logic error_q, full_q, last_q, unused_ready;
  logic [CountWidth-1:0] unused_count;

  always_ff @(posedge clk_i) begin
    if (m_axi_rvalid_i) begin
      line_q[part_q] <= m_axi_rdata_i;
      last_q <= m_axi_rlast_i;
      error_q <= m_axi_rresp_i[1] || (error_q && part_q != 2'd0);
    end
    if (!rst_ni) begin
      part_q <= '0;
      full_q <= 1'b0;
    end else begin
      full_q <= m_axi_rvalid_i && (part_q == 2'd3 || m_axi_rlast_i) && !stop_i;
      if (m_axi_rvalid_i) part_q <= m_axi_rlast_i ? '0 : part_q + 1'b1;
    end
  end

  fifo #(
    .Width(LineBits + 2),
    .Depth(Lines)
  ) u_lines (
    .clk_i,
    .rst_ni,
    .clear_i(stop_i),
    .in_valid_i(full_q),
    .in_ready_o(unused_ready),
    .in_data_i({last_q, error_q, line_q}),
    .out_valid_o(line_valid_o),
    .out_ready_i(line_ready_i),
    .out_data_o({line_last_o, line_error_o, line_o}),
    .count_o(unused_count)
  );

  logic unused_response;
  assign unused_response = m_axi_rresp_i[0];

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni || stop_i) full_q |-> unused_ready)
  else $error("%m: no place for a line");
  assert property (@(posedge clk_i) disable iff (!rst_ni) m_axi_rvalid_i |-> bursts_q != '0)
  else $error("%m: a beat that was not asked for");
`endif

endmodule
