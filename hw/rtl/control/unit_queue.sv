// Queue of one unit: descriptors in order, each handed to the unit when its waits are fulfilled.
//
// Counters and sums are modulo 2^16, a wait is fulfilled where `retired - sum`, as a signed number, is not negative. Retired counts only
// grow, so what was fulfilled once stays so: each wait is one registered comparison of the head.
module unit_queue
  import diffuser_isa_pkg::*;
  import control_pkg::*;
#(
  parameter int unsigned Depth = 4,  // descriptors that wait behind the head
  parameter int unsigned MaxInFlight = 4  // that the unit may have taken and not retired
) (
  input logic clk_i,
  input logic rst_ni,
  input logic flush_i,  // drop all that the unit has not taken

  input  logic   in_valid_i,
  output logic   in_ready_o,
  input  entry_t in_entry_i,

  input logic [NumUnits-1:0][15:0] retired_i,
  input logic prep_started_i,  // the next descriptor of prep to retire has been taken

  output logic         desc_valid_o,
  input  logic         desc_ready_i,
  output logic [511:0] desc_o,
  output logic [ 31:0] step_o,
  input  logic         done_i,

  output logic empty_o,  // nothing queued, nothing in flight
  output logic running_o,  // something in flight: the oldest of it is
  output logic [23:0] running_index_o,
  output logic taken_o,  // pulse: a descriptor is handed over
  output logic chained_o,  // the descriptor that was handed over last is chained
  output logic [15:0] chain_sum_o,  // retired count of prep that ends its chain
  output logic [NumUnits-1:0] waiting_o  // of which units the head waits for
);

  entry_t next, head_q;
  common_t common;
  logic next_valid, load, issue, head_valid_q, room, checked_q, go_q;
  logic [NumUnits-1:0] met, met_q;
  logic [NumUnits-1:0][15:0] ahead;
  logic [$clog2(Depth+1)-1:0] unused_queued;
  logic [$clog2(MaxInFlight+1)-1:0] unused_running;

  fifo #(
    .Width($bits(entry_t)),
    .Depth(Depth)
  ) u_entries (
    .clk_i,
    .rst_ni,
    .clear_i(flush_i),
    .in_valid_i,
    .in_ready_o,
    .in_data_i(in_entry_i),
    .out_valid_o(next_valid),
    .out_ready_i(load),
    .out_data_o(next),
    .count_o(unused_queued)
  );

  assign issue = desc_valid_o && desc_ready_i;
  assign load = !head_valid_q;
  assign common = common_t'(head_q.desc);

  // a - b = -1, without the difference: a + ~b = 16'hfffe where at each place the sum without carries is what the carry makes it.
  function automatic logic one_less(logic [15:0] a, logic [15:0] b);
    logic [15:0] carry;
    // the bit of the result is 1 but for the lowest, so that a carry leaves a place only where both bits are 1
    carry = {a[14:0] & ~b[14:0], 1'b0};
    carry[1] = a[0] | ~b[0];
    return (a ^ ~b ^ carry) == 16'hfffe;
  endfunction

  for (genvar u = 0; u < NumUnits; u++) begin : gen_wait
    assign ahead[u] = retired_i[u] - head_q.sums[u];
    if (u == int'(UnitPrep)) begin : gen_chain
      // A chained descriptor starts once the one it follows runs.
      assign met[u] = !common.waits[u] || !ahead[u][15]
          || (common.chain && one_less(retired_i[u], head_q.sums[u]) && prep_started_i);
    end else begin : gen_plain
      assign met[u] = !common.waits[u] || !ahead[u][15];
    end
  end

  always_ff @(posedge clk_i) begin
    if (load) head_q <= next;
    if (!rst_ni || flush_i) begin
      head_valid_q <= 1'b0;
      checked_q <= 1'b0;
      met_q <= '0;
      go_q <= 1'b0;
    end else if (load) begin
      head_valid_q <= next_valid;
      checked_q <= 1'b0;
      met_q <= '0;
      go_q <= 1'b0;
    end else begin
      if (issue) head_valid_q <= 1'b0;
      checked_q <= !issue;
      met_q <= met;
      go_q <= !issue && (&met_q);
    end
  end

  assign desc_valid_o = go_q && room && !flush_i;
  assign desc_o = head_q.desc;
  assign step_o = head_q.step;
  assign waiting_o = {NumUnits{head_valid_q && checked_q}} & ~met_q;
  assign empty_o = !head_valid_q && !next_valid && !running_o;

  fifo #(
    .Width(24),
    .Depth(MaxInFlight)
  ) u_running (
    .clk_i,
    .rst_ni,
    .clear_i(1'b0),
    .in_valid_i(issue),
    .in_ready_o(room),
    .in_data_i(head_q.index),
    .out_valid_o(running_o),
    .out_ready_i(done_i),
    .out_data_o(running_index_o),
    .count_o(unused_running)
  );

  assign taken_o = issue;

  always_ff @(posedge clk_i) begin
    if (issue) begin
      chained_o   <= common.chain;
      chain_sum_o <= head_q.sums[UnitPrep];
    end
  end

  logic unused_common;
  assign unused_common = ^{common, 1'b0};

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) done_i |-> running_o)
  else $error("%m: done without a descriptor");
  // Met waits stay met until the descriptor leaves.
  assert property (@(posedge clk_i) disable iff (!rst_ni) !load && !flush_i |=> (met_q & $past(met_q)) == $past(met_q) || flush_i)
  else $error("%m: a wait that was fulfilled is not any more");
`endif

endmodule
