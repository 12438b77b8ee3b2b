// How many pixels `prep` takes together: so many that the slots of a full word of a stream take as long as reading the words does,
// a word a cycle, and no more than the operand memory has banks. All powers of two.
package prep_pkg;

  function automatic int unsigned at_most(int unsigned number, int unsigned limit);
    return number < limit ? number : limit;
  endfunction

  // Kinds 0 and 1: a slot for each block of I channels.
  function automatic int unsigned lane_pixels(int unsigned p, int unsigned o, int unsigned i);
    return at_most(o / i, p);
  endfunction

  // Kind 2: a slot for each plane of each block. The most of all kinds.
  function automatic int unsigned plane_pixels(int unsigned p, int unsigned o, int unsigned i);
    return at_most(2 * o / i, p);
  endfunction

  // Kind 3: a slot for each plane of a word of the state.
  localparam int unsigned StatePixels = 2;

endpackage
