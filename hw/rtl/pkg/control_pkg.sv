// What the control unit's modules hand each other.

package control_pkg;

  // Registers as a program sees them: taken at its start, still until its end.
  typedef struct packed {
    logic [63:0] program_base;
    logic [31:0] program_length;
    logic [63:0] data;
    logic [63:0] step_base;
    logic [31:0] step_stride;
    logic [31:0] steps;
    logic [63:0] seed;
    logic [63:0] image;
  } settings_t;

  // Who stopped the program, and why.
  typedef struct packed {
    logic [23:0] descriptor;
    diffuser_isa_pkg::unit_e who;
    diffuser_isa_pkg::error_e code;
  } fault_t;

  // An entry of a unit's queue: a descriptor with what its dispatch fixed.
  typedef struct packed {
    logic [4:0][15:0] sums;  // retired counts that it waits for, one a unit
    logic [23:0] index;
    logic [31:0] step;
    logic [511:0] desc;
  } entry_t;

  // A read or write of the AXI4 masters is a row of beats of this many bytes.
  localparam int unsigned BeatBytes = 16;
  localparam int unsigned BeatBits = 8 * BeatBytes;
  localparam int unsigned BusAddrWidth = 40;
  localparam int unsigned MaxBeats = 16;  // bursts end where the address is a multiple of 256: none crosses 4 KB

  // After an error a unit or the bus that lets nothing retire for 2^DrainLog cycles will never answer (docs/isa.md).
  localparam int unsigned DrainLog = 16;

endpackage
