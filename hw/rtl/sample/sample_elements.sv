// What the sampler's update is made of, a channel of a pixel a cycle: words of the stream and of the state, read ahead, x0 of the step
// before out of a memory of this module, and noise.
//
// Cost: 24 block RAMs for 4,096 pixels of x0 (49 bits a value: its magnitude is 2^47 at most), 26 DSPs and 2.5 block RAMs for noise.
module sample_elements
  import diffuser_pkg::*;
  import diffuser_isa_pkg::*;
  import sample_pkg::*;
#(
  parameter int unsigned O = 32,
  parameter int unsigned StateDepth = 4096
) (
  input logic clk_i,
  input logic rst_ni,

  // stable while elements come
  // verilator lint_off UNUSEDSIGNAL  // waits and fields of other parts of the unit
  input sample_desc_t desc_i,
  // verilator lint_on UNUSEDSIGNAL
  input logic         first_step_i,  // nothing before it
  input logic [63:0]  seed_i,
  input logic [63:0]  image_i,
  input logic [31:0]  purpose_i,

  input  logic start_i,
  input  logic run_i,    // from the cycle after `start_i` on
  input  logic stop_i,   // begin no more
  input  logic clear_i,  // forget what has been read; only when idle
  output logic idle_o,   // nothing is asked for or under way

  output logic                  stream_req_o,
  output logic [AddrWidth-1:0]  stream_addr_o,
  input  logic                  stream_gnt_i,
  input  logic                  stream_rvalid_i,
  input  logic [O-1:0][15:0]    stream_rdata_i,
  output logic                  state_req_o,
  output logic [AddrWidth-1:0]  state_addr_o,
  input  logic                  state_gnt_i,
  input  logic                  state_rvalid_i,
  input  logic [3:0][31:0]      state_rdata_i,

  input  logic     ready_i,
  output logic     taken_o,    // an element leaves: it is at the ports below in the next cycle
  output logic                valid_o,
  output logic signed [15:0]  stream_o,
  output logic signed [31:0]  state_o,
  output prediction_t         previous_o,
  output logic signed [27:0]  noise_o,

  // x0 of the elements, in their order
  input logic        x0_valid_i,
  input prediction_t x0_i
);

  localparam int unsigned Ahead = 12;  // pixels read ahead
  localparam int unsigned IndexWidth = $clog2(StateDepth);
  // lanes of x0_previous: 49 bits in whole units of a block RAM's write enable
  localparam int unsigned PreviousLane = 54;

  logic stream_idle, state_idle, previous_idle;
  logic stream_valid, state_valid, previous_valid, noise_valid;
  logic pixel_taken, noise_taken;
  logic [3:0][15:0] stream;
  logic [3:0][31:0] state;
  logic [3:0][PreviousLane-1:0] previous, previous_rdata;
  logic signed [27:0] normal;
  assign idle_o = stream_idle && state_idle && previous_idle;

  sample_reader #(
    .AddrWidth(AddrWidth),
    .DataWidth(64),
    .Depth(Ahead)
  ) u_stream (
    .clk_i,
    .rst_ni,
    .start_i,
    .first_i(desc_i.stream),
    .count_i(desc_i.pixels),
    .stop_i,
    .clear_i,
    .idle_o(stream_idle),
    .req_o(stream_req_o),
    .addr_o(stream_addr_o),
    .gnt_i(stream_gnt_i),
    .rvalid_i(stream_rvalid_i),
    .rdata_i(stream_rdata_i[3:0]),
    .valid_o(stream_valid),
    .ready_i(pixel_taken),
    .data_o(stream)
  );

  sample_reader #(
    .AddrWidth(AddrWidth),
    .DataWidth(128),
    .Depth(Ahead)
  ) u_state (
    .clk_i,
    .rst_ni,
    .start_i,
    .first_i(desc_i.state),
    .count_i(desc_i.pixels),
    .stop_i,
    .clear_i,
    .idle_o(state_idle),
    .req_o(state_req_o),
    .addr_o(state_addr_o),
    .gnt_i(state_gnt_i),
    .rvalid_i(state_rvalid_i),
    .rdata_i(state_rdata_i),
    .valid_o(state_valid),
    .ready_i(pixel_taken),
    .data_o(state)
  );

  // ---- x0 of the step before; a pixel is read before it is overwritten, since its elements begin before they end

  logic previous_req;
  logic [IndexWidth-1:0] previous_addr, previous_waddr_q;
  logic [1:0] previous_rvalid_q, previous_channel_q;

  sample_reader #(
    .AddrWidth(IndexWidth),
    .DataWidth(4 * PreviousLane),
    .Depth(Ahead)
  ) u_previous (
    .clk_i,
    .rst_ni,
    .start_i,
    .first_i(desc_i.state[IndexWidth-1:0]),
    .count_i(desc_i.pixels),
    .stop_i,
    .clear_i,
    .idle_o(previous_idle),
    .req_o(previous_req),
    .addr_o(previous_addr),
    .gnt_i(1'b1),
    .rvalid_i(previous_rvalid_q[1]),
    .rdata_i(previous_rdata),
    .valid_o(previous_valid),
    .ready_i(pixel_taken),
    .data_o(previous)
  );

  mem_1r1w #(
    .Width(4 * PreviousLane),
    .Depth(StateDepth),
    .Lanes(4),
    .ZeroInit(1'b1)
  ) u_previous_mem (
    .clk_i,
    .we_i(x0_valid_i && rst_ni),  // before the first reset it may be anything, and zeros are to stay
    .waddr_i(previous_waddr_q),
    .wdata_i({4{PreviousLane'(x0_i)}}),
    .wstrb_i(4'b0001 << previous_channel_q),
    .re_i(previous_req),
    .raddr_i(previous_addr),
    .rdata_o(previous_rdata)
  );

  always_ff @(posedge clk_i) begin
    if (!rst_ni) previous_rvalid_q <= '0;
    else previous_rvalid_q <= {previous_rvalid_q[0], previous_req};
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      previous_waddr_q <= desc_i.state[IndexWidth-1:0];
      previous_channel_q <= '0;
    end else if (x0_valid_i) begin
      if (previous_channel_q == 2'(desc_i.channels - 3'd1)) begin
        previous_channel_q <= '0;
        previous_waddr_q <= previous_waddr_q + 1'b1;
      end else begin
        previous_channel_q <= previous_channel_q + 1'b1;
      end
    end
  end

  sample_noise u_noise (
    .clk_i,
    .rst_ni,
    .run_i(run_i && desc_i.noise),
    .clear_i,
    .seed_i,
    .image_i,
    .purpose_i,
    .valid_o(noise_valid),
    .ready_i(noise_taken),
    .normal_o(normal)
  );

  // ---- an element

  logic [1:0] channel_q, channel_previous_q, channel;  // the same twice, since one would have too many readers
  logic begins, last_channel;
  assign begins = stream_valid && state_valid && previous_valid && (noise_valid || !desc_i.noise) && ready_i && run_i && !stop_i;
  assign last_channel = channel_q == 2'(desc_i.channels - 3'd1);
  assign pixel_taken = begins && last_channel;
  assign noise_taken = begins && desc_i.noise;
  assign taken_o = begins;

  always_comb begin
    channel = channel_q;
    if (begins) channel = last_channel ? '0 : channel_q + 1'b1;
    if (!rst_ni || clear_i) channel = '0;
  end
  copies #(
    .Width(2),
    .Copies(2)
  ) u_channel (
    .clk_i,
    .d_i(channel),
    .q_o({channel_q, channel_previous_q})
  );
  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      valid_o <= 1'b0;
    end else begin
      valid_o <= begins;
    end
  end

  always_ff @(posedge clk_i) begin
    stream_o <= stream[channel_q];
    state_o <= state[channel_q];
    previous_o <= first_step_i ? '0 : previous[channel_previous_q][$bits(prediction_t)-1:0];
    noise_o <= desc_i.noise ? normal : '0;
  end

  logic unused;
  assign unused = &{1'b0, stream_rdata_i, previous};

endmodule
