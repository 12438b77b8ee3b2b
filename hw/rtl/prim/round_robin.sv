// Chooses one of N requests in turn.
//
// The request next after the last one that was served comes first, so that each waits for N - 1 others at most. `gnt_o` is one-hot, or 0
// without a request; it follows `req_i` in the same cycle.
//
// Cost: N registers and about 2 levels of LUTs for N up to 5 (two priority chains of N bits); meant for N up to 8.
module round_robin #(
  parameter int unsigned N = 4
) (
  input logic clk_i,
  input logic rst_ni,

  input  logic [N-1:0] req_i,
  input  logic         advance_i,  // the grant is used: go on behind it
  output logic [N-1:0] gnt_o
);

  // Requests behind the last one served. A thermometer code, so that no chain has to wrap around.
  logic [N-1:0] behind_q;
  logic [N-1:0] late, first_late, first_any;

  assign late = req_i & behind_q;
  assign first_late = late & ~(late - 1'b1);
  assign first_any = req_i & ~(req_i - 1'b1);
  assign gnt_o = late != '0 ? first_late : first_any;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      behind_q <= '0;
    end else if (advance_i && req_i != '0) begin
      // all bits above the granted one, made without a chain
      for (int unsigned i = 0; i < N; i++) behind_q[i] <= (gnt_o & ~({N{1'b1}} << i)) != '0;
    end
  end

`ifndef SYNTHESIS
  assert property (@(posedge clk_i) disable iff (!rst_ni) $onehot0(gnt_o))
  else $error("%m: more than one grant");
  assert property (@(posedge clk_i) disable iff (!rst_ni) (gnt_o & ~req_i) == '0)
  else $error("%m: a grant without a request");
  assert property (@(posedge clk_i) disable iff (!rst_ni) req_i != '0 |-> gnt_o != '0)
  else $error("%m: a request, and no grant");
`endif

endmodule
