// The primitive's ports: for a front end that checks them. Empty; the device has it.

(* blackbox *)
module FDRE (
  output logic Q,
  input logic C,
  input logic CE,
  input logic D,
  input logic R
);
endmodule
