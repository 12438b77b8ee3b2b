// Reads the program ahead of the sequencer: bursts of up to four descriptors into a FIFO, put together again behind it.
//
// An AXI4 master of its own: descriptors then never wait behind weights, and 4 KB of them go by in what the weights'
// ports do not notice. `jump_i` goes on at another index; what was read ahead is dropped. A bus error stays with
// its descriptor, since what was only read ahead may never be executed.
module fetch
  import control_pkg::*;
#(
  parameter int unsigned Depth = 64  // beats read ahead, at least 32, a multiple of 16
) (
  input logic clk_i,
  input logic rst_ni,

  input logic        jump_i,  // begin, or go on, at jump_index_i
  input logic [23:0] jump_index_i,
  input logic        stop_i,  // read no more and forget what was read; stays until idle_o
  output logic       idle_o,  // stopped, nothing on the bus
  input logic [63:0] base_i,  // of the program; a multiple of 64
  input logic [31:0] length_i,  // descriptors; still while it runs

  output logic         desc_valid_o,
  input  logic         desc_ready_i,
  output logic [511:0] desc_o,
  output logic         desc_error_o,  // the bus answered an error

  output logic                    m_axi_arvalid_o,
  input  logic                    m_axi_arready_i,
  output logic [BusAddrWidth-1:0] m_axi_araddr_o,
  output logic [             7:0] m_axi_arlen_o,
  input  logic                    m_axi_rvalid_i,
  output logic                    m_axi_rready_o,
  input  logic [    BeatBits-1:0] m_axi_rdata_i,
  input  logic [             1:0] m_axi_rresp_i,
  output logic                    beat_o  // a beat has come, for the count of bytes
);

  localparam int unsigned CountWidth = $clog2(Depth + 1);

  typedef enum logic [2:0] {
    Stopped,
    Draining,  // wait for the beats of the old place
    Low,  // add the address in two steps
    High,
    Running  // a burst in three cycles at most, five times what the bus moves
  } state_e;

  state_e state_q;
  logic [23:0] index_q;
  logic [34:0] place_q;  // address div 64; one bit more than the bus has
  logic [31:0] left_q;  // descriptors not asked for
  logic carry_q;  // still to be added to the upper part of place_q
  logic [CountWidth-1:0] expected_q, free_q;  // beats on their way; places not promised to any
  // What the next burst is, made in two cycles behind the one before.
  logic [2:0] run, run_q;  // descriptors up to the next multiple of 256 bytes, or to the end
  logic few_q;  // fewer than four descriptors are left: that many
  logic [2:0] left_low_q;
  logic some_q, room_q, beyond_q;
  logic [1:0] settled_q;
  logic ask, arrive, dropping;
  logic outside_q;  // the base is beyond the bus

  assign dropping = state_q != Running;
  assign idle_o = state_q == Stopped && expected_q == '0 && !m_axi_arvalid_o;
  assign arrive = m_axi_rvalid_i;
  assign m_axi_rready_o = 1'b1;  // there is a place for every beat asked for

  always_comb begin
    run = 3'd4 - {1'b0, place_q[1:0]};
    if (few_q && left_low_q < run) run = left_low_q;
  end

  // places only become free while none is promised, so that room_q may be late
  assign ask = settled_q[1] && !m_axi_arvalid_o && !beyond_q && some_q && room_q && !stop_i;

  always_ff @(posedge clk_i) begin
    if (ask) begin
      m_axi_araddr_o <= {place_q[33:0], 6'd0};
      m_axi_arlen_o  <= {3'd0, run_q, 2'b00} - 8'd1;
    end
    unique case (state_q)
      Low: {carry_q, place_q[16:0]} <= {1'b0, base_i[22:6]} + {1'b0, index_q[16:0]};
      High: begin
        place_q[34:17] <= {1'b0, base_i[39:23]} + {11'd0, index_q[23:17]} + 18'(carry_q);
        carry_q <= 1'b0;
      end
      Running: begin
        // all but the last burst end at a multiple of 256 bytes
        if (ask) {carry_q, place_q[16:0]} <= {{1'b0, place_q[16:2]} + 1'b1, 2'b00};
        else carry_q <= 1'b0;
        place_q[34:17] <= place_q[34:17] + 18'(carry_q);
      end
      default: ;
    endcase
    if (state_q == Low) left_q <= length_i - 32'(index_q);
    else if (ask) left_q <= left_q - 32'(run_q);
    few_q <= left_q[31:2] == '0;
    left_low_q <= left_q[2:0];
    some_q <= left_q != '0;
    run_q <= run;
    room_q <= free_q >= CountWidth'(MaxBeats);
    beyond_q <= outside_q || place_q[34];
    if (jump_i) index_q <= jump_index_i;
    outside_q <= base_i[63:40] != '0;
  end

  logic beat_valid, beat_ready;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Stopped;
      settled_q <= '0;
      m_axi_arvalid_o <= 1'b0;
      expected_q <= '0;
      free_q <= CountWidth'(Depth);
      beat_o <= 1'b0;
    end else begin
      beat_o <= arrive;
      if (ask) m_axi_arvalid_o <= 1'b1;
      else if (m_axi_arready_i) m_axi_arvalid_o <= 1'b0;

      unique case ({ask, arrive})
        2'b10: expected_q <= expected_q + CountWidth'({run_q, 2'b00});
        2'b11: expected_q <= expected_q + CountWidth'({run_q, 2'b00}) - 1'b1;
        2'b01: expected_q <= expected_q - 1'b1;
        default: ;
      endcase
      if (dropping) free_q <= CountWidth'(Depth);
      else begin
        unique case ({ask, beat_valid && beat_ready})
          2'b10: free_q <= free_q - CountWidth'({run_q, 2'b00});
          2'b11: free_q <= free_q - CountWidth'({run_q, 2'b00}) + 1'b1;
          2'b01: free_q <= free_q + 1'b1;
          default: ;
        endcase
      end

      settled_q <= state_q == Running && !ask && !jump_i ? {settled_q[0], 1'b1} : '0;
      if (stop_i) state_q <= Stopped;
      else if (jump_i) state_q <= Draining;
      else begin
        unique case (state_q)
          Draining: if (expected_q == '0 && !m_axi_arvalid_o) state_q <= Low;
          Low: state_q <= High;
          High: state_q <= Running;
          default: ;
        endcase
      end
    end
  end

  // ---------------------------------------------------------------- beats to descriptors

  logic [BeatBits:0] beat;
  logic [511:0] desc_q;
  logic error_q, full_q;
  logic [1:0] part_q;  // beats that desc_q holds, when it is not full
  logic unused_ready;
  logic [CountWidth-1:0] held;

  fifo #(
    .Width(BeatBits + 1),
    .Depth(Depth)
  ) u_beats (
    .clk_i,
    .rst_ni,
    .clear_i(dropping),
    .in_valid_i(arrive),
    .in_ready_o(unused_ready),
    .in_data_i({m_axi_rresp_i[1], m_axi_rdata_i}),
    .out_valid_o(beat_valid),
    .out_ready_i(beat_ready),
    .out_data_o(beat),
    .count_o(held)
  );

  assign beat_ready = !full_q;

  always_ff @(posedge clk_i) begin
    if (beat_valid && beat_ready) begin
      desc_q <= {beat[BeatBits-1:0], desc_q[511:BeatBits]};
      error_q <= beat[BeatBits] || (error_q && part_q != 2'd0);
    end
    if (!rst_ni || dropping) begin
      full_q <= 1'b0;
      part_q <= 2'd0;
    end else if (full_q) begin
      full_q <= !desc_ready_i;
    end else if (beat_valid) begin
      part_q <= part_q + 2'd1;
      full_q <= part_q == 2'd3;
    end
  end

  logic nothing_left, nothing_left_q;

  // an address that the bus does not have is an error once what stands before it is used up
  assign nothing_left = settled_q[1] && beyond_q && !dropping && !full_q && expected_q == '0 && held == '0 && part_q == 2'd0;
  always_ff @(posedge clk_i) nothing_left_q <= rst_ni && nothing_left;
  assign desc_valid_o = !dropping && (full_q || nothing_left_q);
  assign desc_o = desc_q;
  assign desc_error_o = full_q ? error_q : 1'b1;

  logic [6:0] unused;
  assign unused = {m_axi_rresp_i[0], base_i[5:0]};

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) arrive |-> expected_q != '0)
  else $error("%m: a beat that was not asked for");
  assert property (@(posedge clk_i) disable iff (!rst_ni || dropping) arrive |-> unused_ready)
  else $error("%m: no place for a beat");
`endif

endmodule
