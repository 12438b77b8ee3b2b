// Checks a descriptor: opcode, reserved bits, ranges, and the rules between fields that bits alone decide.
//
// Two registers: the verdict on what stood at the input in a cycle is there two cycles later. What needs a memory's depth, a
// division or a look at parameters is left to the units and the memory system.
module decode
  import diffuser_isa_pkg::*;
(
  input logic clk_i,

  input logic [511:0] desc_i,

  output error_e error_o,  // ErrorNone, ErrorOpcode or ErrorField
  output logic is_end_o,
  output logic is_loop_o,
  output unit_e owner_o  // the unit that executes it, the sequencer for `end` and `loop`
);

  // Checks take whole descriptors and look at some fields each.
  // verilator lint_off UNUSEDSIGNAL
  common_t common;
  load_desc_t load;
  prep_desc_t prep;
  conv_desc_t conv;

  assign common = common_t'(desc_i);
  assign load = load_desc_t'(desc_i);
  assign prep = prep_desc_t'(desc_i);
  assign conv = conv_desc_t'(desc_i);

  // verilator lint_on UNUSEDSIGNAL

  // The first register: each part of the check by itself, for every operation at once.
  logic known_q, common_ok_q, chain_ok_q, no_waits_q;
  logic end_q, loop_q, load_q, store_q, norm_q, prep_q, conv_q, attention_q, sample_q;
  // reserved bits zero, by quarters of the descriptor; fields in range; `end` first
  logic [8:0][3:0] clean_q;
  logic [8:0] range_q;
  logic load_rule_q, conv_rule_q;
  logic [5:0] prep_rules_q;
  logic waits_ok;

  // The count of a unit that is not named is 0.
  assign waits_ok = (common.waits[UnitDma] || common.wait_dma == '0)
      && (common.waits[UnitNorm] || common.wait_norm == '0)
      && (common.waits[UnitPrep] || common.wait_prep == '0)
      && (common.waits[UnitArray] || common.wait_array == '0)
      && (common.waits[UnitSample] || common.wait_sample == '0);

  // verilator lint_off UNUSEDSIGNAL
  function automatic logic [5:0] prep_rules(prep_desc_t d);
    logic norm, copy, state, mean;
    norm = d.kind == 3'd0;
    state = d.kind == 3'd3;
    copy = d.kind == 3'd4;
    mean = d.resample == 2'd2;
    return {
      !state || d.channels_a <= 16'd4,
      norm || (d.channels_b == '0 && !d.silu && d.affine == '0),
      copy || (!d.sums && d.plane_dest == '0),
      d.sums || d.sums_base == '0,
      d.channels_b != '0 || (d.stream_b == '0 && d.plane_b == '0),
      !mean || (!d.width[0] && !d.height[0])
    };
  endfunction

  function automatic logic conv_rule(conv_desc_t d);
    return (d.dest_kind == 2'd0 || !(d.residual || d.sums))
        && (d.sums || !d.add_sums)
        && (!d.dest_kind[1] || d.head_blocks != '0);
  endfunction

  // verilator lint_on UNUSEDSIGNAL

  function automatic logic [3:0] clean(logic [511:0] desc, logic [511:0] reserved);
    for (int unsigned i = 0; i < 4; i++) clean[i] = (desc[128*i+:128] & reserved[128*i+:128]) == '0;
  endfunction

  always_ff @(posedge clk_i) begin
    end_q <= common.opcode == OpcodeEnd;
    loop_q <= common.opcode == OpcodeLoop;
    load_q <= common.opcode == OpcodeLoad;
    store_q <= common.opcode == OpcodeStore;
    norm_q <= common.opcode == OpcodeNorm;
    prep_q <= common.opcode == OpcodePrep;
    conv_q <= common.opcode == OpcodeConv;
    attention_q <= common.opcode == OpcodeAttention;
    sample_q <= common.opcode == OpcodeSample;
    known_q <= common.opcode >= OpcodeEnd && common.opcode <= OpcodeSample;
    common_ok_q <= waits_ok;
    no_waits_q <= common.waits == '0;
    chain_ok_q <= !common.chain || (common.opcode == OpcodeConv && common.waits[UnitPrep]);
    clean_q <= {
      clean(desc_i, SampleDescReserved),
      clean(desc_i, AttentionDescReserved),
      clean(desc_i, ConvDescReserved),
      clean(desc_i, PrepDescReserved),
      clean(desc_i, NormDescReserved),
      clean(desc_i, StoreDescReserved),
      clean(desc_i, LoadDescReserved),
      clean(desc_i, LoopDescReserved),
      clean(desc_i, EndDescReserved)
    };
    range_q <= {
      sample_desc_in_range(sample_desc_t'(desc_i)),
      attention_desc_in_range(attention_desc_t'(desc_i)),
      conv_desc_in_range(conv),
      prep_desc_in_range(prep),
      norm_desc_in_range(norm_desc_t'(desc_i)),
      store_desc_in_range(store_desc_t'(desc_i)),
      load_desc_in_range(load),
      2'b11
    };
    load_rule_q <= load.space != SpacePixel;
    prep_rules_q <= prep_rules(prep);
    conv_rule_q <= conv_rule(conv);
  end

  // The second: what they say together.
  logic [8:0] op, sound;
  logic rules;

  assign op = {sample_q, attention_q, conv_q, prep_q, norm_q, store_q, load_q, loop_q, end_q};
  assign rules = common_ok_q && chain_ok_q
      && (no_waits_q || !(end_q || loop_q))
      && (load_rule_q || !load_q) && ((&prep_rules_q) || !prep_q) && (conv_rule_q || !conv_q);

  for (genvar i = 0; i < 9; i++) begin : gen_sound
    assign sound[i] = (&clean_q[i]) && range_q[i];
  end

  always_ff @(posedge clk_i) begin
    if (!known_q) error_o <= ErrorOpcode;
    else if (!rules || (op & ~sound) != '0) error_o <= ErrorField;
    else error_o <= ErrorNone;

    is_end_o <= end_q;
    is_loop_o <= loop_q;
    if (load_q || store_q) owner_o <= UnitDma;
    else if (norm_q) owner_o <= UnitNorm;
    else if (prep_q) owner_o <= UnitPrep;
    else if (conv_q || attention_q) owner_o <= UnitArray;
    else if (sample_q) owner_o <= UnitSample;
    else owner_o <= UnitSequencer;
  end

endmodule
