// Numbers that the parts of the norm unit hand on. Their ranges follow from these bounds of a group:
//
//   values    n < 2^24
//   squares   Σx² < 2^64 after rescaling: u64 in crates/spec
//   sum       |Σx| < 2^44, since (Σx)² <= n Σx² < 2^88
//   D         < 2^16 2^88 + 2^48 2^63 < 2^112
package norm_pkg;

  localparam int unsigned SumWidth = 48;  // 44 and a sign, in whole limbs of 16 bits
  localparam int unsigned SquaresWidth = 64;
  localparam int unsigned DWidth = 112;

  // What a group's channels share: x r n and x r Σx of docs/numerics.md as mantissa * 2^-exponent.
  typedef struct packed {
    logic [18:0] deviation;  // 2^17 to 2^18
    logic signed [7:0] deviation_exponent;  // -6 to 73
    logic mean_negative;
    logic [24:0] mean;  // 2^23 to 2^24, or 0
    logic signed [7:0] mean_exponent;  // -24 to 79
  } factors_t;

endpackage
