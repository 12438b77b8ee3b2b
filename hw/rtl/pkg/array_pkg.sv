// Types and constants inside the array unit.

package array_pkg;

  // Cycles from a controller's request to array_front until the operands and weights enter mac_array: two of the
  // memories, one of the lane crossbar. Bypass operands enter with the memories' data, BypassDelay after the request.
  localparam int unsigned FrontLatency = 3;
  localparam int unsigned BypassDelay = 2;

  // A cascade of DSPs is 8 lanes long at most: 8 * 127 * 127 < 2^17, so that the lower of two packed sums keeps its 18 bits.
  localparam int unsigned MaxCascade = 8;

  function automatic int unsigned cascade_lanes(int unsigned inputs);
    return inputs < MaxCascade ? inputs : MaxCascade;
  endfunction

  // Cycles from an issue with `last` to `acc_valid` of mac_array with that many input lanes: skew of the last lane, four
  // registers of its DSP, split of the pair, tree over cascades, accumulator.
  function automatic int unsigned mac_latency(int unsigned inputs);
    return (cascade_lanes(inputs) - 1) + 4 + 1 + $clog2(inputs / cascade_lanes(inputs)) + 1;
  endfunction

endpackage
