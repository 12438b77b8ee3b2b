// Reads the head of a `sample` and checks its fields' ranges.
//
// `ready_o` rises a few cycles after the last of the 11 entries has come and stays until the next start.
module sample_head
  import diffuser_pkg::*;
  import sample_pkg::*;
(
  input logic clk_i,
  input logic rst_ni,

  input  logic                  start_i,
  input  logic [EntryWidth-1:0] first_i,
  output logic                  ready_o,
  output logic                  wrong_o,  // valid with ready_o
  output form_t                 form_o,

  output logic                  req_o,
  output logic [EntryWidth-1:0] addr_o,
  input  logic                  gnt_i,
  input  logic                  rvalid_i,
  input  logic [          63:0] rdata_i
);

  localparam logic [3:0] Entries = 4'd11;
  localparam logic [3:0] Clip = 4'd2;
  localparam logic [3:0] Exponent = 4'd10;

  logic [EntryWidth-1:0] addr_q;
  logic [3:0] left_q, got_q, number_q;
  logic [63:0] entry_q;
  logic valid_q, wrong_q;
  logic [2:0] late_q;
  logic signed [7:0] exponent;
  logic low_zero, range_wrong, range_wrong_q, checked_q;
  form_t form_q;
  logic [24:0] minus_low_q;
  // 24 less the exponent, 0 to 40; the output's coefficients times 2^0 to 2^7, then in eights
  logic [5:0] shift_q;
  coefficient_t x0_stream_q, eps_stream_q;
  logic signed [56:0] x0_part_q, eps_part_q;

  assign req_o = left_q != '0;
  assign addr_o = addr_q;
  assign ready_o = late_q[2];
  assign wrong_o = wrong_q;
  assign form_o = form_q;

  assign exponent = entry_q[7:0];
  // what the ranges look at, a cycle before they do
  logic high_zero, high_ones, two, bit47, exponent_zero, exponent_wrong, is_exponent, is_clip;
  always_ff @(posedge clk_i) begin
    low_zero <= entry_q[46:0] == '0;
    high_zero <= entry_q[63:48] == '0;
    high_ones <= entry_q[63:48] == '1;
    two <= entry_q[63:47] == 17'd2;
    bit47 <= entry_q[47];
    exponent_zero <= entry_q[63:8] == '0;
    exponent_wrong <= exponent < -8'sd16 || exponent > 8'sd24;
    is_exponent <= number_q == Exponent;
    is_clip <= number_q == Clip;
    checked_q <= valid_q && !start_i;
  end
  always_comb begin
    if (is_exponent) range_wrong = !exponent_zero || exponent_wrong;
    else if (is_clip) range_wrong = !high_zero || (bit47 && !low_zero);
    else range_wrong = !high_zero && !high_ones && !(two && low_zero);
  end

  always_ff @(posedge clk_i) begin
    if (!rst_ni) begin
      left_q  <= '0;
      got_q   <= '0;
      valid_q <= 1'b0;
      wrong_q <= 1'b0;
      late_q  <= '0;
    end else if (start_i) begin
      left_q  <= Entries;
      got_q   <= '0;
      valid_q <= 1'b0;
      wrong_q <= 1'b0;
      late_q  <= '0;
    end else begin
      if (req_o && gnt_i) left_q <= left_q - 1'b1;
      if (rvalid_i) got_q <= got_q + 1'b1;
      valid_q <= rvalid_i;
      if (range_wrong_q) wrong_q <= 1'b1;
      late_q <= {late_q[1:0], got_q == Entries};
    end
  end

  // the shift for the two coefficients, and of each for thirds of its bits: one would have too many readers
  logic [1:0][2:0][5:0] shift_late_q;
  logic [1:0][2:0][56:0] part;
  logic [1:0][2:0][89:0] shifted;
  copies #(
    .Width(6),
    .Copies(6)
  ) u_shift (
    .clk_i,
    .d_i(shift_q),
    .q_o(shift_late_q)
  );
  always_comb begin
    for (int unsigned k = 0; k < 3; k++) begin
      part[0][k] = 57'(x0_stream_q) << shift_late_q[0][k][2:0];
      part[1][k] = 57'(eps_stream_q) << shift_late_q[1][k][2:0];
      shifted[0][k] = 90'(x0_part_q) << {shift_late_q[0][k][5:3], 3'b0};
      shifted[1][k] = 90'(eps_part_q) << {shift_late_q[1][k][5:3], 3'b0};
    end
  end

  always_ff @(posedge clk_i) begin
    range_wrong_q <= checked_q && range_wrong && !start_i;
    if (start_i) addr_q <= first_i;
    else if (req_o && gnt_i) addr_q <= addr_q + 1'b1;
    entry_q  <= rdata_i;
    number_q <= got_q;
    if (valid_q) begin
      unique case (number_q)
        4'd0: form_q.x0_state <= entry_q[49:0];
        4'd1: x0_stream_q <= entry_q[49:0];
        4'd2: form_q.clip <= entry_q[47:0];
        4'd3: form_q.eps_state <= entry_q[49:0];
        4'd4: eps_stream_q <= entry_q[49:0];
        4'd5: form_q.next_state <= entry_q[49:0];
        4'd6: form_q.next_x0 <= entry_q[49:0];
        4'd7: form_q.next_eps <= entry_q[49:0];
        4'd8: form_q.next_previous <= entry_q[49:0];
        4'd9: form_q.next_noise <= entry_q[49:0];
        4'd10: shift_q <= 6'(8'sd24 - exponent);
        default: ;
      endcase
    end
    // long before they are used
    x0_part_q <= {part[0][2][56:38], part[0][1][37:19], part[0][0][18:0]};
    eps_part_q <= {part[1][2][56:38], part[1][1][37:19], part[1][0][18:0]};
    form_q.x0_stream <= {shifted[0][2][89:60], shifted[0][1][59:30], shifted[0][0][29:0]};
    form_q.eps_stream <= {shifted[1][2][89:60], shifted[1][1][59:30], shifted[1][0][29:0]};
    minus_low_q <= {1'b0, ~form_q.clip[23:0]} + 25'd1;
    form_q.minus_clip <= {{1'b1, ~form_q.clip[47:24]} + 25'(minus_low_q[24]), minus_low_q[23:0]};
  end

endmodule
