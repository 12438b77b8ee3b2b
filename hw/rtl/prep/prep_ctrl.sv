// A descriptor of `prep` from its queue to its retirement: rules, head, sizes.
//
// `start_o` pulses when everything that the other parts need is there and stays so; the descriptor retires when `busy_i` has
// fallen. A descriptor costs about 20 cycles here.
module prep_ctrl
  import diffuser_isa_pkg::*;
  import diffuser_pkg::*;
#(
    parameter int unsigned P = 8,
    parameter int unsigned I = 16
) (
    input logic clk_i,
    input logic rst_ni,

    input  logic                      desc_valid_i,
    output logic                      desc_ready_o,
    input  logic [DescriptorBits-1:0] desc_i,
    output logic                      done_o,
    output logic                      error_o,
    output error_e                    error_code_o,
    input  logic                      flush_i,

    output logic                  param_req_o,
    output logic [EntryWidth-1:0] param_addr_o,
    input  logic                  param_gnt_i,
    input  logic                  param_rvalid_i,
    input  logic [63:0]           param_rdata_i,

    output prep_desc_t           desc_o,
    output prep_head_t           head_o,
    output logic [12:0]          last_column_o,   // of the result
    output logic [AddrWidth-1:0] last_pixel_o,    // of the result
    output logic [AddrWidth-1:0] rows_o,          // of the operand memory a block: ceil(pixels / P)
    output logic [AddrWidth-1:0] plane_offset_o,  // rows from the high plane to the low one

    output logic start_o,
    output logic stop_o,     // give up what has not begun; stays until the descriptor retires
    output logic running_o,  // between `start_o` and the end
    input  logic busy_i      // anything of the descriptor is on its way
);

  localparam int unsigned BankWidth = $clog2(P);

  typedef enum logic [2:0] {
    Idle,
    Head,
    Size,
    Run,
    Done
  } state_e;
  state_e state_q;

  prep_desc_t desc_q;
  prep_head_t head_q;
  logic head_wanted_q, head_asked_q, refused_q, stop_q, sized_q, finish;
  logic [3:0] size_step_q;

  logic norm, from_state, mean;
  assign norm = desc_q.kind == 3'd0;
  assign from_state = desc_q.kind == 3'd3;
  assign mean = desc_q.resample == 2'd2;

  // Rules of docs/isa.md that the ranges of fields do not show, in three stages.
  logic to_stream, no_b_q, no_sums_base_q, no_plane_dest_q, no_affine_q, odd_q, many_q, no_b_fields_q;
  logic [4:0] broken_q;
  assign to_stream = desc_q.kind == 3'd4;
  always_ff @(posedge clk_i) begin
    no_b_q <= desc_q.channels_b == '0;
    no_b_fields_q <= desc_q.stream_b == '0 && desc_q.plane_b == '0;
    no_sums_base_q <= desc_q.sums_base == '0;
    no_plane_dest_q <= desc_q.plane_dest == '0;
    no_affine_q <= desc_q.affine == '0;
    odd_q <= desc_q.width[0] || desc_q.height[0];
    many_q <= desc_q.channels_a > 16'd4;

    broken_q[0] <= desc_q.kind > 3'd4 || desc_q.resample == 2'd3;
    broken_q[1] <= !norm && (!no_b_q || desc_q.silu || !no_affine_q);
    broken_q[2] <= (from_state && many_q) || (mean && odd_q);
    broken_q[3] <= (!to_stream && (desc_q.sums || !no_plane_dest_q)) || (!desc_q.sums && !no_sums_base_q);
    broken_q[4] <= (no_b_q && !no_b_fields_q) || (to_stream && desc_q.spread);
    refused_q <= broken_q != '0;
  end

  assign finish = state_q == Size && sized_q && !head_wanted_q;
  assign start_o = finish && !refused_q;

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      state_q <= Idle;
      done_o <= 1'b0;
      error_o <= 1'b0;
      head_wanted_q <= 1'b0;
      head_asked_q <= 1'b0;
      stop_q <= 1'b0;
    end else begin
      done_o <= 1'b0;
      error_o <= 1'b0;
      stop_q <= flush_i || (stop_q && state_q != Idle);
      unique case (state_q)
        Idle: if (desc_valid_i) state_q <= Head;
        Head: begin
          state_q <= Size;
          head_wanted_q <= norm || desc_q.kind == 3'd1 || from_state;
          head_asked_q <= 1'b0;
        end
        Size:
        if (finish) begin
          state_q <= refused_q ? Done : Run;
          error_o <= refused_q;
        end
        Run:  if (!busy_i) state_q <= Done;
        Done: begin
          state_q <= Idle;
          done_o  <= 1'b1;
        end
        default: state_q <= Idle;
      endcase
      if (param_req_o && param_gnt_i) head_asked_q <= 1'b1;
      if (param_rvalid_i) head_wanted_q <= 1'b0;
    end
  end
  assign error_code_o = ErrorField;
  assign desc_ready_o = state_q == Idle;
  assign running_o = state_q == Run;
  assign stop_o = stop_q;
  assign param_req_o = state_q == Size && head_wanted_q && !head_asked_q;
  assign param_addr_o = desc_q.param;

  always_ff @(posedge clk_i) begin
    if (desc_ready_o) desc_q <= desc_i;
    if (param_rvalid_i) head_q <= param_rdata_i;
  end
  assign desc_o = desc_q;
  assign head_o = head_q;

  // Sizes of the result, by one multiplier used twice: columns x rows, then blocks x rows of the operand memory.
  logic [12:0] columns_q, lines_q;
  logic [AddrWidth-1:0] factor_q, pixels_q;
  logic [15:0] count_q;
  logic [39:0] product1_q, product2_q;
  always_ff @(posedge clk_i) begin
    sized_q <= state_q == Size && size_step_q >= 4'd7;
    if (state_q == Head) begin
      size_step_q <= '0;
      columns_q <= desc_q.resample == 2'd1 ? {desc_q.width, 1'b0} : 13'(desc_q.width >> mean);
      lines_q <= desc_q.resample == 2'd1 ? {desc_q.height, 1'b0} : 13'(desc_q.height >> mean);
    end else if (!size_step_q[3]) begin
      size_step_q <= size_step_q + 4'd1;
    end
    last_column_o <= columns_q - 13'd1;
    last_pixel_o <= pixels_q - 1'b1;
    product1_q <= factor_q * count_q;
    product2_q <= product1_q;
    if (size_step_q == 4'd0) begin
      factor_q <= AddrWidth'(columns_q);
      count_q <= 16'(lines_q);
    end else if (size_step_q == 4'd3) begin
      pixels_q <= product2_q[AddrWidth-1:0];
      factor_q <= (product2_q[AddrWidth-1:0] + AddrWidth'(P - 1)) >> BankWidth;
      count_q <= (desc_q.channels_a + 16'(I - 1)) >> $clog2(I);  // planes have one stream
      rows_o <= (product2_q[AddrWidth-1:0] + AddrWidth'(P - 1)) >> BankWidth;
    end else if (size_step_q == 4'd6) begin
      plane_offset_o <= product2_q[AddrWidth-1:0];
    end
  end
  logic unused_high;
  assign unused_high = ^product2_q[39:AddrWidth];

endmodule
