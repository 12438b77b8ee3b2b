// Reciprocal of a row's sum of weights, exactly as `spec::softmax::row_reciprocal`: floor(2^31 / n), n the sum shifted to 16 bits.
//
// One step of the shift or of the division a cycle, 22 in all; one row at a time.
module softmax_reciprocal #(
  parameter int unsigned Width = 16  // of the sum, 16 to 31
) (
  input logic clk_i,
  input logic rst_ni,
  input logic clear_i,

  input  logic             start_i,
  input  logic [Width-1:0] sum_i,     // not 0
  output logic             done_o,    // pulse; results hold until the next one
  output logic [     16:0] mantissa_o,
  output logic [      4:0] top_o      // highest bit of the sum: 1 / sum = mantissa * 2^-(16 + top)
);

  logic [4:0] step_q;  // 0: idle; 1 to 4: shift by 8, 4, 2, 1; 5 to 21: bits of the quotient
  logic [4:1] shift_q;  // step_q is 1, ... 4
  logic [Width-1:0] n_q;
  logic zero_q;  // the bits that this step would shift out
  logic [3:0] zeros_q;  // before the sum: its highest bit is Width - 1 less so many
  logic [16:0] rest_q;
  logic [15:0] difference;
  logic [15:0] quotient_q;
  logic fits;

  // less than n after a step, so that twice of it has 17 bits
  assign difference = 16'(rest_q - {1'b0, n_q[Width-1-:16]});
  assign fits = rest_q >= {1'b0, n_q[Width-1-:16]};

  always_ff @(posedge clk_i) begin
    done_o <= 1'b0;
    if (!rst_ni || clear_i) begin
      step_q <= '0;
    end else if (start_i) begin
      step_q <= 5'd1;
    end else if (step_q == 5'd21) begin
      step_q <= '0;
      done_o <= 1'b1;
    end else if (step_q != '0) begin
      step_q <= step_q + 5'd1;
    end
  end

  always_ff @(posedge clk_i) begin
    // whether what a step shifts by is zero is found a step ahead
    shift_q <= !rst_ni || clear_i ? '0 : {shift_q[3:1], start_i};
    if (shift_q[1]) begin
      if (zero_q) n_q <= n_q << 8;
      zeros_q[3] <= zero_q;
      zero_q <= (zero_q ? n_q[Width-9-:4] : n_q[Width-1-:4]) == '0;
    end
    if (shift_q[2]) begin
      if (zero_q) n_q <= n_q << 4;
      zeros_q[2] <= zero_q;
      zero_q <= (zero_q ? n_q[Width-5-:2] : n_q[Width-1-:2]) == '0;
    end
    if (shift_q[3]) begin
      if (zero_q) n_q <= n_q << 2;
      zeros_q[1] <= zero_q;
      zero_q <= !(zero_q ? n_q[Width-3] : n_q[Width-1]);
    end
    if (shift_q[4]) begin
      if (zero_q) n_q <= n_q << 1;
      zeros_q[0] <= zero_q;
    end
    if (start_i) begin
      n_q <= sum_i;
      zero_q <= sum_i[Width-1-:8] == '0;
    end
    if (shift_q[4]) rest_q <= 17'h8000;  // 2^31 without its low 16 bits, which are brought down one by one
    else rest_q <= fits ? {difference, 1'b0} : {rest_q[15:0], 1'b0};
    quotient_q <= {quotient_q[14:0], fits};
    if (step_q == 5'd21) begin
      mantissa_o <= {quotient_q, fits};
      top_o <= 5'(Width - 1) - 5'(zeros_q);
    end
  end

endmodule
