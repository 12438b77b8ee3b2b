// The AXI4 write port: bursts of a store, answers.
//
// Addresses run ahead of the data. Told to stop, it ends the bursts that it has announced, with strobes that write nothing.
module dma_write_port
  import diffuser_isa_pkg::*;
  import control_pkg::*;
  import dma_pkg::*;
#(
  parameter int unsigned Outstanding = 8  // bursts that wait for their answer
) (
  input logic clk_i,
  input logic rst_ni,
  input logic stop_i,
  output logic idle_o,  // all that was announced is done and answered

  input  logic                     valid_i,
  output logic                     ready_o,
  input  error_e                   code_i,  // other than none: nothing is to be written
  input  logic [BeatAddrWidth-1:0] address_i,
  input  logic [   BeatsWidth-1:0] beats_i,
  input  logic [              3:0] tail_i,  // bytes of the last beat, 0 for 16

  input  logic                beat_valid_i,
  output logic                beat_ready_o,
  input  logic [BeatBits-1:0] beat_i,

  output logic   done_o,  // pulse: a store is written and answered
  output error_e code_o,

  output logic                    m_axi_awvalid_o,
  input  logic                    m_axi_awready_i,
  output logic [BusAddrWidth-1:0] m_axi_awaddr_o,
  output logic [             7:0] m_axi_awlen_o,
  output logic                    m_axi_wvalid_o,
  input  logic                    m_axi_wready_i,
  output logic [    BeatBits-1:0] m_axi_wdata_o,
  output logic [   BeatBytes-1:0] m_axi_wstrb_o,
  output logic                    m_axi_wlast_o,
  input  logic                    m_axi_bvalid_i,
  output logic                    m_axi_bready_o,
  input  logic [             1:0] m_axi_bresp_i
);

  typedef enum logic [1:0] {
    Idle,
    Empty,  // nothing to write: wait until what stands before is answered
    Cut,
    Announce
  } state_e;

  state_e state_q, state;
  logic idle_q;  // state_q == Idle, for what is loaded then: the state would have too many readers
  error_e null_code_q;
  logic [BeatAddrWidth-1:0] address_q;
  logic [BeatsWidth-1:0] left_q;
  logic [3:0] tail_q;
  logic [4:0] room, burst_q;
  logic last_q, announce, lengths_ready, answers_ready, answers_some;

  // Bursts announced: beats, whether it ends a store, and that store's last bytes.
  typedef struct packed {
    logic last;
    logic [3:0] tail;
    logic [4:0] beats;
  } burst_t;
  burst_t length;
  logic length_valid, length_take;
  logic answer_last;
  logic [$clog2(Outstanding+1)-1:0] unused_lengths, unused_answers;

  assign ready_o = state_q == Idle && !stop_i;
  assign room = 5'd16 - {1'b0, address_q[3:0]};
  assign announce = state_q == Announce && (!m_axi_awvalid_o || m_axi_awready_i)
      && lengths_ready && answers_ready && !stop_i;

  always_comb begin
    state = state_q;
    unique case (state_q)
      Idle: if (valid_i) state = code_i == ErrorNone ? Cut : Empty;
      Empty: if (!answers_some) state = Idle;
      Cut: state = Announce;
      default: if (announce) state = last_q ? Idle : Cut;
    endcase
    if (!rst_ni || stop_i) state = Idle;
  end
  copies #(
    .Copies(1)
  ) u_idle (
    .clk_i,
    .d_i(state == Idle),
    .q_o(idle_q)
  );

  always_ff @(posedge clk_i) begin
    if (idle_q) begin
      address_q <= address_i;
      left_q <= beats_i;
      tail_q <= tail_i;
      null_code_q <= code_i;
    end else if (announce) begin
      address_q <= {address_q[BeatAddrWidth-1:4] + 1'b1, 4'd0};
      left_q <= left_q - BeatsWidth'(burst_q);
    end
    if (announce) begin
      m_axi_awaddr_o <= {address_q, 4'd0};
      m_axi_awlen_o  <= {3'd0, burst_q} - 8'd1;
    end
    if (state_q == Cut) begin
      last_q  <= left_q <= BeatsWidth'(room);
      burst_q <= left_q <= BeatsWidth'(room) ? left_q[4:0] : room;
    end
    state_q <= state;
    if (!rst_ni) begin
      m_axi_awvalid_o <= 1'b0;
    end else begin
      if (announce) m_axi_awvalid_o <= 1'b1;
      else if (m_axi_awready_i) m_axi_awvalid_o <= 1'b0;
    end
  end

  fifo #(
    .Width($bits(burst_t)),
    .Depth(Outstanding)
  ) u_lengths (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .in_valid_i(announce),
    .in_ready_o(lengths_ready),
    .in_data_i({last_q, tail_q, burst_q}),
    .out_valid_o(length_valid),
    .out_ready_i(length_take),
    .out_data_o(length),
    .count_o(unused_lengths)
  );

  fifo #(
    .Width(1),
    .Depth(Outstanding)
  ) u_answers (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .in_valid_i(announce),
    .in_ready_o(answers_ready),
    .in_data_i(last_q),
    .out_valid_o(answers_some),
    .out_ready_i(m_axi_bvalid_i),
    .out_data_o(answer_last),
    .count_o(unused_answers)
  );

  // ---------------------------------------------------------------- data

  logic some_q;  // beats of a burst are left
  logic [4:0] beats_q;
  logic [BeatBytes-1:0] mask_q;  // strobes of its last beat
  logic beat, w_free, final_beat;

  assign w_free = !m_axi_wvalid_o || m_axi_wready_i;
  assign beat = some_q && w_free && (beat_valid_i || stop_i);
  assign final_beat = beats_q == 5'd1;
  assign length_take = !some_q || (beat && final_beat);
  assign beat_ready_o = some_q && w_free && !stop_i;

  always_ff @(posedge clk_i) begin
    if (beat) begin
      m_axi_wdata_o <= beat_i;
      m_axi_wlast_o <= final_beat;
      m_axi_wstrb_o <= stop_i ? '0 : final_beat ? mask_q : '1;
      beats_q <= beats_q - 1'b1;
    end
    if (length_take) begin
      beats_q <= length.beats;
      for (int unsigned i = 0; i < BeatBytes; i++) begin
        mask_q[i] <= !length.last || length.tail == '0 || 4'(i) < length.tail;
      end
    end
    if (!rst_ni) begin
      some_q <= 1'b0;
      m_axi_wvalid_o <= 1'b0;
    end else begin
      if (length_take) some_q <= length_valid;
      if (beat) m_axi_wvalid_o <= 1'b1;
      else if (m_axi_wready_i) m_axi_wvalid_o <= 1'b0;
    end
  end

  // ---------------------------------------------------------------- answers

  logic failed_q;

  assign m_axi_bready_o = 1'b1;
  assign idle_o = !answers_some;
  assign done_o = !stop_i && ((m_axi_bvalid_i && answer_last) || (state_q == Empty && !answers_some));
  always_comb begin
    if (state_q == Empty && !answers_some) code_o = null_code_q;
    else code_o = failed_q || m_axi_bresp_i[1] ? ErrorWrite : ErrorNone;
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || stop_i) failed_q <= 1'b0;
    else if (m_axi_bvalid_i) failed_q <= !answer_last && (failed_q || m_axi_bresp_i[1]);
  end

  logic unused_response;
  assign unused_response = m_axi_bresp_i[0];

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) m_axi_bvalid_i |-> answers_some)
  else $error("%m: an answer to nothing");
`endif

endmodule
