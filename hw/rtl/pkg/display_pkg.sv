// What the display's modules hand each other.

package display_pkg;

  localparam int unsigned WordPixels = 4;  // of the buffer's words: a beat of the bus
  localparam int unsigned PixelBits = 24;  // red, green, blue
  localparam int unsigned WordBits = WordPixels * PixelBits + 1;  // the highest: it was read with an error

  // Lengths of the parts of a line, in pixels, or of a frame, in lines; in the order of the registers.
  typedef struct packed {
    logic [11:0] back;
    logic [11:0] sync;
    logic [11:0] front;
    logic [11:0] active;
  } lengths_t;

  // What does not change on its way from the registers to the panel.
  typedef struct packed {
    logic [23:0] background;
    lengths_t horizontal;
    lengths_t vertical;
    logic vsync_low;
    logic hsync_low;
  } panel_t;

  // A frame as the host wants it.
  typedef struct packed {
    logic [33:0] base;  // in units of 64 bytes
    logic [25:0] stride;  // the same
    logic [11:0] width;  // of the source
    logic [11:0] height;
    logic [7:0] scale;
    logic [11:0] x;
    logic [11:0] y;
    panel_t panel;
  } scanout_t;

  // A frame as the panel's side shows it. Columns and rows of the image are those above `first` up to `last`, counted from 1.
  typedef struct packed {
    logic [11:0] x_first;
    logic [11:0] x_last;
    logic [11:0] y_first;
    logic [11:0] y_last;
    logic [7:0] scale_last;  // scale - 1
    panel_t panel;
  } frame_t;

  // Events, in the order of the bits of the register INTERRUPT.
  typedef struct packed {
    logic settings;
    logic bus_error;
    logic underrun;
    logic frame;
  } events_t;

endpackage
