// The display's side at the panel, at the pixel clock: timing, the image enlarged out of the buffer, the background.
//
// A source pixel is shown `scale` times, a source row on as many rows: its words stay in the buffer until the last of them. A word that is not there when its
// first pixel is due, or that was read with an error, ends the image: the background is shown up to the frame's end. Outputs come 5 cycles behind the counters.
module display_scan
  import display_pkg::*;
#(
  parameter int unsigned CountWidth = 10  // of the buffer's words
) (
  input logic clk_i,
  input logic rst_ni,

  input logic enable_i,
  output logic active_o,
  output logic underrun_o,  // level: pixels are missing; up to the next frame
  output logic request_valid_o,
  input logic request_ready_i,
  input logic frame_valid_i,
  output logic frame_ready_o,
  input frame_t frame_i,  // the one that was taken last
  input logic [CountWidth-1:0] frame_word_i,

  // the buffer
  input logic [CountWidth-1:0] written_i,
  input logic [CountWidth-1:0] dropped_i,
  output logic drop_o,
  output logic re_o,
  output logic [CountWidth-1:0] word_o,
  input logic [WordBits-1:0] rdata_i,  // two cycles later

  output logic de_o,
  output logic hsync_o,
  output logic vsync_o,
  output logic [PixelBits-1:0] rgb_o
);

  // ---------------------------------------------------------------- counters

  typedef enum logic [1:0] {
    Sync,
    Back,
    Active,
    Front
  } phase_e;

  function automatic logic [11:0] length_of(lengths_t lengths, phase_e phase);
    logic [11:0] length;
    unique case (phase)
      Sync: length = lengths.sync;
      Back: length = lengths.back;
      Active: length = lengths.active;
      default: length = lengths.front;
    endcase
    return length;
  endfunction

  logic running_q, start, begins, line_end, frame_end, h_last, v_last, v_last_q, v_end_q;
  phase_e h_phase_q, v_phase_q;
  logic [11:0] h_count_q, v_count_q;  // from 1
  logic want_q, asked_q, shown_q;

  assign h_last = h_count_q == length_of(frame_i.panel.horizontal, h_phase_q);
  assign line_end = running_q && h_last && h_phase_q == Front;
  // one cycle late: a line has four at least
  assign v_last = v_count_q == length_of(frame_i.panel.vertical, v_phase_q);
  always_ff @(posedge clk_i) begin
    v_last_q <= v_last;
    v_end_q  <= v_last && v_phase_q == Front;
  end
  assign frame_end = line_end && v_end_q;
  assign start = !running_q && enable_i && frame_valid_i;
  assign begins = start || frame_end;
  // when it is off, what comes is of no use
  assign frame_ready_o = begins || !enable_i;

  always_ff @(posedge clk_i) begin
    if (begins || !running_q) begin
      h_phase_q <= Sync;
      v_phase_q <= Sync;
      h_count_q <= 12'd1;
      v_count_q <= 12'd1;
    end else begin
      h_count_q <= h_last ? 12'd1 : h_count_q + 1'b1;
      if (h_last) h_phase_q <= phase_e'(h_phase_q + 1'b1);
      if (line_end) v_count_q <= v_last_q ? 12'd1 : v_count_q + 1'b1;
      if (line_end && v_last_q) v_phase_q <= phase_e'(v_phase_q + 1'b1);
    end
    if (!rst_ni) running_q <= 1'b0;
    else running_q <= enable_i && (running_q || start);
  end

  // A frame is asked for when the last row of the one before has been shown.
  assign active_o = enable_i || running_q || asked_q;
  assign request_valid_o = want_q;
  always_ff @(posedge clk_i) begin
    shown_q <= line_end && v_last_q && v_phase_q == Active;
    if (!rst_ni) begin
      want_q  <= 1'b0;
      asked_q <= 1'b0;
    end else begin
      if (!asked_q && enable_i && (!running_q || shown_q)) begin
        want_q  <= 1'b1;
        asked_q <= 1'b1;
      end else begin
        if (request_ready_i) want_q <= 1'b0;
        if (frame_valid_i && frame_ready_o) asked_q <= 1'b0;
      end
    end
  end

  // ---------------------------------------------------------------- the image in the buffer

  logic v_in_q, in_q, last_q, line_q, frame_q, fresh_q;
  logic [1:0] lane_q;
  logic [7:0] columns_q, row_q;  // of a source pixel: those left behind this one; those before this one
  logic [CountWidth-1:0] read_q, next_read;
  logic draining_q, lost_q, some_q, there, consume, once, column_last_q, row_last_q;

  always_ff @(posedge clk_i) begin
    v_in_q <= v_phase_q == Active && v_count_q > frame_i.y_first && v_count_q <= frame_i.y_last;
    in_q <= running_q && v_in_q && h_phase_q == Active && h_count_q > frame_i.x_first && h_count_q <= frame_i.x_last;
    last_q <= h_count_q == frame_i.x_last;
    line_q <= begins || line_end;
    frame_q <= begins;
    fresh_q <= frame_valid_i;
  end

  assign there = some_q && !lost_q && !draining_q;
  assign once = frame_i.scale_last == '0;
  assign consume = in_q && there && column_last_q && (lane_q == 2'(WordPixels - 1) || last_q);
  assign drop_o = draining_q ? dropped_i != frame_word_i && dropped_i != written_i : consume && row_last_q;
  assign re_o = in_q;
  assign word_o = read_q;
  assign underrun_o = lost_q;
  assign next_read = read_q + 1'b1;

  always_ff @(posedge clk_i) begin
    if (draining_q || line_q) read_q <= dropped_i;
    else if (consume) read_q <= next_read;
    // the word to be read has been written; of a new line that is known two cycles later, long before its first pixel
    some_q <= !draining_q && !line_q && (consume ? next_read : read_q) != written_i;
    if (frame_q) begin
      lane_q <= '0;
      row_q  <= '0;
    end else if (in_q && there) begin
      if (column_last_q) lane_q <= last_q ? '0 : lane_q + 1'b1;
      if (last_q) row_q <= row_last_q ? '0 : row_q + 1'b1;
    end
    if (frame_q || (in_q && there)) begin
      columns_q <= frame_q || column_last_q ? frame_i.scale_last : columns_q - 1'b1;
      column_last_q <= frame_q || column_last_q ? once : columns_q == 8'd1;
    end
    // one cycle late: the next line comes later
    row_last_q <= row_q == frame_i.scale_last;
    if (!rst_ni) begin
      lost_q <= 1'b0;
      draining_q <= 1'b0;
    end else begin
      if (frame_q) lost_q <= !fresh_q;
      else if (in_q && !there) lost_q <= 1'b1;
      if (frame_q && fresh_q) draining_q <= 1'b1;
      else if (dropped_i == frame_word_i) draining_q <= 1'b0;
    end
  end

  // ---------------------------------------------------------------- out

  typedef struct packed {
    logic de;
    logic hsync;
    logic vsync;
  } signals_t;

  signals_t signals_q[4];
  logic in2_q, in3_q, there2_q, there3_q, frame2_q, frame3_q, shown, show_q, bad_q;
  logic [1:0] lane2_q, lane3_q;
  logic [PixelBits-1:0] pixel_q;

  // read two cycles ago
  assign shown = there3_q && !rdata_i[WordBits-1] && !bad_q;
  always_ff @(posedge clk_i) begin
    // at rest all are low
    signals_q[0] <= '{
      de: running_q && h_phase_q == Active && v_phase_q == Active,
      hsync: running_q && (h_phase_q == Sync) != frame_i.panel.hsync_low,
      vsync: running_q && (v_phase_q == Sync) != frame_i.panel.vsync_low
    };
    for (int i = 1; i < 4; i++) signals_q[i] <= signals_q[i-1];
    {in2_q, there2_q, lane2_q, frame2_q} <= {in_q, there, lane_q, frame_q};
    {in3_q, there3_q, lane3_q, frame3_q} <= {in2_q, there2_q, lane2_q, frame2_q};
    if (frame3_q) bad_q <= 1'b0;
    else if (in3_q && !shown) bad_q <= 1'b1;
    show_q  <= in3_q && shown;
    pixel_q <= rdata_i[lane3_q*PixelBits+:PixelBits];
    {de_o, hsync_o, vsync_o} <= signals_q[3];
    rgb_o   <= !signals_q[3].de ? '0 : show_q ? pixel_q : frame_i.panel.background;
  end

endmodule
