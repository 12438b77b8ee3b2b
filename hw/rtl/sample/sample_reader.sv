// Reads Count words from First on, ahead of who takes them: the client of a read port of hw/README.md.
//
// Cost: a FIFO of Depth words in distributed RAM, two counters.
module sample_reader #(
  parameter int unsigned AddrWidth = 24,
  parameter int unsigned DataWidth = 64,
  parameter int unsigned Depth = 8  // words read ahead; more than the memory's latency reads a word a cycle
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic                 start_i,  // only when idle and empty
  input  logic [AddrWidth-1:0] first_i,
  input  logic [         23:0] count_i,
  input  logic                 stop_i,  // ask for no more
  input  logic                 clear_i,  // forget what has been read; only when idle
  output logic                 idle_o,  // nothing is asked for or under way

  output logic                 req_o,
  output logic [AddrWidth-1:0] addr_o,
  input  logic                 gnt_i,
  input  logic                 rvalid_i,
  input  logic [DataWidth-1:0] rdata_i,

  output logic                 valid_o,
  input  logic                 ready_i,
  output logic [DataWidth-1:0] data_o
);

  localparam int unsigned CountWidth = $clog2(Depth + 1);

  logic [AddrWidth-1:0] addr_q;
  logic [23:0] left_q;
  logic some_q;  // left_q != 0
  logic [CountWidth-1:0] places_q, owed_q;
  logic granted, fifo_ready;
  logic [CountWidth-1:0] fifo_count;

  assign req_o = some_q && places_q != '0;
  assign addr_o = addr_q;
  assign granted = req_o && gnt_i;
  assign idle_o = !some_q && owed_q == '0;

  always_ff @(posedge clk_i) begin
    if (!rst_ni || clear_i) begin
      some_q   <= 1'b0;
      places_q <= CountWidth'(Depth);
      owed_q   <= '0;
    end else begin
      if (start_i) some_q <= count_i != '0;
      else if (stop_i && (granted || !req_o)) some_q <= 1'b0;
      else if (granted) some_q <= left_q != 24'd1;
      places_q <= places_q + CountWidth'(valid_o && ready_i) - CountWidth'(granted);
      owed_q   <= owed_q + CountWidth'(granted) - CountWidth'(rvalid_i);
    end
  end

  always_ff @(posedge clk_i) begin
    if (start_i) begin
      addr_q <= first_i;
      left_q <= count_i;
    end else if (granted) begin
      addr_q <= addr_q + 1'b1;
      left_q <= left_q - 1'b1;
    end
  end

  fifo #(
    .Width(DataWidth),
    .Depth(Depth)
  ) u_words (
    .clk_i,
    .rst_ni,
    .clear_i,
    .in_valid_i(rvalid_i),
    .in_ready_o(fifo_ready),
    .in_data_i(rdata_i),
    .out_valid_o(valid_o),
    .out_ready_i(ready_i),
    .out_data_o(data_o),
    .count_o(fifo_count)
  );

  logic unused;
  assign unused = &{1'b0, fifo_ready, fifo_count};

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni || clear_i) rvalid_i |-> fifo_ready && owed_q != '0)
  else $error("%m: a word that was not asked for");
`endif

endmodule
