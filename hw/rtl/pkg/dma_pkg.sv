// What the parts of the dma unit hand each other.

package dma_pkg;

  import control_pkg::*;

  localparam int unsigned BeatAddrWidth = BusAddrWidth - 4;  // addresses of beats
  localparam int unsigned BeatsWidth = 30;  // beats of a transfer: 2^24 words of up to 512 bytes
  localparam int unsigned LineBytes = 64;  // reads are put together to lines of four beats
  localparam int unsigned LineBits = 8 * LineBytes;
  localparam int unsigned LineBeats = LineBytes / BeatBytes;

  // A descriptor with its addresses worked out.
  typedef struct packed {
    logic store;
    diffuser_isa_pkg::space_e space;
    diffuser_isa_pkg::error_e code;  // other than none: nothing is to be moved
    logic [23:0] address;
    logic [23:0] words;
    logic [BeatAddrWidth-1:0] beat_address;
    logic [BeatsWidth-1:0] beats;
    logic [3:0] tail;  // bytes of the last beat, 0 for 16
  } job_t;

endpackage
