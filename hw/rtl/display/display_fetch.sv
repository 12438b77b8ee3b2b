// The display's side at the bus: takes the settings of each frame, hands them to the panel's side, and reads the image's rows into the buffer.
//
// The panel's side asks for a frame when it has shown the one before. Then reads that are on their way are let end, the settings are taken, the image's place
// on the panel is worked out, and the panel's side gets it together with the number of the buffer's word that the frame begins with: what is older
// is left of a frame that was not shown to its end. Reading begins at once.
module display_fetch
  import control_pkg::*;
  import dma_pkg::*;
  import display_pkg::*;
#(
  parameter int unsigned MaxWidth = 1024,
  parameter int unsigned CountWidth = 10,  // of the buffer's words
  parameter int unsigned Lines = 32  // of the read port
) (
  input logic clk_i,
  input logic rst_ni,

  input logic enable_i,
  input logic pending_i,
  input scanout_t settings_i,
  output logic take_o,  // pulse: this frame's settings are taken
  output logic wrong_o,  // pulse: it has an image that cannot be shown
  output logic error_o,  // pulse: a read failed
  output logic busy_o,

  // the panel's side
  output logic panel_enable_o,
  input logic panel_active_i,
  input logic request_valid_i,
  output logic request_ready_o,
  output logic frame_valid_o,
  input logic frame_ready_i,
  output frame_t frame_o,
  output logic [CountWidth-1:0] frame_word_o,

  // the buffer
  output logic word_valid_o,
  input logic word_ready_i,
  output logic [WordBits-1:0] word_o,
  input logic [CountWidth-1:0] word_count_i,

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

  // ---------------------------------------------------------------- frames

  typedef enum logic [2:0] {
    Idle,
    Open,  // until the panel's side runs
    Run,  // rows are read
    Stop,  // until nothing is on the bus
    Setup,
    Reply,
    Close  // until the panel's side is at rest, too
  } state_e;

  localparam int unsigned ScaleBits = 8;
  localparam int unsigned Sizes = 1 + ScaleBits;  // first step of Setup behind the two products
  localparam int unsigned LastStep = Sizes + 2;

  state_e state_q;
  logic first_q, at_rest, running, stop, taken_q;
  logic [3:0] step_q;
  scanout_t now_q;

  assign running = state_q == Run;
  assign stop = !running;
  assign busy_o = state_q != Idle;
  assign panel_enable_o = state_q != Idle && state_q != Close;
  // in Close the answer goes back at once: nobody looks at it
  assign request_ready_o = running || (state_q == Close && frame_ready_i);
  assign frame_valid_o = state_q == Reply || (state_q == Close && request_valid_i);

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
    end else begin
      unique case (state_q)
        Idle: if (enable_i) state_q <= Open;
        Open: if (panel_active_i) state_q <= Run;
        Run: begin
          if (request_valid_i) state_q <= Stop;
          else if (!enable_i) state_q <= Close;
        end
        Stop: if (at_rest) state_q <= Setup;
        Setup: if (step_q == 4'(LastStep)) state_q <= Reply;
        Reply: if (frame_ready_i) state_q <= Run;
        Close: if (!panel_active_i && !request_valid_i && at_rest) state_q <= Idle;
        default: state_q <= Idle;
      endcase
    end
  end

  always_ff @(posedge clk_i) begin
    step_q  <= state_q == Setup ? step_q + 1'b1 : '0;
    // once a frame, in the first cycle of Setup
    taken_q <= state_q == Stop && at_rest && rst_ni;
    if (state_q == Open) first_q <= 1'b1;
    else if (taken_q) first_q <= 1'b0;
    if (taken_q && (pending_i || first_q)) now_q <= settings_i;
  end
  assign take_o = taken_q;

  // the image's size on the panel, a bit of the factor a step, the highest first; then where it ends
  logic [ScaleBits-1:0] factor_q;
  logic [19:0] columns_q, rows_q;
  logic [20:0] x_last_q, y_last_q;
  logic some_q, show_q, wide_q;
  logic [11:0] beats_q;  // of a row

  always_ff @(posedge clk_i) begin
    factor_q <= step_q == 4'd1 ? now_q.scale << 1 : factor_q << 1;
    if (step_q == 4'd1) begin
      columns_q <= now_q.scale[ScaleBits-1] ? 20'(now_q.width) : '0;
      rows_q <= now_q.scale[ScaleBits-1] ? 20'(now_q.height) : '0;
    end else if (step_q != '0 && step_q < 4'(Sizes)) begin
      columns_q <= {columns_q[18:0], 1'b0} + (factor_q[ScaleBits-1] ? 20'(now_q.width) : '0);
      rows_q <= {rows_q[18:0], 1'b0} + (factor_q[ScaleBits-1] ? 20'(now_q.height) : '0);
    end
    x_last_q <= 21'(columns_q) + 21'(now_q.x);
    y_last_q <= 21'(rows_q) + 21'(now_q.y);
    some_q <= now_q.width != '0 && now_q.height != '0;
    wide_q <= 32'(now_q.width) > MaxWidth;
    show_q <= some_q && !wide_q && now_q.scale != '0 && x_last_q <= 21'(now_q.panel.horizontal.active) && y_last_q <= 21'(now_q.panel.vertical.active);
    wrong_o <= state_q == Setup && step_q == 4'(LastStep) && some_q && !show_q;
    beats_q <= (now_q.width + 12'(WordPixels - 1)) / 12'(WordPixels);
  end

  assign frame_o = '{
    x_first: now_q.x,
    x_last: show_q ? x_last_q[11:0] : '0,
    y_first: now_q.y,
    y_last: show_q ? y_last_q[11:0] : '0,
    scale_last: now_q.scale - 1'b1,
    panel: now_q.panel
  };
  assign frame_word_o = word_count_i;

  // ---------------------------------------------------------------- rows

  localparam int unsigned MaxRows = 4;  // on their way
  logic [33:0] row_q;
  logic [34:0] next_row;
  logic [11:0] left_q;  // rows to be asked for
  logic [2:0] rows_out_q;
  logic load_q, some_left_q, room_q, ask, row_done;

  carry_select #(
    .Width(34)
  ) u_next_row (
    .a_i(row_q),
    .b_i(34'(now_q.stride)),
    .carry_i(1'b0),
    .sum_o(next_row)
  );

  assign ask = running && some_left_q && room_q;
  always_ff @(posedge clk_i) begin
    load_q <= state_q == Setup;
    if (load_q) begin
      row_q  <= now_q.base;
      left_q <= now_q.height;
    end else if (ask) begin
      row_q  <= next_row[33:0];
      left_q <= left_q - 1'b1;
    end
    if (!running) some_left_q <= show_q && state_q == Reply;
    else if (ask) some_left_q <= left_q != 12'd1;
    if (stop) begin
      rows_out_q <= '0;
      room_q <= 1'b1;
    end else if (ask != row_done) begin
      rows_out_q <= ask ? rows_out_q + 1'b1 : rows_out_q - 1'b1;
      room_q <= !ask || rows_out_q != 3'(MaxRows - 1);
    end
  end

  logic req_valid, req_ready;
  logic [BeatAddrWidth-1:0] req_address;
  logic [4:0] req_beats;
  logic line_valid, line_ready, line_error, unused_last, unused_beat;
  logic [LineBeats-1:0][BeatBits-1:0] line;

  dma_requests #(
    .ReadPorts(1),
    .Depth(MaxRows)
  ) u_requests (
    .clk_i,
    .rst_ni,
    .stop_i(stop),
    .valid_i(ask),
    .address_i({row_q, 2'd0}),
    .beats_i(BeatsWidth'(beats_q)),
    .req_valid_o(req_valid),
    .req_ready_i(req_ready),
    .req_address_o(req_address),
    .req_beats_o(req_beats)
  );

  dma_read_port #(
    .Lines(Lines)
  ) u_port (
    .clk_i,
    .rst_ni,
    .stop_i(stop),
    .req_valid_i(req_valid),
    .req_ready_o(req_ready),
    .req_address_i(req_address),
    .req_beats_i(req_beats),
    .line_valid_o(line_valid),
    .line_ready_i(line_ready),
    .line_o(line),
    .line_last_o(unused_last),
    .line_error_o(line_error),
    .idle_o(at_rest),
    .beat_o(unused_beat),
    .m_axi_arvalid_o,
    .m_axi_arready_i,
    .m_axi_araddr_o,
    .m_axi_arlen_o,
    .m_axi_rvalid_i,
    .m_axi_rready_o,
    .m_axi_rdata_i,
    .m_axi_rresp_i,
    .m_axi_rlast_i
  );

  // ---------------------------------------------------------------- words

  localparam int unsigned Copies = 2;  // of the beat's number, for half of a word's bits each
  logic take_beat, last_beat_q;
  logic [11:0] beats_left_q;  // of the row that comes
  logic [1:0] part;
  logic [Copies-1:0][1:0] part_q;
  logic [LineBeats-1:0][WordPixels*PixelBits-1:0] colours;
  logic [WordPixels*PixelBits-1:0] beat;
  logic word_valid_q, word_error_q;
  logic [WordPixels*PixelBits-1:0] word_q;
  logic unused_line;

  assign take_beat = line_valid && (!word_valid_q || word_ready_i) && running;
  assign line_ready = take_beat && (part_q[0] == 2'(LineBeats - 1) || last_beat_q);
  assign row_done = take_beat && last_beat_q;
  assign part = stop || line_ready ? '0 : take_beat ? part_q[0] + 1'b1 : part_q[0];
  copies #(
    .Width(2),
    .Copies(Copies)
  ) u_part (
    .clk_i,
    .d_i(part),
    .q_o(part_q)
  );

  for (genvar b = 0; b < LineBeats; b++) begin : gen_beat
    for (genvar p = 0; p < WordPixels; p++) begin : gen_pixel
      assign colours[b][p*PixelBits+:PixelBits] = line[b][32*p+:PixelBits];
    end
  end
  for (genvar p = 0; p < WordPixels; p++) begin : gen_half
    assign beat[p*PixelBits+:PixelBits] = colours[part_q[p*Copies/WordPixels]][p*PixelBits+:PixelBits];
  end

  always_ff @(posedge clk_i) begin
    if (load_q) begin
      beats_left_q <= beats_q;
      last_beat_q  <= beats_q == 12'd1;
    end else if (take_beat) begin
      beats_left_q <= last_beat_q ? beats_q : beats_left_q - 1'b1;
      last_beat_q  <= last_beat_q ? beats_q == 12'd1 : beats_left_q == 12'd2;
    end
    if (take_beat) begin
      word_q <= beat;
      word_error_q <= line_error;
    end
    if (stop || !rst_ni) word_valid_q <= 1'b0;
    else if (take_beat) word_valid_q <= 1'b1;
    else if (word_ready_i) word_valid_q <= 1'b0;
    error_o <= take_beat && line_error && rst_ni;
  end
  assign word_valid_o = word_valid_q && running;
  assign word_o = {word_error_q, word_q};

  // the bits of a pixel that are no colour
  always_comb begin
    unused_line = next_row[34];
    for (int b = 0; b < LineBeats; b++) begin
      for (int p = 0; p < WordPixels; p++) unused_line ^= ^line[b][32*p+PixelBits+:32-PixelBits];
    end
  end

endmodule
