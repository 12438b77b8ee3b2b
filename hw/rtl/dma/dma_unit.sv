// The unit `dma`: loads and stores between DDR and the on-chip memories.
//
//   queue -> dma_setup -> dma_requests -> dma_read_port x ReadPorts -> dma_scatter -> memories
//                     \-> dma_gather <- memories
//                      \-> dma_write_port <- dma_gather
//
// Several descriptors are under way: bursts of the next load are asked for while data of the last still come, and a store runs beside
// the loads. They retire in order. Four read ports of 16 bytes a cycle give 64 together.
//
// Flushed, it asks for nothing more, lets the bus come to rest, and retires what it holds.
module dma_unit
  import diffuser_isa_pkg::*;
  import diffuser_pkg::*;
  import control_pkg::*;
  import dma_pkg::*;
#(
  parameter int unsigned O = 32,
  parameter int unsigned I = 16,
  parameter int unsigned ReadPorts = 4,  // AXI4 read ports: 1, 2 or 4
  parameter int unsigned PortLines = 32,  // read-ahead of each in lines of 64 bytes, distributed RAM; 32 bear 128 cycles of latency
  parameter int unsigned MaxInFlight = 8,  // descriptors taken and not retired
  // words of the memories: a transfer that leaves them is error `field`, and nothing of it is moved
  parameter int unsigned WeightDepth = 1 << 24,
  parameter int unsigned ParamDepth = 1 << 16,
  parameter int unsigned StreamDepth = 1 << 24,
  parameter int unsigned StateDepth = 1 << 24
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic         desc_valid_i,
  output logic         desc_ready_o,
  input  logic [511:0] desc_i,
  input  logic [ 31:0] step_i,
  output logic         done_o,
  output logic         error_o,
  output error_e       error_code_o,
  input  logic         flush_i,

  // registers
  input logic [63:0] data_base_i,
  input logic [63:0] step_base_i,
  input logic [31:0] step_stride_i,
  input logic [31:0] steps_i,

  output logic [2:0] read_beats_o,  // beats that came, for the count of bytes

  // AXI4 read ports, 16 bytes a beat, INCR, one ID
  output logic [ReadPorts-1:0]                   m_axi_arvalid_o,
  input  logic [ReadPorts-1:0]                   m_axi_arready_i,
  output logic [ReadPorts-1:0][BusAddrWidth-1:0] m_axi_araddr_o,
  output logic [ReadPorts-1:0][             7:0] m_axi_arlen_o,
  output logic [ReadPorts-1:0][             2:0] m_axi_arsize_o,
  output logic [ReadPorts-1:0][             1:0] m_axi_arburst_o,
  output logic [ReadPorts-1:0][             3:0] m_axi_arcache_o,
  output logic [ReadPorts-1:0][             2:0] m_axi_arprot_o,
  input  logic [ReadPorts-1:0]                   m_axi_rvalid_i,
  output logic [ReadPorts-1:0]                   m_axi_rready_o,
  input  logic [ReadPorts-1:0][    BeatBits-1:0] m_axi_rdata_i,
  input  logic [ReadPorts-1:0][             1:0] m_axi_rresp_i,
  input  logic [ReadPorts-1:0]                   m_axi_rlast_i,

  // AXI4 write port
  output logic                    m_axi_awvalid_o,
  input  logic                    m_axi_awready_i,
  output logic [BusAddrWidth-1:0] m_axi_awaddr_o,
  output logic [             7:0] m_axi_awlen_o,
  output logic [             2:0] m_axi_awsize_o,
  output logic [             1:0] m_axi_awburst_o,
  output logic [             3:0] m_axi_awcache_o,
  output logic [             2:0] m_axi_awprot_o,
  output logic                    m_axi_wvalid_o,
  input  logic                    m_axi_wready_i,
  output logic [    BeatBits-1:0] m_axi_wdata_o,
  output logic [   BeatBytes-1:0] m_axi_wstrb_o,
  output logic                    m_axi_wlast_o,
  input  logic                    m_axi_bvalid_i,
  output logic                    m_axi_bready_o,
  input  logic [             1:0] m_axi_bresp_i,

  // weight memory: any part of a word, by strobes
  output logic                 weight_we_o,
  output logic [AddrWidth-1:0] weight_waddr_o,
  output logic [O*I-1:0][7:0]  weight_wdata_o,
  output logic [O*I-1:0]       weight_wstrb_o,
  input  logic                 weight_wgnt_i,

  output logic                  param_we_o,
  output logic [EntryWidth-1:0] param_waddr_o,
  output logic [63:0]           param_wdata_o,
  input  logic                  param_wgnt_i,

  output logic                 stream_we_o,
  output logic [AddrWidth-1:0] stream_waddr_o,
  output logic [O-1:0]         stream_wstrb_o,
  output logic [O-1:0][15:0]   stream_wdata_o,
  input  logic                 stream_wgnt_i,
  output logic                 stream_req_o,
  output logic [AddrWidth-1:0] stream_addr_o,
  input  logic                 stream_gnt_i,
  input  logic                 stream_rvalid_i,
  input  logic [O-1:0][15:0]   stream_rdata_i,

  output logic                 state_we_o,
  output logic [AddrWidth-1:0] state_waddr_o,
  output logic [3:0]           state_wstrb_o,
  output logic [3:0][31:0]     state_wdata_o,
  input  logic                 state_wgnt_i,
  output logic                 state_req_o,
  output logic [AddrWidth-1:0] state_addr_o,
  input  logic                 state_gnt_i,
  input  logic                 state_rvalid_i,
  input  logic [3:0][31:0]     state_rdata_i
);

  assign m_axi_arsize_o = {ReadPorts{3'd4}};
  assign m_axi_arburst_o = {ReadPorts{2'b01}};
  assign m_axi_arcache_o = {ReadPorts{4'b0011}};  // normal memory, not cached
  assign m_axi_arprot_o = '0;
  assign m_axi_awsize_o = 3'd4;
  assign m_axi_awburst_o = 2'b01;
  assign m_axi_awcache_o = 4'b0011;
  assign m_axi_awprot_o = '0;
  assign stream_wstrb_o = '1;
  assign state_wstrb_o = '1;

  // ---------------------------------------------------------------- in order

  logic [ReadPorts+1:0] stop_all_q;  // for each read port, for stores, for all else: one would have too many readers
  logic stop, stop_q, at_rest_q, room, taken, setup_ready;
  logic kind_valid, kind_store, retire, retire_q;
  logic load_valid, store_valid, load_done, store_done;
  error_e load_code, store_code;
  logic [3:0] load_result, store_result;
  logic [$clog2(MaxInFlight+1)-1:0] in_flight, unused_loads, unused_stores;
  logic [1:0] unused_ready;
  logic desc_store;

  assign desc_ready_o = setup_ready && room && !flush_i;
  assign taken = desc_valid_i && desc_ready_o;
  assign desc_store = desc_i[7:0] == OpcodeStore;

  fifo #(
    .Width(1),
    .Depth(MaxInFlight)
  ) u_kinds (
    .clk_i, .rst_ni,
    .clear_i(1'b0),
    .in_valid_i(taken),
    .in_ready_o(room),
    .in_data_i(desc_store),
    .out_valid_o(kind_valid),
    .out_ready_i(retire_q),
    .out_data_o(kind_store),
    .count_o(in_flight)
  );
  fifo #(
    .Width(4),
    .Depth(MaxInFlight)
  ) u_loads (
    .clk_i, .rst_ni,
    .clear_i(stop_q),
    .in_valid_i(load_done),
    .in_ready_o(unused_ready[0]),
    .in_data_i(load_code),
    .out_valid_o(load_valid),
    .out_ready_i(retire_q && !kind_store),
    .out_data_o(load_result),
    .count_o(unused_loads)
  );
  fifo #(
    .Width(4),
    .Depth(MaxInFlight)
  ) u_stores (
    .clk_i, .rst_ni,
    .clear_i(stop_q),
    .in_valid_i(store_done),
    .in_ready_o(unused_ready[1]),
    .in_data_i(store_code),
    .out_valid_o(store_valid),
    .out_ready_i(retire_q && kind_store),
    .out_data_o(store_result),
    .count_o(unused_stores)
  );

  // One in two cycles: the answer is found in the first, the FIFOs move on in the second.
  assign retire = !retire_q && kind_valid && (stop_q ? at_rest_q : kind_store ? store_valid : load_valid);

  always_ff @(posedge clk_i) begin
    error_code_o <= error_e'(kind_store ? store_result : load_result);
    if (!rst_ni) begin
      retire_q <= 1'b0;
      done_o   <= 1'b0;
      error_o  <= 1'b0;
    end else begin
      retire_q <= retire;
      done_o   <= retire_q;
      error_o  <= retire_q && !stop_q && (kind_store ? store_result : load_result) != ErrorNone;
    end
  end

  // ---------------------------------------------------------------- the parts

  logic setup_valid;
  job_t job, store_job;
  logic [ReadPorts-1:0] req_valid, req_ready, line_valid, line_ready, line_last, line_error, port_idle, port_beat;
  logic [ReadPorts-1:0][LineBits-1:0] line;
  logic [BeatAddrWidth-1:0] req_address;
  logic [4:0] req_beats;
  logic scatter_idle, gather_idle, write_idle, gather_ready, write_ready, begin_store, store_waits, store_room;
  logic beat_valid, beat_ready;
  logic [BeatBits-1:0] beat;
  logic [$clog2(MaxInFlight+1)-1:0] unused_waiting;

  dma_setup #(
    .O(O),
    .I(I),
    .WeightDepth(WeightDepth),
    .ParamDepth(ParamDepth),
    .StreamDepth(StreamDepth),
    .StateDepth(StateDepth)
  ) u_setup (
    .clk_i, .rst_ni,
    .stop_i(stop_q),
    .valid_i(taken),
    .ready_o(setup_ready),
    .desc_i,
    .step_i,
    .data_base_i, .step_base_i, .step_stride_i, .steps_i,
    .valid_o(setup_valid),
    .job_o(job)
  );

  dma_requests #(
    .ReadPorts(ReadPorts),
    .Depth(MaxInFlight)
  ) u_requests (
    .clk_i, .rst_ni,
    .stop_i(stop_q),
    .valid_i(setup_valid && !job.store && job.code == ErrorNone),
    .address_i(job.beat_address),
    .beats_i(job.beats),
    .req_valid_o(req_valid),
    .req_ready_i(req_ready),
    .req_address_o(req_address),
    .req_beats_o(req_beats)
  );

  for (genvar p = 0; p < ReadPorts; p++) begin : gen_port
    dma_read_port #(
      .Lines(PortLines)
    ) u_port (
      .clk_i, .rst_ni,
      .stop_i(stop_all_q[p]),
      .req_valid_i(req_valid[p]),
      .req_ready_o(req_ready[p]),
      .req_address_i(req_address),
      .req_beats_i(req_beats),
      .line_valid_o(line_valid[p]),
      .line_ready_i(line_ready[p]),
      .line_o(line[p]),
      .line_last_o(line_last[p]),
      .line_error_o(line_error[p]),
      .idle_o(port_idle[p]),
      .beat_o(port_beat[p]),
      .m_axi_arvalid_o(m_axi_arvalid_o[p]),
      .m_axi_arready_i(m_axi_arready_i[p]),
      .m_axi_araddr_o(m_axi_araddr_o[p]),
      .m_axi_arlen_o(m_axi_arlen_o[p]),
      .m_axi_rvalid_i(m_axi_rvalid_i[p]),
      .m_axi_rready_o(m_axi_rready_o[p]),
      .m_axi_rdata_i(m_axi_rdata_i[p]),
      .m_axi_rresp_i(m_axi_rresp_i[p]),
      .m_axi_rlast_i(m_axi_rlast_i[p])
    );
  end

  always_comb begin
    read_beats_o = '0;
    for (int unsigned p = 0; p < ReadPorts; p++) read_beats_o += 3'(port_beat[p]);
  end

  dma_scatter #(
    .ReadPorts(ReadPorts),
    .O(O),
    .I(I),
    .Depth(MaxInFlight)
  ) u_scatter (
    .clk_i, .rst_ni,
    .stop_i(stop_q),
    .idle_o(scatter_idle),
    .valid_i(setup_valid && !job.store),
    .job_i(job),
    .line_valid_i(line_valid),
    .line_ready_o(line_ready),
    .line_i(line),
    .line_last_i(line_last),
    .line_error_i(line_error),
    .done_o(load_done),
    .code_o(load_code),
    .weight_we_o, .weight_waddr_o, .weight_wdata_o, .weight_wstrb_o, .weight_wgnt_i,
    .param_we_o, .param_waddr_o, .param_wdata_o, .param_wgnt_i,
    .stream_we_o, .stream_waddr_o, .stream_wdata_o, .stream_wgnt_i,
    .state_we_o, .state_waddr_o, .state_wdata_o, .state_wgnt_i
  );

  fifo #(
    .Width($bits(job_t)),
    .Depth(MaxInFlight)
  ) u_store_jobs (
    .clk_i, .rst_ni,
    .clear_i(stop_q),
    .in_valid_i(setup_valid && job.store),
    .in_ready_o(store_room),
    .in_data_i(job),
    .out_valid_o(store_waits),
    .out_ready_i(begin_store),
    .out_data_o(store_job),
    .count_o(unused_waiting)
  );

  // Both halves of a store begin together; of one that moves nothing only the answer.
  assign begin_store = store_waits && write_ready && gather_ready;

  dma_gather #(
    .O(O)
  ) u_gather (
    .clk_i, .rst_ni,
    .stop_i(stop_all_q[ReadPorts+1]),
    .idle_o(gather_idle),
    .valid_i(begin_store && store_job.code == ErrorNone),
    .ready_o(gather_ready),
    .space_i(store_job.space),
    .address_i(store_job.address),
    .words_i(store_job.words),
    .stream_req_o, .stream_addr_o, .stream_gnt_i, .stream_rvalid_i, .stream_rdata_i,
    .state_req_o, .state_addr_o, .state_gnt_i, .state_rvalid_i, .state_rdata_i,
    .beat_valid_o(beat_valid),
    .beat_ready_i(beat_ready),
    .beat_o(beat)
  );

  dma_write_port u_write_port (
    .clk_i, .rst_ni,
    .stop_i(stop_all_q[ReadPorts+1]),
    .idle_o(write_idle),
    .valid_i(begin_store),
    .ready_o(write_ready),
    .code_i(store_job.code),
    .address_i(store_job.beat_address),
    .beats_i(store_job.beats),
    .tail_i(store_job.tail),
    .beat_valid_i(beat_valid),
    .beat_ready_o(beat_ready),
    .beat_i(beat),
    .done_o(store_done),
    .code_o(store_code),
    .m_axi_awvalid_o, .m_axi_awready_i, .m_axi_awaddr_o, .m_axi_awlen_o,
    .m_axi_wvalid_o, .m_axi_wready_i, .m_axi_wdata_o, .m_axi_wstrb_o, .m_axi_wlast_o,
    .m_axi_bvalid_i, .m_axi_bready_o, .m_axi_bresp_i
  );

  // ---------------------------------------------------------------- flush

  always_ff @(posedge clk_i) begin
    // Two cycles of rest: what was in a register between the parts has been seen.
    at_rest_q <= stop_q && (&port_idle) && scatter_idle && gather_idle && write_idle;
  end
  assign stop = rst_ni && (flush_i || (stop_q && !(at_rest_q && in_flight == '0)));
  assign stop_q = stop_all_q[ReadPorts];
  copies #(
    .Copies(ReadPorts + 2)
  ) u_stop (
    .clk_i,
    .d_i(stop),
    .q_o(stop_all_q)
  );

  logic unused;
  assign unused = ^{unused_ready, store_job.store, store_room};

endmodule
