// AMD's flip-flop FDRE as UG974 describes it: an enable, and a reset that comes before it. For tests; ours, not AMD's.
module FDRE (
  output logic Q,
  input logic C,
  input logic CE,
  input logic D,
  input logic R
);

  always_ff @(posedge C) begin
    if (R) Q <= 1'b0;
    else if (CE) Q <= D;
  end

endmodule
