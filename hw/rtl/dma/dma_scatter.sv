// Takes the lines of the read ports in order and writes them into the on-chip memories.
//
// A line of 64 bytes is cut into pieces: a weight memory's word, or 64 bytes of it, of 4-bit weights 128; a parameter entry; a stream
// word; a state word. One piece a cycle, so weights of either kind come as fast as the bus gives them, where a word is that long.
module dma_scatter
  import diffuser_isa_pkg::*;
  import diffuser_pkg::*;
  import dma_pkg::*;
#(
  parameter int unsigned ReadPorts = 4,
  parameter int unsigned O = 32,
  parameter int unsigned I = 16,
  parameter int unsigned Depth = 8  // transfers
) (
  input logic clk_i,
  input logic rst_ni,
  input logic stop_i,  // forget all; a write that is offered is still made
  output logic idle_o,  // no write is offered

  input logic valid_i,  // there is a place
  input job_t job_i,

  input logic [ReadPorts-1:0] line_valid_i,
  output logic [ReadPorts-1:0] line_ready_o,
  input logic [ReadPorts-1:0][LineBits-1:0] line_i,
  input logic [ReadPorts-1:0] line_last_i,
  input logic [ReadPorts-1:0] line_error_i,

  output logic   done_o,  // pulse: all of a transfer is in its memory
  output error_e code_o,

  output logic                      weight_we_o,
  output logic [AddrWidth-1:0]      weight_waddr_o,
  output logic [O*I-1:0][7:0]       weight_wdata_o,
  output logic [O*I-1:0]            weight_wstrb_o,
  input  logic                      weight_wgnt_i,

  output logic                      param_we_o,
  output logic [EntryWidth-1:0]     param_waddr_o,
  output logic [63:0]               param_wdata_o,
  input  logic                      param_wgnt_i,

  output logic                      stream_we_o,
  output logic [AddrWidth-1:0]      stream_waddr_o,
  output logic [O-1:0][15:0]        stream_wdata_o,
  input  logic                      stream_wgnt_i,

  output logic                      state_we_o,
  output logic [AddrWidth-1:0]      state_waddr_o,
  output logic [3:0][31:0]          state_wdata_o,
  input  logic                      state_wgnt_i
);

  localparam int unsigned WordBytes = O * I;
  localparam int unsigned PieceBytes = WordBytes < LineBytes ? WordBytes : LineBytes;
  localparam int unsigned WordPieces = WordBytes / PieceBytes;
  // the same of 4-bit weights, in bytes of the weight memory
  localparam int unsigned Piece4Bytes = WordBytes < 2 * LineBytes ? WordBytes : 2 * LineBytes;
  localparam int unsigned Word4Pieces = WordBytes / Piece4Bytes;
  localparam int unsigned SubWidth = WordPieces > 1 ? $clog2(WordPieces) : 1;
  localparam int unsigned LeftWidth = 24 + $clog2(WordPieces);
  localparam int unsigned PortWidth = ReadPorts > 1 ? $clog2(ReadPorts) : 1;

  // verilator lint_off UNUSEDSIGNAL
  job_t next;  // the requests have its other half
  // verilator lint_on UNUSEDSIGNAL
  logic next_valid, unused_ready;
  logic [$clog2(Depth+1)-1:0] unused_count;
  logic active_q, weights_q, word_end;
  space_e space_q;
  error_e code_q;
  logic failed_q;
  logic [AddrWidth-1:0] address_q;
  logic [SubWidth-1:0] sub_q;
  logic [LeftWidth-1:0] left_q;  // pieces of the transfer
  logic last_q, none_q;  // left_q is 1, is 0
  logic begin_job, end_job;

  fifo #(
    .Width($bits(job_t)),
    .Depth(Depth)
  ) u_jobs (
    .clk_i,
    .rst_ni,
    .clear_i(stop_i),
    .in_valid_i(valid_i),
    .in_ready_o(unused_ready),
    .in_data_i(job_i),
    .out_valid_o(next_valid),
    .out_ready_i(begin_job),
    .out_data_o(next),
    .count_o(unused_count)
  );

  // ---------------------------------------------------------------- the line at hand

  logic [PortWidth-1:0] port_q;
  logic [LineBits-1:0] line_q;
  logic held_q;
  logic [3:0] pieces_q;  // of it, 1 to 8, less one; of short words up to 16
  logic take, consume, out_ready, out_valid;

  assign begin_job = !active_q;
  assign word_end = sub_q == (space_q == SpaceWeight4 ? SubWidth'(Word4Pieces - 1) : SubWidth'(WordPieces - 1));
  assign consume = held_q && out_ready;
  assign take = active_q && !none_q && line_valid_i[port_q]
      && (!held_q || (out_ready && pieces_q == '0 && !last_q));
  for (genvar p = 0; p < ReadPorts; p++) begin : gen_port
    assign line_ready_o[p] = take && port_q == PortWidth'(p);
  end

  // What the line's bits are chosen by, in registers of 32 bits each, so that none has too many readers: the port; what a piece
  // is, a cycle late, when no piece has left yet; whether there is a further piece. Where there is none, the line's bits mean nothing unless
  // the next line is taken.
  localparam int unsigned Parts = LineBits / 32;
  logic [Parts-1:0][PortWidth-1:0] port_part_q;
  logic [Parts-1:0][$bits(space_e)-1:0] space_part_q;
  logic [Parts-1:0] further_q;
  logic [PortWidth-1:0] port;
  logic [3:0] pieces_left;
  logic held, line_step;
  assign line_step = take || consume;
  always_comb begin
    port = port_q;
    if (take && line_last_i[port_q]) port = port_q == PortWidth'(ReadPorts - 1) ? '0 : port_q + 1'b1;
    held = take || (held_q && !(consume && (pieces_q == '0 || last_q)));
    pieces_left = take ? pieces(space_q) : consume ? pieces_q - 1'b1 : pieces_q;
    if (!rst_ni || stop_i) {port, held} = '0;
  end
  copies #(
    .Width(PortWidth),
    .Copies(Parts)
  ) u_port (
    .clk_i,
    .d_i(port),
    .q_o(port_part_q)
  );
  copies #(
    .Width($bits(space_e)),
    .Copies(Parts)
  ) u_space (
    .clk_i,
    .d_i(space_q),
    .q_o(space_part_q)
  );
  copies #(
    .Copies(Parts)
  ) u_further (
    .clk_i,
    .d_i(held && pieces_left != '0),
    .q_o(further_q)
  );

  // Pieces of a line, less one.
  function automatic logic [3:0] pieces(space_e space);
    unique case (space)
      SpaceWeight: return 4'(LineBytes / PieceBytes - 1);
      SpaceWeight4: return 4'(2 * LineBytes / Piece4Bytes - 1);
      SpaceParam: return 4'd7;
      SpaceStream: return 4'(LineBytes / (2 * O) - 1);
      default: return 4'd3;
    endcase
  endfunction

  for (genvar k = 0; k < Parts; k++) begin : gen_part
    // verilator lint_off UNUSEDSIGNAL  // of it one part
    logic [LineBits-1:0] shifted;
    // verilator lint_on UNUSEDSIGNAL
    logic [31:0] part;
    always_comb begin
      unique case (space_e'(space_part_q[k]))
        SpaceWeight: shifted = line_q >> (PieceBytes < LineBytes ? 8 * PieceBytes : 0);
        SpaceWeight4: shifted = line_q >> (Piece4Bytes < 2 * LineBytes ? 4 * Piece4Bytes : 0);
        SpaceParam: shifted = line_q >> 64;
        SpaceStream: shifted = line_q >> (2 * O < LineBytes ? 16 * O : 0);
        default: shifted = line_q >> 128;
      endcase
      part = further_q[k] ? shifted[32*k+:32] : line_i[port_part_q[k]][32*k+:32];
    end
    always_ff @(posedge clk_i) if (line_step) line_q[32*k+:32] <= part;
  end

  always_ff @(posedge clk_i) begin
    pieces_q <= pieces_left;
    if (begin_job) begin
      space_q <= next.space;
      weights_q <= next.space == SpaceWeight || next.space == SpaceWeight4;
      code_q <= next.code;
      failed_q <= 1'b0;
      address_q <= next.address;
      sub_q <= '0;
      none_q <= next.code != ErrorNone;
      last_q <= next.code == ErrorNone && next.words == 24'd1 && (WordPieces == 1 || next.space != SpaceWeight)
          && (Word4Pieces == 1 || next.space != SpaceWeight4);
      unique case (next.space)
        SpaceWeight: left_q <= LeftWidth'(next.words) << $clog2(WordPieces);
        SpaceWeight4: left_q <= LeftWidth'(next.words) << $clog2(Word4Pieces);
        default: left_q <= LeftWidth'(next.words);
      endcase
    end else begin
      if (take && line_error_i[port_q]) failed_q <= 1'b1;
      if (consume) begin
        left_q <= left_q - 1'b1;
        last_q <= left_q == LeftWidth'(2);
        none_q <= last_q;
        if (weights_q) sub_q <= word_end ? '0 : sub_q + 1'b1;
        if (!weights_q || word_end) address_q <= address_q + 1'b1;
      end
    end
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni || stop_i) begin
      active_q <= 1'b0;
    end else begin
      if (begin_job) active_q <= next_valid;
      else if (end_job) active_q <= 1'b0;
    end
    held_q <= held;
    port_q <= port;
  end

  // ---------------------------------------------------------------- the write

  // Two places, so that no grant of a memory reaches the lines within its cycle.
  localparam int unsigned Fours = Piece4Bytes > 4 ? Piece4Bytes / 4 : 1;
  typedef struct packed {
    space_e space;
    logic [AddrWidth-1:0] address;
    logic [SubWidth-1:0] sub;
    logic [Fours-1:0] four;  // 4-bit weights, for each 4 bytes of what is written: one would have too many readers
    logic [LineBits-1:0] data;
  } write_t;
  write_t in, out;
  logic granted;
  logic [Piece4Bytes-1:0][7:0] wide;
  logic [1:0] unused_writes;

  assign in = '{space: space_q, address: address_q, sub: sub_q, four: {Fours{space_q == SpaceWeight4}}, data: line_q};

  // 4-bit weights, the lower half of a byte first. They are made bytes here, in the memory's multiplexer, not in front of the two places.
  for (genvar i = 0; i < Piece4Bytes; i++) begin : gen_wide
    assign wide[i] = 8'(signed'(out.data[4*i+:4]));
  end

  fifo #(
    .Width($bits(write_t)),
    .Depth(2)
  ) u_writes (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .in_valid_i(held_q && !stop_i),
    .in_ready_o(out_ready),
    .in_data_i(in),
    .out_valid_o(out_valid),
    .out_ready_i(granted),
    .out_data_o(out),
    .count_o(unused_writes)
  );

  assign granted = (weight_we_o && weight_wgnt_i) || (param_we_o && param_wgnt_i)
      || (stream_we_o && stream_wgnt_i) || (state_we_o && state_wgnt_i);
  assign idle_o = !out_valid;

  assign weight_we_o = out_valid && (out.space == SpaceWeight || out.space == SpaceWeight4);
  assign weight_waddr_o = out.address;
  for (genvar s = 0; s < WordPieces; s++) begin : gen_piece
    localparam int unsigned First = s * PieceBytes;
    for (genvar i = 0; i < PieceBytes; i++) begin : gen_byte
      localparam int unsigned Byte = First % Piece4Bytes + i;
      assign weight_wdata_o[First+i] = out.four[Byte*Fours/Piece4Bytes] ? wide[Byte] : out.data[8*i+:8];
    end
    assign weight_wstrb_o[First+:PieceBytes] = {PieceBytes{out.sub == SubWidth'(out.four[0] ? First / Piece4Bytes : s)}};
  end
  assign param_we_o = out_valid && out.space == SpaceParam;
  assign param_waddr_o = out.address[EntryWidth-1:0];
  assign param_wdata_o = out.data[63:0];
  assign stream_we_o = out_valid && out.space == SpaceStream;
  assign stream_waddr_o = out.address;
  assign stream_wdata_o = out.data[16*O-1:0];
  assign state_we_o = out_valid && out.space == SpaceState;
  assign state_waddr_o = out.address;
  assign state_wdata_o = out.data[127:0];

  assign end_job = active_q && none_q && !out_valid;
  assign done_o = end_job && !stop_i;
  assign code_o = code_q != ErrorNone ? code_q : failed_q ? ErrorRead : ErrorNone;

`ifndef SYNTHESIS
  initial assert (O * I >= 16 && O >= 8 && O <= 32)
  else $error("%m: an array of this shape was not thought of");
  assert property (@(posedge clk_i) disable iff (!rst_ni || stop_i) valid_i |-> unused_ready)
  else $error("%m: no place for a transfer");
`endif

endmodule
