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

  // Cycles from an issue with `last` to `acc_valid` of mac_array with that many input lanes: a register and the skew of the last lane, four
  // registers of its DSP, split of the pair, tree over cascades, accumulator.
  function automatic int unsigned mac_latency(int unsigned inputs);
    return 1 + (cascade_lanes(inputs) - 1) + 4 + 1 + $clog2(inputs / cascade_lanes(inputs)) + 1;
  endfunction

  // A `conv` as its stages use it: fields of the descriptor, and what conv_setup makes of them.
  typedef struct packed {
    logic [1:0] dest_kind;
    logic planes;
    logic [1:0] kernel_last;  // rows and columns of the kernel, less one
    logic stride;
    logic upsample;
    logic residual;
    logic sums;
    logic add_sums;
    logic interleave;
    logic chain;
    logic spread;  // the operand
    logic [1:0] pad_top;
    logic [1:0] pad_left;
    logic [7:0] tiles;
    logic [15:0] blocks;
    logic [23:0] operand;
    logic [23:0] weights;
    logic [11:0] in_width;
    logic [12:0] rows;  // of the input, after upsampling
    logic [12:0] columns;
    logic [23:0] block_rows;  // operand rows of a block: ceil(input pixels / P)
    logic [11:0] out_width;
    logic [23:0] pixels;  // of the result
    logic [23:0] groups;  // ceil(pixels / P)
    logic [23:0] base;  // address of the result's first write
    logic [23:0] step;  // from a channel block of the result to the next
    logic [23:0] head_step;  // K: from the last block of a head to the first of the next
    logic [7:0] head_block;  // K: the first block's place in its head
    logic [7:0] head_blocks;
    logic head_end;  // K: it is the head's last
    logic [23:0] residual_at;
    logic [23:0] dest_plane;
    logic [15:0] sums_base;
    logic [15:0] param;
  } conv_cfg_t;

  // Where a tap stands in the loops of a `conv`.
  typedef struct packed {
    logic first;  // first tap of a group
    logic plane_first;  // first tap of the second plane
    logic plane_end;  // last tap of the first of two planes
    logic group_end;  // last tap of a group
    logic tile_end;  // of a tile
    logic desc_end;  // of the descriptor
    logic tile0;  // in the first tile
  } tap_flags_t;

  // What goes through requantisation with a pixel.
  typedef struct packed {
    logic bank;  // of the channel parameters
    logic stream;  // 16 bits, else 8
    logic residual;
    logic [5:0] residual_shift;  // right by so much of the residual times 2^33
    logic sums;
    logic tile_end;
    logic desc_end;
  } drain_tag_t;

  typedef struct packed {
    logic enable;  // the lane is a channel
    logic [5:0] shift;  // less one
    logic [15:0] mantissa;
    logic signed [31:0] bias;
  } channel_t;

  // What an accumulator does with a new sum.
  typedef struct packed {
    logic accumulate;
    logic first;  // forget what it holds
    logic shift;  // times 128 what it holds
  } mac_control_t;

endpackage
