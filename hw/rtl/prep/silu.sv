// SiLU of a number in Q10, exactly as `spec::silu`: max(u, 0) plus a quadratic in |u| on 64 segments.
//
// 7 cycles, one number a cycle. The fraction t has 7 zero bits at its end, so that both products are of 8 bits:
// rnd(c t, 15) = (c (t / 2^7) + 2^7) >> 8, and the rounding joins the coefficient that is added. Behind the second product it, the constant
// coefficient, max(u, 0) and the rounding to Q10 are one sum, shifted once: floor((n + floor(x / 2^8)) / 2^5) = floor((2^8 n + x) / 2^13).
module silu (
    input  logic               clk_i,
    input  logic               enable_i,  // stable; without it the number passes through
    input  logic signed [15:0] u_i,
    output logic signed [15:0] y_o
);

  // Those of `spec::tables`.
  function automatic logic signed [14:0] c0(logic [5:0] segment);
    localparam logic signed [14:0] Table[64] = '{
        15'sd0, -15'sd3587, -15'sd6186, -15'sd7885, -15'sd8813, -15'sd9122, -15'sd8967, -15'sd8490,
        -15'sd7812, -15'sd7030, -15'sd6214, -15'sd5415, -15'sd4662, -15'sd3975, -15'sd3362, -15'sd2823,
        -15'sd2357, -15'sd1959, -15'sd1620, -15'sd1335, -15'sd1097, -15'sd898, -15'sd734, -15'sd598,
        -15'sd486, -15'sd395, -15'sd320, -15'sd259, -15'sd209, -15'sd169, -15'sd136, -15'sd109,
        -15'sd88, -15'sd71, -15'sd57, -15'sd45, -15'sd36, -15'sd29, -15'sd23, -15'sd19,
        -15'sd15, -15'sd12, -15'sd9, -15'sd8, -15'sd6, -15'sd5, -15'sd4, -15'sd3,
        -15'sd2, -15'sd2, -15'sd2, -15'sd1, -15'sd1, -15'sd1, -15'sd1, 15'sd0,
        15'sd0, 15'sd0, 15'sd0, 15'sd0, 15'sd0, 15'sd0, 15'sd0, 15'sd0
    };
    return Table[segment];
  endfunction
  function automatic logic signed [13:0] c1(logic [5:0] segment);
    localparam logic signed [13:0] Table[64] = '{
        -14'sd4094, -14'sd3076, -14'sd2120, -14'sd1277, -14'sd579, -14'sd40, 14'sd349, 14'sd604,
        14'sd750, 14'sd813, 14'sd817, 14'sd782, 14'sd722, 14'sd651, 14'sd575, 14'sd501,
        14'sd431, 14'sd367, 14'sd310, 14'sd260, 14'sd217, 14'sd180, 14'sd149, 14'sd123,
        14'sd101, 14'sd82, 14'sd67, 14'sd55, 14'sd45, 14'sd36, 14'sd29, 14'sd24,
        14'sd19, 14'sd15, 14'sd12, 14'sd10, 14'sd8, 14'sd6, 14'sd5, 14'sd4,
        14'sd3, 14'sd3, 14'sd2, 14'sd2, 14'sd1, 14'sd1, 14'sd1, 14'sd1,
        14'sd1, 14'sd0, 14'sd0, 14'sd0, 14'sd0, 14'sd0, 14'sd0, 14'sd0,
        14'sd0, 14'sd0, 14'sd0, 14'sd0, 14'sd0, 14'sd0, 14'sd0, 14'sd0
    };
    return Table[segment];
  endfunction
  function automatic logic signed [9:0] c2(logic [5:0] segment);
    localparam logic signed [9:0] Table[64] = '{
        10'sd507, 10'sd477, 10'sd421, 10'sd349, 10'sd270, 10'sd195, 10'sd128, 10'sd74,
        10'sd32, 10'sd3, -10'sd17, -10'sd29, -10'sd36, -10'sd38, -10'sd37, -10'sd35,
        -10'sd32, -10'sd28, -10'sd25, -10'sd22, -10'sd18, -10'sd16, -10'sd13, -10'sd11,
        -10'sd9, -10'sd8, -10'sd6, -10'sd5, -10'sd4, -10'sd3, -10'sd3, -10'sd2,
        -10'sd2, -10'sd2, -10'sd1, -10'sd1, -10'sd1, -10'sd1, -10'sd1, 10'sd0,
        10'sd0, 10'sd0, 10'sd0, 10'sd0, 10'sd0, 10'sd0, 10'sd0, 10'sd0,
        10'sd0, 10'sd0, 10'sd0, 10'sd0, 10'sd0, 10'sd0, 10'sd0, 10'sd0,
        10'sd0, 10'sd0, 10'sd0, 10'sd0, 10'sd0, 10'sd0, 10'sd0, 10'sd0
    };
    return Table[segment];
  endfunction

  // magnitude, -32768 as 32767
  logic [14:0] a1_q;
  always_ff @(posedge clk_i) begin
    if (!u_i[15]) a1_q <= u_i[14:0];
    else if (u_i[14:0] == '0) a1_q <= '1;
    else a1_q <= 15'(-u_i);
  end

  // What is not curved has neither c0 nor t from stage 3 on.
  logic signed [14:0] c0_q[2:4];
  logic signed [13:0] c1_q;
  logic [7:0] t_q[2:3];
  logic curved_q;
  logic signed [15:0] base_q[1:4];
  logic signed [21:0] constant5_q;
  always_ff @(posedge clk_i) begin
    c0_q[2] <= c0(a1_q[13:8]);
    c1_q <= c1(a1_q[13:8]);
    t_q[2] <= a1_q[7:0];
    curved_q <= enable_i && !a1_q[14];
    base_q[1] <= enable_i && u_i[15] ? '0 : u_i;
    for (int unsigned k = 2; k <= 4; k++) base_q[k] <= base_q[k-1];
    c0_q[3] <= curved_q ? c0_q[2] : '0;
    c0_q[4] <= c0_q[3];
    t_q[3] <= curved_q ? t_q[2] : '0;
    constant5_q <= $signed({base_q[4][15], base_q[4], 5'd16}) + 22'(c0_q[4]);
  end

  // Products with their sums: the first one's factors are registered in stage 2, the second one's in stage 5.
  // verilator lint_off UNUSEDSIGNAL
  logic [1:0][47:0] sum, pcout;
  // verilator lint_on UNUSEDSIGNAL
  logic [7:0] t4_q;
  always_ff @(posedge clk_i) t4_q <= t_q[3];
  dsp48e2_madd #(
      .AddC(1'b1)
  ) u_slope (
      .clk_i,
      .a_i(27'(c2(a1_q[13:8]))),
      .b_i(18'(a1_q[7:0])),
      .c_i(48'($signed({c1_q, 8'h80}))),
      .pcin_i('0),
      .pcout_o(pcout[0]),
      .p_o(sum[0])
  );
  dsp48e2_madd #(
      .AddC(1'b1)
  ) u_value (
      .clk_i,
      .a_i(27'($signed(sum[0][21:8]))),
      .b_i(18'(t4_q)),
      .c_i(48'($signed({constant5_q, 8'h80}))),
      .pcin_i('0),
      .pcout_o(pcout[1]),
      .p_o(sum[1])
  );
  assign y_o = sum[1][28:13];

endmodule
