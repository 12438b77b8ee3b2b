// Weight of one logit, exactly as `spec::softmax::weight`: 127 * 2^(-d / 256), d = (max - logit) * mantissa / 2^shift.
//
// 11 cycles, one logit a cycle. Of d only what lies below 2048 matters; of the product's sum with the rounding that is a
// window of 11 bits from bit `shift` on, and whether anything is above. From a shift of 48 on d is 0: the product has 47 bits.
module softmax_exp (
  input logic clk_i,

  // stable while logits are on their way
  input logic [15:0] mantissa_i,
  input logic [ 5:0] shift_i,
  input logic [47:0] half_i,  // 2^(shift - 1), of its low 48 bits
  input logic [47:0] over_i,  // bits from shift + 11 on: any of them makes d 2048 or more
  input logic        flat_i,  // shift is 48 or more

  input  logic        valid_i,  // the key exists; else its weight is 0
  input  logic [31:0] max_i,
  input  logic [31:0] logit_i,
  output logic [ 6:0] e_o
);

  // round(127 * 2^8 * 2^(-i/256)), `spec::tables::EXP2`
  function automatic logic [14:0] exp2(logic [7:0] index);
    localparam logic [14:0] Table[256] = '{
      15'd32512, 15'd32424, 15'd32336, 15'd32249, 15'd32162, 15'd32075, 15'd31988, 15'd31902,
      15'd31815, 15'd31729, 15'd31644, 15'd31558, 15'd31473, 15'd31388, 15'd31303, 15'd31218,
      15'd31134, 15'd31049, 15'd30965, 15'd30882, 15'd30798, 15'd30715, 15'd30632, 15'd30549,
      15'd30466, 15'd30384, 15'd30302, 15'd30220, 15'd30138, 15'd30057, 15'd29976, 15'd29894,
      15'd29814, 15'd29733, 15'd29653, 15'd29572, 15'd29492, 15'd29413, 15'd29333, 15'd29254,
      15'd29175, 15'd29096, 15'd29017, 15'd28939, 15'd28861, 15'd28782, 15'd28705, 15'd28627,
      15'd28550, 15'd28472, 15'd28395, 15'd28319, 15'd28242, 15'd28166, 15'd28090, 15'd28014,
      15'd27938, 15'd27862, 15'd27787, 15'd27712, 15'd27637, 15'd27562, 15'd27488, 15'd27413,
      15'd27339, 15'd27265, 15'd27192, 15'd27118, 15'd27045, 15'd26972, 15'd26899, 15'd26826,
      15'd26753, 15'd26681, 15'd26609, 15'd26537, 15'd26465, 15'd26394, 15'd26322, 15'd26251,
      15'd26180, 15'd26109, 15'd26039, 15'd25968, 15'd25898, 15'd25828, 15'd25758, 15'd25689,
      15'd25619, 15'd25550, 15'd25481, 15'd25412, 15'd25343, 15'd25275, 15'd25206, 15'd25138,
      15'd25070, 15'd25002, 15'd24935, 15'd24867, 15'd24800, 15'd24733, 15'd24666, 15'd24599,
      15'd24533, 15'd24467, 15'd24400, 15'd24335, 15'd24269, 15'd24203, 15'd24138, 15'd24072,
      15'd24007, 15'd23942, 15'd23878, 15'd23813, 15'd23749, 15'd23684, 15'd23620, 15'd23557,
      15'd23493, 15'd23429, 15'd23366, 15'd23303, 15'd23240, 15'd23177, 15'd23114, 15'd23052,
      15'd22989, 15'd22927, 15'd22865, 15'd22803, 15'd22742, 15'd22680, 15'd22619, 15'd22558,
      15'd22497, 15'd22436, 15'd22375, 15'd22315, 15'd22255, 15'd22194, 15'd22134, 15'd22074,
      15'd22015, 15'd21955, 15'd21896, 15'd21837, 15'd21778, 15'd21719, 15'd21660, 15'd21601,
      15'd21543, 15'd21485, 15'd21427, 15'd21369, 15'd21311, 15'd21253, 15'd21196, 15'd21139,
      15'd21081, 15'd21024, 15'd20968, 15'd20911, 15'd20854, 15'd20798, 15'd20742, 15'd20686,
      15'd20630, 15'd20574, 15'd20518, 15'd20463, 15'd20407, 15'd20352, 15'd20297, 15'd20242,
      15'd20188, 15'd20133, 15'd20079, 15'd20024, 15'd19970, 15'd19916, 15'd19862, 15'd19809,
      15'd19755, 15'd19702, 15'd19648, 15'd19595, 15'd19542, 15'd19489, 15'd19437, 15'd19384,
      15'd19332, 15'd19279, 15'd19227, 15'd19175, 15'd19124, 15'd19072, 15'd19020, 15'd18969,
      15'd18918, 15'd18866, 15'd18815, 15'd18764, 15'd18714, 15'd18663, 15'd18613, 15'd18562,
      15'd18512, 15'd18462, 15'd18412, 15'd18362, 15'd18313, 15'd18263, 15'd18214, 15'd18165,
      15'd18115, 15'd18066, 15'd18018, 15'd17969, 15'd17920, 15'd17872, 15'd17824, 15'd17775,
      15'd17727, 15'd17679, 15'd17632, 15'd17584, 15'd17536, 15'd17489, 15'd17442, 15'd17394,
      15'd17347, 15'd17301, 15'd17254, 15'd17207, 15'd17161, 15'd17114, 15'd17068, 15'd17022,
      15'd16976, 15'd16930, 15'd16884, 15'd16838, 15'd16793, 15'd16747, 15'd16702, 15'd16657,
      15'd16612, 15'd16567, 15'd16522, 15'd16478, 15'd16433, 15'd16389, 15'd16344, 15'd16300
    };
    return Table[index];
  endfunction

  logic [10:1] valid_q;
  always_ff @(posedge clk_i) valid_q <= {valid_q[9:1], valid_i};

  logic [31:0] below1_q;
  logic [30:0] below2_q;
  logic [31:0] low3_q, low4_q;
  logic [30:0] high3_q, high4_q;
  logic [32:0] low5_q;
  logic [31:0] high5_q;
  logic [47:0] sum6_q;
  logic over7_q;
  logic [25:0] window7_q;
  logic [10:0] d8;
  logic [10:8] d8_q;
  logic [1:0][7:0] index8_q;  // of the table's lower and upper bits: one for both would have too many readers
  logic [14:0] t9_q;
  logic [2:0] whole9_q, whole10_q;
  logic [7:0] t10_q;  // without the bits that every shift drops
  logic [10:8] zero_q;

  assign d8 = flat_i ? '0 : 11'(window7_q >> shift_i[3:0]);
  copies #(
    .Width(8),
    .Copies(2)
  ) u_index8 (
    .clk_i,
    .d_i(d8[7:0]),
    .q_o(index8_q)
  );
  logic [1:0][14:0] t9;
  assign t9[0] = exp2(index8_q[0]);
  assign t9[1] = exp2(index8_q[1]);

  always_ff @(posedge clk_i) begin
    below1_q <= max_i - logit_i;
    below2_q <= below1_q[31] ? '1 : below1_q[30:0];
    // 31 x 16 bits as 16 x 16 and 15 x 16
    low3_q <= below2_q[15:0] * mantissa_i;
    high3_q <= below2_q[30:16] * mantissa_i;
    low4_q <= low3_q;
    high4_q <= high3_q;
    low5_q <= 33'(low4_q) + 33'(half_i[15:0]);
    high5_q <= 32'(high4_q) + half_i[47:16];
    sum6_q <= {high5_q + 32'(low5_q[32:16]), low5_q[15:0]};
    over7_q <= |(sum6_q & over_i);
    window7_q <= 26'(sum6_q >> {shift_i[5:4], 4'b0});
    d8_q <= d8[10:8];
    t9_q <= {t9[1][14:8], t9[0][7:0]};
    whole9_q <= d8_q;
    t10_q <= 8'((16'(t9_q) + (16'd128 << whole9_q)) >> 8);
    whole10_q <= whole9_q;
    zero_q[8] <= over7_q && !flat_i;
    zero_q[9] <= zero_q[8];
    zero_q[10] <= zero_q[9];
    e_o <= !valid_q[10] || zero_q[10] ? '0 : 7'(t10_q >> whole10_q);
  end

endmodule
