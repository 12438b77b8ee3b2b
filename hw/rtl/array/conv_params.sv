// Fetches the head of a `conv`'s parameter block and the channels of each tile, descriptor after descriptor, into two banks: one tile's
// channels are read while the tile before is requantised.

module conv_params
  import diffuser_pkg::*;
  import array_pkg::*;
#(
  parameter int unsigned O = 8
) (
  input logic clk_i,
  input logic rst_ni,

  input logic stop_i,  // make no new request; what was requested stays until it is granted

  // the descriptor to be fetched for; stays until the last entry came
  input logic valid_i,
  output logic done_o,  // pulse: its last entry came
  input logic [EntryWidth-1:0] param_i,
  input logic [7:0] tiles_i,

  output logic param_req_o,
  output logic [EntryWidth-1:0] param_addr_o,
  input logic param_gnt_i,
  input logic param_rvalid_i,
  input logic [63:0] param_rdata_i,

  output logic head_valid_o,  // pulse
  output diffuser_isa_pkg::conv_head_t head_o,

  output channel_t [1:0][O-1:0] channel_o,
  output logic [1:0] full_o,  // bank holds a tile's channels; tiles take bank 0, 1, 0, …
  input logic [1:0] free_i  // pulses: it is not read any more
);

  localparam int unsigned LaneWidth = $clog2(O);

  // requests
  logic run_q, head_q, bank_q;
  logic [EntryWidth-1:0] addr_q;
  logic [7:0] left_q;  // tiles that still have requests
  logic some_left_q, may_q;  // left_q != 0; the next entry has a place: a head's, or of a tile that has begun
  logic [LaneWidth-1:0] lane_q;
  logic [1:0] taken_q;  // bank holds or awaits a tile's channels
  logic start;

  logic blocked_q;  // told to stop, and nothing waits for its grant
  assign param_req_o = run_q && some_left_q && (may_q || !taken_q[bank_q]) && !blocked_q;
  always_ff @(posedge clk_i) blocked_q <= stop_i && !(param_req_o && !param_gnt_i);
  assign param_addr_o = addr_q;

  // answers
  logic answer_head_q, answer_bank_q;
  logic [LaneWidth-1:0] answer_lane_q;
  logic [7:0] answer_left_q;
  logic answer_tile_end;
  logic [1:0] full_q;
  channel_t [1:0][O-1:0] channel_q;
  // verilator lint_off UNUSEDSIGNAL
  diffuser_isa_pkg::conv_channel_t entry;  // has an unused byte
  // verilator lint_on UNUSEDSIGNAL

  assign entry = param_rdata_i;
  assign head_o = param_rdata_i;
  assign head_valid_o = run_q && param_rvalid_i && answer_head_q;
  assign answer_tile_end = run_q && param_rvalid_i && !answer_head_q && answer_lane_q == LaneWidth'(O - 1);
  assign done_o = answer_tile_end && answer_left_q == 8'd1;
  assign channel_o = channel_q;
  assign full_o = full_q;
  assign start = valid_i && !run_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      run_q <= 1'b0;
      bank_q <= 1'b0;
      taken_q <= '0;
      full_q <= '0;
      answer_bank_q <= 1'b0;
    end else begin
      if (start) run_q <= 1'b1;
      else if (done_o) run_q <= 1'b0;
      taken_q <= taken_q & ~free_i;
      full_q  <= full_q & ~free_i;
      if (param_req_o && param_gnt_i && !head_q) begin
        taken_q[bank_q] <= 1'b1;
        if (lane_q == LaneWidth'(O - 1)) bank_q <= !bank_q;
      end
      if (answer_tile_end) begin
        full_q[answer_bank_q] <= 1'b1;
        answer_bank_q <= !answer_bank_q;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (start) begin
      head_q <= 1'b1;
      addr_q <= param_i;
      left_q <= tiles_i;
      some_left_q <= tiles_i != '0;
      may_q <= 1'b1;
      lane_q <= '0;
      answer_head_q <= 1'b1;
      answer_lane_q <= '0;
      answer_left_q <= tiles_i;
    end else begin
      if (param_req_o && param_gnt_i) begin
        head_q <= 1'b0;
        addr_q <= addr_q + 1'b1;
        may_q <= !head_q && lane_q != LaneWidth'(O - 1);
        if (!head_q) begin
          lane_q <= lane_q + 1'b1;
          if (lane_q == LaneWidth'(O - 1)) begin
            left_q <= left_q - 1'b1;
            some_left_q <= left_q != 8'd1;
          end
        end
      end
      if (run_q && param_rvalid_i) begin
        answer_head_q <= 1'b0;
        if (!answer_head_q) begin
          answer_lane_q <= answer_lane_q + 1'b1;
          if (answer_tile_end) answer_left_q <= answer_left_q - 1'b1;
          channel_q[answer_bank_q][answer_lane_q] <= '{
              enable: entry.mantissa != '0 && entry.shift != '0,
              shift: 6'(entry.shift - 8'd1),
              mantissa: entry.mantissa,
              bias: entry.bias
          };
        end
      end
    end
  end

endmodule
