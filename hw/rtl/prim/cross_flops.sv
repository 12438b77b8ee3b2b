// Registers at which values go from one clock to another: `launch` (Capture = 0) drives nothing but `capture` (Capture = 1) of the other clock.
//
// No path between two clocks may begin or end at anything else: hw/synth/netlist.py holds every netlist to it, by the attribute `crossing` of these
// cells. Only sync_bit, sync_count and sync_word instantiate them. With DIFFUSER_FDRE the vendor's cells are instantiated, so that no tool merges them,
// moves logic into them or takes them for a shift register.
module cross_flops #(
  parameter int unsigned Width = 1,
  parameter bit Capture = 1'b0
) (
  input logic clk_i,
  input logic clear_i,  // to 0, a launch alone
  input logic en_i,
  input logic [Width-1:0] d_i,
  output logic [Width-1:0] q_o
);

`ifdef DIFFUSER_FDRE
  for (genvar b = 0; b < Width; b++) begin : gen_bit
    if (Capture) begin : gen_capture
      (* ASYNC_REG = "TRUE", crossing = "capture" *)
      FDRE u_capture (
        .C(clk_i),
        .CE(en_i),
        .R(1'b0),
        .D(d_i[b]),
        .Q(q_o[b])
      );
    end else begin : gen_launch
      (* crossing = "launch" *)
      FDRE u_launch (
        .C(clk_i),
        .CE(en_i),
        .R(clear_i),
        .D(d_i[b]),
        .Q(q_o[b])
      );
    end
  end
`else
  if (Capture) begin : gen_capture
    (* ASYNC_REG = "TRUE", crossing = "capture" *)
    logic [Width-1:0] capture_q;
    always_ff @(posedge clk_i) begin
      if (en_i) capture_q <= d_i;
    end
    assign q_o = capture_q;
  end else begin : gen_launch
    (* keep = "true", crossing = "launch" *)
    logic [Width-1:0] launch_q;
    always_ff @(posedge clk_i) begin
      if (clear_i) launch_q <= '0;
      else if (en_i) launch_q <= d_i;
    end
    assign q_o = launch_q;
  end
`endif

  if (Capture) begin : gen_unused
    logic unused_clear;
    assign unused_clear = clear_i;
  end

endmodule
