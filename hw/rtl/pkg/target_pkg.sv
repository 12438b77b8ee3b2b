// Builds of the accelerator: the array and the sizes of its memories. The compiler's `Target` and the simulator's `Sizes`
// of the same name are equal (a test of crates/cosim compares them).

package target_pkg;

  typedef struct packed {
    // the array: pixels, output channels, input channels; powers of two, O a multiple of I
    int unsigned P;
    int unsigned O;
    int unsigned I;
    // words (rows, entries) of each memory
    int unsigned Stream;  // a multiple of 512 * StreamBanks wastes no block RAM
    int unsigned Operand;
    int unsigned Weight;
    int unsigned Param;
    int unsigned Affine;  // a power of two
    int unsigned Sums;
    int unsigned State;
    // keys of an attention at most, a power of two
    int unsigned Keys;
    // as many accesses of the stream memory a cycle at best; a power of two
    int unsigned StreamBanks;
    // read ports to DDR
    int unsigned ReadPorts;
  } target_t;

  // For tests.
  localparam target_t Small = '{
      P: 4,
      O: 8,
      I: 8,
      Stream: 32768,
      Operand: 8192,
      Weight: 4096,
      Param: 2048,
      Affine: 1024,
      Sums: 2048,
      State: 1024,
      Keys: 1024,
      StreamBanks: 4,
      ReadPorts: 4
  };

  localparam target_t Zu9eg = '{
      P: 8,
      O: 32,
      I: 16,
      Stream: 26624,
      Operand: 4096,
      Weight: 1024,
      Param: 4096,
      Affine: 2048,
      Sums: 4096,
      State: 4096,
      Keys: 256,
      StreamBanks: 4,
      ReadPorts: 4
  };

  // By number, so that a build can name it on the command line: 0 small, 1 zu9eg.
  function automatic target_t target(int unsigned number);
    return number == 1 ? Zu9eg : Small;
  endfunction

endpackage
