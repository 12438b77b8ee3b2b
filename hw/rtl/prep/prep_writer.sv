// Results of `prep` and their places, both in the order of slots, to the operand memory or to the stream memory.
//
// A place comes when its slot enters, its result some cycles later; `room_o` is high while there is room for both of a further slot. A result
// holds I channels of some pixels, a byte each; pixel p goes to bank `bank + p`, with `swap` to that bank's neighbour. A result for the stream memory is one pixel: low bytes in the
// place of pixel 0, high bytes in that of pixel 1.
module prep_writer
  import diffuser_pkg::*;
#(
    parameter int unsigned P = 8,
    parameter int unsigned O = 32,
    parameter int unsigned I = 16,
    parameter int unsigned Pixels = 4,
    localparam int unsigned SelWidth = O > I ? $clog2(O / I) : 1,
    localparam int unsigned BankWidth = $clog2(P),
    localparam int unsigned LanesWidth = $clog2(I) + 1,
    localparam int unsigned IndexWidth = $clog2(Pixels)
) (
    input logic clk_i,
    input logic rst_ni,

    input logic to_stream_i,  // stable

    input  logic                  place_i,   // in a cycle with `room_o`
    input  logic [SelWidth-1:0]   select_i,  // of the stream's word
    input  logic [AddrWidth-1:0]  dest_i,
    input  logic [BankWidth-1:0]  bank_i,    // of the first pixel
    input  logic                  swap_i,
    input  logic [IndexWidth-1:0] pixels_i,  // less one
    input  logic [LanesWidth-1:0] lanes_i,   // lanes that hold a channel; others are written as 0
    input  logic                  group_i,   // last of its group
    output logic                  room_o,

    input logic                          result_i,
    input logic [Pixels-1:0][I-1:0][7:0] data_i,  // of chunks of fewer pixels in turn

    output logic                 stream_we_o,
    output logic [AddrWidth-1:0] stream_waddr_o,
    output logic [O-1:0]         stream_wstrb_o,
    output logic [O-1:0][15:0]   stream_wdata_o,
    input  logic                 stream_wgnt_i,

    output logic                     operand_we_o,
    output logic [AddrWidth-1:0]     operand_waddr_o,
    output logic [P-1:0]             operand_wstrb_o,
    output logic [P-1:0][I-1:0][7:0] operand_wdata_o,
    input  logic                     operand_wgnt_i,

    output logic group_o,  // pulse: a group has been written
    output logic busy_o
);

  localparam int unsigned Results = 32;

  localparam int unsigned Swaps = I > 4 ? 4 : I;  // of each pixel, so that none drives too many
  typedef struct packed {
    logic [SelWidth-1:0] select;
    logic [AddrWidth-1:0] dest;
    logic [BankWidth-1:0] bank;
    logic swap;
    logic [Pixels-1:0][Swaps-1:0] swap_data;
    logic [IndexWidth-1:0] pixels;
    logic [I-1:0] lanes;  // those that hold a channel
    logic group;
  } place_t;
  place_t place_in, place;
  always_comb begin
    place_in = '{
        select: select_i,
        dest: dest_i,
        bank: bank_i,
        swap: swap_i,
        swap_data: {(Pixels * Swaps) {swap_i}},
        pixels: pixels_i,
        lanes: '0,
        group: group_i
    };
    for (int unsigned i = 0; i < I; i++) place_in.lanes[i] = i < 32'(lanes_i);
  end

  logic take, result_valid, written, unused_valid, places_fit, results_fit;
  logic [Pixels-1:0][I-1:0][7:0] result;
  logic [1:0][$clog2(Results+1)-1:0] unused_count;
  fifo #(
      .Width($bits(place_t)),
      .Depth(Results)
  ) u_places (
      .clk_i,
      .rst_ni,
      .clear_i(1'b0),
      .in_valid_i(place_i),
      .in_ready_o(places_fit),
      .in_data_i(place_in),
      .out_valid_o(unused_valid),
      .out_ready_i(take),
      .out_data_o(place),
      .count_o(unused_count[0])
  );
  fifo #(
      .Width(Pixels * I * 8),
      .Depth(Results)
  ) u_results (
      .clk_i,
      .rst_ni,
      .clear_i(1'b0),
      .in_valid_i(result_i),
      .in_ready_o(results_fit),
      .in_data_i(data_i),
      .out_valid_o(result_valid),
      .out_ready_i(take),
      .out_data_o(result),
      .count_o(unused_count[1])
  );

  // places without their write; one less is shown, for the slot that enters in this very cycle
  logic [5:0] owed_q;
  logic owed_none_q;
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      owed_q <= '0;
      room_o <= 1'b1;
      owed_none_q <= 1'b1;
    end else begin
      owed_q <= owed_q + 6'(place_i) - 6'(written);
      room_o <= owed_q < 6'(Results - 1);
      owed_none_q <= owed_q == '0 && !place_i;
    end
  end
  assign busy_o = !owed_none_q;

  logic operand_we_q, stream_we_q, group_q;
  logic [AddrWidth-1:0] dest_q;
  logic [P-1:0] bank_q;
  logic [O-1:0] strobe_q;
  logic [Pixels-1:0][I-1:0][7:0] data_q;
  logic [P-1:0] banks;
  assign banks = (~(~P'(1) << place.pixels)) << place.bank;
  assign written = (operand_we_q && operand_wgnt_i) || (stream_we_q && stream_wgnt_i);
  assign take = result_valid && (written || !(operand_we_q || stream_we_q));
  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      operand_we_q <= 1'b0;
      stream_we_q  <= 1'b0;
    end else begin
      operand_we_q <= (take && !to_stream_i) || (operand_we_q && !operand_wgnt_i);
      stream_we_q  <= (take && to_stream_i) || (stream_we_q && !stream_wgnt_i);
    end
    if (take) begin
      group_q <= place.group;
      dest_q <= place.dest;
      for (int unsigned b = 0; b < P; b++) bank_q[b] <= place.swap ? banks[b^1] : banks[b];
      for (int unsigned o = 0; o < O; o++) strobe_q[o] <= o / I == 32'(place.select);
      for (int unsigned i = 0; i < I; i++) begin
        for (int unsigned p = 0; p < Pixels; p++) begin
          data_q[p][i] <= place.lanes[i] ? result[place.swap_data[p][i*Swaps/I] ? p ^ 1 : p][i] : '0;
        end
      end
    end
  end

  assign operand_we_o = operand_we_q;
  assign operand_waddr_o = dest_q;
  assign operand_wstrb_o = bank_q;
  assign stream_we_o = stream_we_q;
  assign stream_waddr_o = dest_q;
  assign stream_wstrb_o = strobe_q;
  always_comb begin
    for (int unsigned p = 0; p < P; p++) operand_wdata_o[p] = data_q[p%Pixels];
    for (int unsigned o = 0; o < O; o++) stream_wdata_o[o] = {data_q[1][o%I], data_q[0][o%I]};
  end
  assign group_o = operand_we_q && operand_wgnt_i && group_q;

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) place_i |-> places_fit)
  else $error("%m: a place is lost");
  assert property (@(posedge clk_i) disable iff (!rst_ni) result_i |-> results_fit)
  else $error("%m: a result is lost");
`endif

endmodule
