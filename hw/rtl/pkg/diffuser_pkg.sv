// Types and constants that more than one unit shares; the field layouts are in diffuser_isa_pkg.

package diffuser_pkg;

  // Cycles from a granted read to its data.
  localparam int unsigned OperandLatency = 2;
  localparam int unsigned WeightLatency = 2;

  localparam int unsigned AddrWidth = 24;  // stream, operand, weight, state
  localparam int unsigned EntryWidth = 16;  // param, affine, sums

  // One channel's affine map: u = sat16(rnd(x a + b, shift)).
  typedef struct packed {
    logic [7:0] shift;
    logic signed [31:0] b;
    logic signed [15:0] a;
  } affine_t;

  // Exact sums of one channel of a stream.
  typedef struct packed {
    logic signed [63:0] sum_squares;
    logic signed [63:0] sum;
  } sums_t;

  // What a controller tells the multiply-accumulate array with the operands of a cycle.
  typedef struct packed {
    logic valid;
    logic first;  // begin from zero
    logic last;  // hand the accumulators over after this
    logic shift;  // times 128 before this product is added
  } issue_t;

endpackage
