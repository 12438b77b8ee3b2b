// The sizes in target_pkg, for a test to compare with the compiler's and the simulator's.

module target_values #(
  parameter int unsigned Target = 0
) (
  output int unsigned pixels_o,
  output int unsigned outputs_o,
  output int unsigned inputs_o,
  output int unsigned stream_o,
  output int unsigned operand_o,
  output int unsigned weight_o,
  output int unsigned param_o,
  output int unsigned affine_o,
  output int unsigned sums_o,
  output int unsigned state_o,
  output int unsigned keys_o
);

  localparam target_pkg::target_t T = target_pkg::target(Target);

  assign pixels_o = T.P;
  assign outputs_o = T.O;
  assign inputs_o = T.I;
  assign stream_o = T.Stream;
  assign operand_o = T.Operand;
  assign weight_o = T.Weight;
  assign param_o = T.Param;
  assign affine_o = T.Affine;
  assign sums_o = T.Sums;
  assign state_o = T.State;
  assign keys_o = T.Keys;

endmodule
