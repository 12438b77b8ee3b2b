"""Functional coverage: what the tests must have shown of the RTL, as cover points in SystemVerilog that are bound to it from outside.

A descriptor counts when it retires and nothing went wrong while it was in its unit. Fields of descriptors and of parameter blocks, with their values,
come from hw/isa.toml; what they mean together (remainders, phases, batches) is below. A point's label is `group__bin`.
"""

import itertools
import pathlib
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ISA = tomllib.loads((ROOT / "hw/isa.toml").read_text())

# Points whose meaning needs the whole accelerator: hits in tops of one unit do not count.
WHOLE = ("step_tables", "units_stall")

UNITS = ("dma", "norm", "prep", "array", "sample")

QUEUE = """
// What a unit has taken, in order, until it retires. `retired_o`: the oldest, `desc_o`, has come to a good end; it does not if anything that was in the unit with it
// was wrong, or was flushed.
module cover_queue (
  input logic clk_i,
  input logic rst_ni,
  input logic take_i,
  input logic [511:0] desc_i,
  input logic [31:0] step_i,
  input logic done_i,
  input logic trouble_i,
  output logic retired_o,
  output logic [511:0] desc_o,
  output logic [31:0] step_o,
  output logic [4:0] held_o
);
  logic [511:0] desc_q[16];
  logic [31:0] step_q[16];
  logic [4:0] first_q, next_q;
  logic bad_q;
  assign held_o = next_q - first_q;
  assign desc_o = desc_q[first_q[3:0]];
  assign step_o = step_q[first_q[3:0]];
  assign retired_o = rst_ni && done_i && held_o != '0 && !bad_q && !trouble_i;
  always_ff @(posedge clk_i) begin
    if (take_i) begin
      desc_q[next_q[3:0]] <= desc_i;
      step_q[next_q[3:0]] <= step_i;
    end
    next_q <= next_q + 5'(take_i);
    first_q <= first_q + 5'(done_i && held_o != '0);
    bad_q <= trouble_i || (bad_q && held_o != '0);
    if (!rst_ni) {first_q, next_q, bad_q} <= '0;
  end
endmodule

// An entry of the parameter memory that the descriptor of `tag_i` reads. `changed_o`: which of its bits are not those that this node found there the last time.
module cover_entry (
  input logic clk_i,
  input logic rst_ni,
  input logic valid_i,
  input logic [15:0] address_i,
  input logic [15:0] tag_i,
  input logic [63:0] data_i,
  output logic [63:0] changed_o
);
  logic [63:0] data_q[2048];
  logic [15:0] tag_q[2048];
  logic known_q[2048];
  logic [10:0] at;
  assign at = address_i[10:0];
  assign changed_o = known_q[at] && tag_q[at] == tag_i ? data_q[at] ^ data_i : '0;
  always_ff @(posedge clk_i) begin
    if (valid_i) begin
      data_q[at] <= data_i;
      tag_q[at] <= tag_i;
      known_q[at] <= 1'b1;
    end
    if (!rst_ni) for (int i = 0; i < 2048; i++) known_q[i] <= 1'b0;
  end
endmodule
"""


class Module:
    """A module of cover points, bound to `target`; `signals` are names there, or (name here, expression there)."""

    def __init__(self, target, parameters, signals):
        self.target, self.parameters = target, parameters
        self.signals = [s if isinstance(s, tuple) else (s, s) for s in signals]
        self.body, self.points = [], {}

    def add(self, text):
        self.body.append(text)

    def point(self, group, name, condition):
        label = f"{group}__{name}"
        assert label not in self.points, label
        self.points[label] = condition

    def cross(self, group, condition, *axes):
        """Every combination of the axes' values; an axis is a dictionary from names to expressions."""
        for values in itertools.product(*(axis.items() for axis in axes)):
            name = "_".join(name for name, _ in values)
            self.point(group, name, " && ".join([condition, *(f"({expression})" for _, expression in values)]))

    def text(self):
        name = f"cover_{self.target}"
        lines = [f"module {name}", "  import diffuser_isa_pkg::*;"]
        if self.parameters:
            lines.append("#(" + ", ".join(f"parameter int unsigned {p} = 8" for p in self.parameters) + ")")
        ports = ["input logic clk_i", "input logic rst_ni"] + [f"input logic {shape(s)} {s}" for s, _ in self.signals]
        lines.append("(\n  " + ",\n  ".join(ports) + "\n);")
        lines += self.body
        lines += [f"  {label} : cover property (@(posedge clk_i) rst_ni && ({condition}));" for label, condition in self.points.items()]
        lines.append("endmodule")
        parameters = "#(" + ", ".join(f".{p}({p})" for p in self.parameters) + ") " if self.parameters else ""
        ports = ["." + p + f"({p})" for p in ("clk_i", "rst_ni")] + [f".{s}({there})" for s, there in self.signals]
        lines.append(f"bind {self.target} {name} {parameters}u_cover ({', '.join(ports)});\n")
        return "\n".join(lines)


SHAPES = {"desc_i": "[511:0]", "step_i": "[31:0]", "steps_i": "[31:0]", "data": "[63:0]", "param_rdata_i": "[63:0]", "rdata_i": "[63:0]", "step_o": "[31:0]",
          "desc_o": "[511:0]", "base": "[15:0]", "first_i": "[15:0]", "waits": "[255:0]", "params_head": "[63:0]", "params_base": "[15:0]",
          "m_axi_arvalid_o": "[ReadPorts-1:0]", "m_axi_arready_i": "[ReadPorts-1:0]", "m_axi_arlen_o": "[ReadPorts-1:0][7:0]", "m_axi_awlen_o": "[7:0]",
          "m_axi_wstrb_o": "[15:0]", "arlen": "[7:0]", "part": "[1:0]", "state": "[2:0]", "lane": "[1:0]", "scale_last": "[7:0]", "h_phase": "[1:0]", "v_phase": "[1:0]"}


def shape(name):
    return SHAPES.get(name, "")


def operation(name):
    return next(op for op in ISA["op"] if op["name"] == name)


def bits(at, width):
    return f"[{at + width - 1}:{at}]"


def place(field, word):
    return field["at"][0] * word + field["at"][1]


def fields(module, name, retired):
    """Each value of a field of up to 3 bits, the smallest value and another one of a wider field."""
    for field in operation(name).get("field", []):
        width, low = field["width"], field.get("min", 0)
        value = f"desc{bits(place(field, 32), width)}"
        if width <= 3:
            for v in range(low, field.get("max", (1 << width) - 1) + 1):
                module.point(f"fields_{name}", f"{field['name']}_{v}", f"{retired} && {value} == {v}")
        else:
            module.point(f"fields_{name}", f"{field['name']}_{low}", f"{retired} && {value} == {low}")
            module.point(f"fields_{name}", f"{field['name']}_more", f"{retired} && {value} > {low}")


def block(module, kind, name, entries):
    """Fields of a head or of an entry, where `entries[n]` is (valid, data) of its n-th 64 bits: smallest, largest, zero, either sign; and which change from step to step."""
    item = next(i for i in ISA[kind] if i["name"] == name)
    for field in item["field"]:
        word, width = field["at"][0], field["width"]
        valid, data, changed = entries[word]
        signed = field.get("signed", False)
        raw = f"{data}{bits(field['at'][1], width)}"
        value = f"$signed({raw})" if signed else raw
        least = field.get("min", -(1 << (width - 1)) if signed else 0)
        most = field.get("max", (1 << (width - 1 if signed else width)) - 1)
        number = (lambda v: f"-{width}'sd{-v}" if v < 0 else f"{width}'sd{v}") if signed else (lambda v: f"{width}'d{v}")
        if least == -(1 << (width - 1)):
            number = lambda v, n=number: f"$signed({width}'h{1 << (width - 1):x})" if v == -(1 << (width - 1)) else n(v)
        inside = f"{valid} && {value} >= {number(least)} && {value} <= {number(most)}"
        group = f"values_{name}"
        module.point(group, f"{field['name']}_least", f"{inside} && {value} == {number(least)}")
        module.point(group, f"{field['name']}_most", f"{inside} && {value} == {number(most)}")
        if least < 0:
            module.point(group, f"{field['name']}_negative", f"{inside} && {value} < {number(0)}")
            module.point(group, f"{field['name']}_zero", f"{inside} && {value} == {number(0)}")
            module.point(group, f"{field['name']}_positive", f"{inside} && {value} > {number(0)}")
        else:
            module.point(group, f"{field['name']}_between", f"{inside} && {value} > {number(least)} && {value} < {number(most)}")
        module.point("step_tables", f"{name}_{field['name']}", f"{valid} && {changed}{bits(field['at'][1], width)} != '0")


def queue(module, step="'0"):
    module.add(f"""
  logic retired, take;
  logic [511:0] desc;
  logic [31:0] step;
  logic [4:0] held;
  assign take = desc_valid_i && desc_ready_o;
  cover_queue u_queue (.clk_i, .rst_ni, .take_i(take), .desc_i, .step_i({step}), .done_i(done_o), .trouble_i(error_o || flush_i),
    .retired_o(retired), .desc_o(desc), .step_o(step), .held_o(held));""")


def stalls(module, group, names):
    """Each of these alone, and each pair in one cycle; `names` from a name to its condition."""
    for name, condition in names.items():
        module.point(group, name, condition)
    for (a, one), (b, two) in itertools.combinations(names.items(), 2):
        module.point(group, f"{a}_with_{b}", f"({one}) && ({two})")


def ports(*names):
    """A unit's requests that memories do not grant: {name: (request, grant)}."""
    both = {}
    for name in names:
        memory, _, way = name.rpartition("_")
        both[name] = (f"{memory}_req_o", f"{memory}_gnt_i") if way == "read" else (f"{memory}_we_o", f"{memory}_wgnt_i")
    return both


def classes(value, count, names=None):
    return {(names or (lambda v: str(v)))(v): f"{value} == {v}" for v in range(count)}


def few(value, name):
    return {f"{name}_1": f"{value} == 1", f"{name}_2": f"{value} == 2", f"{name}_more": f"{value} > 2"}


QUEUE_PORTS = ["desc_valid_i", "desc_ready_o", "desc_i", "done_o", "error_o", "flush_i"]


def array():
    waits = ports("operand_write", "weight_write", "stream_read", "stream_write", "param_read", "sums_read", "sums_write")
    m = Module("array_unit", ["P", "O", "I"], QUEUE_PORTS + [p for pair in waits.values() for p in pair] + ["stall_operand_o", "stall_bank_o", "stall_store_o", (
        "params_head_valid", "u_conv.u_params.head_valid_o"), ("params_head", "u_conv.u_params.head_o"), ("params_base", "u_conv.u_params.param_i"), (
        "params_done", "u_conv.u_params.done_o"), "param_rvalid_i", "param_rdata_i", ("attention", "attention_q")])
    queue(m)
    m.add("""
  conv_desc_t conv;
  assign conv = desc;
  logic is_conv;
  assign is_conv = retired && desc[7:0] == OpcodeConv;
  logic [23:0] pixels;
  assign pixels = 24'(conv.out_width) * 24'(conv.out_height);
  int bottom, right, kernel, stride;
  always_comb begin
    kernel = conv.kernel == 2'd0 ? 1 : conv.kernel == 2'd1 ? 3 : 2;
    stride = conv.stride ? 2 : 1;
    bottom = (int'(conv.out_height) - 1) * stride + kernel - int'(conv.pad_top) - (int'(conv.in_height) << conv.upsample);
    right = (int'(conv.out_width) - 1) * stride + kernel - int'(conv.pad_left) - (int'(conv.in_width) << conv.upsample);
  end

  // parameters, descriptor after descriptor
  logic [15:0] tags_q[4];
  logic [1:0] tag_in_q, tag_out_q;
  logic [15:0] number_q, base_q;
  logic [$clog2(O)-1:0] lane_q;
  logic [$clog2(O+1)-1:0] real_q;  // lanes of the tile that are channels
  logic entry;
  logic [63:0] changed;
  assign entry = param_rvalid_i && !attention && !params_head_valid;
  logic lane_real;
  assign lane_real = param_rdata_i[47:32] != '0 && param_rdata_i[55:48] != '0;
  always_ff @(posedge clk_i) begin
    if (take && desc_i[7:0] == OpcodeConv) begin
      tags_q[tag_in_q] <= desc_i[127:112];
      tag_in_q <= tag_in_q + 1'b1;
    end
    if (params_done) tag_out_q <= tag_out_q + 1'b1;
    if (params_head_valid) begin
      base_q <= params_base;
      number_q <= 16'd1;
      lane_q <= '0;
      real_q <= '0;
    end else if (entry) begin
      number_q <= number_q + 1'b1;
      lane_q <= lane_q + 1'b1;
      real_q <= 32'(lane_q) == O - 1 ? '0 : real_q + ($clog2(O+1))'(lane_real);
    end
    if (!rst_ni || flush_i || error_o) {tag_in_q, tag_out_q} <= '0;
  end
  cover_entry u_entry (.clk_i, .rst_ni, .valid_i(params_head_valid || entry), .address_i(params_head_valid ? params_base : base_q + number_q),
    .tag_i(tags_q[tag_out_q]), .data_i(params_head_valid ? params_head : param_rdata_i), .changed_o(changed));""")
    fields(m, "conv", "is_conv")
    block(m, "head", "conv", [("params_head_valid", "params_head", "changed")])
    block(m, "entry", "conv_channel", [("entry", "param_rdata_i", "changed")])
    kernels = {"1x1": "conv.kernel == 0", "3x3": "conv.kernel == 1", "2x2": "conv.kernel == 2"}
    strides = {"stride1": "!conv.stride", "stride2": "conv.stride"}
    planes = {"plane": "!conv.planes", "planes": "conv.planes"}
    plain_up = {"plain": "!conv.upsample", "up": "conv.upsample"}
    chain = {"apart": "!conv.chain", "chained": "conv.chain"}
    kinds = {"stream": "conv.dest_kind == 0", "q": "conv.dest_kind == 1", "k": "conv.dest_kind == 2", "v": "conv.dest_kind == 3"}
    m.cross("kernel_stride_upsampling_planes", "is_conv", kernels, strides, plain_up, planes)
    m.cross("kernel_chain", "is_conv", kernels, chain)
    m.cross("spread_stride_planes", "is_conv", {"straight": "!conv.spread", "spread": "conv.spread"}, strides, planes)
    m.cross("destination", "is_conv", kinds, planes, chain)
    m.cross("padding", "is_conv && conv.kernel == 1", classes("conv.pad_top", 3, lambda v: f"3x3_top{v}"), classes("conv.pad_left", 3, lambda v: f"left{v}"), strides)
    m.cross("padding", "is_conv && conv.kernel == 2", classes("conv.pad_top", 2, lambda v: f"2x2_top{v}"), classes("conv.pad_left", 2, lambda v: f"left{v}"))
    for side in ("bottom", "right"):
        m.cross("padding", "is_conv && conv.kernel == 1", strides, {f"{side}_none": f"{side} == 0", f"{side}_padded": f"{side} > 0", f"{side}_cut": f"{side} < 0"})
    m.cross("residual", "is_conv && conv.dest_kind == 0", {"none": "!conv.residual", "residual": "conv.residual"}, planes, {"no_sums": "!conv.sums",
            "sums": "conv.sums && !conv.add_sums", "sums_added": "conv.sums && conv.add_sums"})
    m.cross("phases", "is_conv && conv.interleave", {"py0": "conv.pad_top == 1", "py1": "conv.pad_top == 0"}, {"px0": "conv.pad_left == 1", "px1": "conv.pad_left == 0"}, planes)
    m.cross("remainders_conv", "is_conv", {f"pixels_{v}_of_4": f"pixels % 4 == {v}" for v in range(4)})
    m.point("remainders_conv", "pixels_below_a_group", "is_conv && pixels < P")
    for v in range(1, 9):
        m.point("remainders_conv", f"outputs_{v}_of_8", f"O == 8 && entry && 32'(lane_q) == O - 1 && 32'(real_q) + 32'(lane_real) == {v}")
    m.cross("sizes_conv", "is_conv", few("conv.tiles", "tiles"), few("conv.blocks", "blocks"))
    m.cross("sizes_conv", "is_conv && conv.dest_kind != 0", {"first": "conv.first_tile == 0", "later": "conv.first_tile != 0"}, kinds_without(kinds, "stream"))
    names = {name: f"{request} && !{grant}" for name, (request, grant) in waits.items()}
    stalls(m, "stalls_array", names | {"chain": "stall_operand_o", "bank": "stall_bank_o", "drain": "stall_store_o"})
    return m


def attention():
    m = Module("attention_ctrl", ["P", "O", "I", "MaxKeys"], QUEUE_PORTS + ["param_rvalid_i", "param_rdata_i"])
    queue(m)
    m.add("""
  attention_desc_t attn;
  assign attn = desc;
  logic [15:0] tag_q, base_q;
  logic [63:0] changed;
  always_ff @(posedge clk_i) if (take) {tag_q, base_q} <= {desc_i[127:112], desc_i[335:320]};
  cover_entry u_entry (.clk_i, .rst_ni, .valid_i(param_rvalid_i), .address_i(base_q), .tag_i(tag_q), .data_i(param_rdata_i), .changed_o(changed));""")
    fields(m, "attention", "retired")
    block(m, "head", "attention", [("param_rvalid_i", "param_rdata_i", "changed")])
    m.cross("attention", "retired", few("attn.heads", "heads"), few("attn.head_blocks", "blocks"))
    m.cross("attention", "retired", {f"pixels_{v}_of_8": f"attn.pixels % 8 == {v}" for v in range(8)})
    m.cross("attention", "retired", {"pixels_below_a_group": "attn.pixels < P", "keys_of_one_tile": "attn.pixels <= O", "keys_of_more": "attn.pixels > 2 * O", "most_keys": "attn.pixels == MaxKeys"})
    return m


def kinds_without(kinds, name):
    return {k: v for k, v in kinds.items() if k != name}


def prep():
    waits = ports("stream_read", "stream_write", "operand_write", "state_read", "affine_read", "param_read", "sums_write")
    m = Module("prep_unit", ["P", "O", "I"], QUEUE_PORTS + [p for pair in waits.values() for p in pair] + ["param_rvalid_i", "param_rdata_i"])
    queue(m)
    m.add("""
  prep_desc_t prep;
  assign prep = desc;
  logic [23:0] source, pixels;
  assign source = 24'(prep.width) * 24'(prep.height);
  assign pixels = prep.resample == 2'd1 ? source << 2 : prep.resample == 2'd2 ? source >> 2 : source;
  logic [15:0] channels, tag_q, base_q;
  assign channels = prep.channels_a + prep.channels_b;
  logic [63:0] changed;
  always_ff @(posedge clk_i) if (take) {tag_q, base_q} <= {desc_i[127:112], desc_i[351:336]};
  cover_entry u_entry (.clk_i, .rst_ni, .valid_i(param_rvalid_i), .address_i(base_q), .tag_i(tag_q), .data_i(param_rdata_i), .changed_o(changed));""")
    fields(m, "prep", "retired")
    block(m, "head", "prep", [("param_rvalid_i", "param_rdata_i", "changed")])
    kinds = {"norm": "prep.kind == 0", "single": "prep.kind == 1", "planes": "prep.kind == 2", "state": "prep.kind == 3", "copy": "prep.kind == 4"}
    resample = {"plain": "prep.resample == 0", "nearest": "prep.resample == 1", "mean": "prep.resample == 2"}
    m.cross("kind_resampling", "retired", kinds, resample)
    m.cross("kind_resampling", "retired && prep.kind == 0", {"linear": "!prep.silu", "silu": "prep.silu"}, resample, {"one": "prep.channels_b == 0", "two": "prep.channels_b != 0"})
    m.cross("kind_resampling", "retired && prep.kind == 4", {"copy_sums": "prep.sums"}, resample)
    m.cross("spread_prep", "retired && prep.spread", kinds_without(kinds, "copy"), resample)
    m.cross("remainders_prep", "retired && prep.kind != 3", {f"channels_{v}_of_8": f"channels % 8 == {v}" for v in range(8)})
    m.cross("remainders_prep", "retired && prep.channels_b != 0", {f"second_begins_at_{v}_of_8": f"prep.channels_a % 8 == {v}" for v in range(8)})
    m.cross("remainders_prep", "retired && prep.kind == 3", {f"state_channels_{v}": f"prep.channels_a == {v}" for v in range(1, 5)})
    m.cross("remainders_prep", "retired", {f"pixels_{v}_of_4": f"pixels % 4 == {v}" for v in range(4)})
    m.cross("remainders_prep", "retired", {"one_pixel": "pixels == 1", "one_column": "prep.width == 1 && prep.height > 1", "one_row": "prep.height == 1 && prep.width > 1"})
    m.cross("bands_prep", "retired", kinds_without(kinds, "state"), {"whole": "prep.plane_a == source", "band": "prep.plane_a > source"})
    stalls(m, "stalls_prep", {name: f"{request} && !{grant}" for name, (request, grant) in waits.items()})
    return m


def norm():
    waits = ports("param_read", "sums_read", "affine_write")
    m = Module("norm_unit", [], QUEUE_PORTS + [p for pair in waits.values() for p in pair] + ["param_rvalid_i", "param_rdata_i"])
    queue(m)
    m.add("""
  norm_desc_t norm;
  assign norm = desc;
  logic [31:0] begins, ends;
  assign begins = 32'(norm.first_group) * 32'(norm.group_channels);
  assign ends = begins + 32'(norm.groups) * 32'(norm.group_channels);
  logic straddles;
  assign straddles = begins < 32'(norm.channels_a) && ends > 32'(norm.channels_a) && 32'(norm.channels_a) % 32'(norm.group_channels) != 0;
  logic [15:0] tag_q, base_q, number_q, skip_q, address;
  logic [63:0] changed;
  logic head0, head1, channel;
  assign head0 = param_rvalid_i && number_q == 16'd0;
  assign head1 = param_rvalid_i && number_q == 16'd1;
  assign channel = param_rvalid_i && number_q > 16'd1;
  assign address = base_q + number_q + (channel ? skip_q : '0);
  always_ff @(posedge clk_i) begin
    if (take) begin
      {tag_q, base_q} <= {desc_i[127:112], desc_i[271:256]};
      skip_q <= 16'(desc_i[223:208] * desc_i[207:192]);
      number_q <= '0;
    end else if (param_rvalid_i) number_q <= number_q + 1'b1;
  end
  cover_entry u_entry (.clk_i, .rst_ni, .valid_i(param_rvalid_i), .address_i(address), .tag_i(tag_q), .data_i(param_rdata_i), .changed_o(changed));""")
    fields(m, "norm", "retired")
    block(m, "head", "norm", [("head0", "param_rdata_i", "changed"), ("head1", "param_rdata_i", "changed")])
    block(m, "entry", "norm_channel", [("channel", "param_rdata_i", "changed")])
    m.cross("norm", "retired", {"one": "norm.channels_b == 0", "two": "norm.channels_b != 0 && !straddles", "two_in_a_group": "norm.channels_b != 0 && straddles"}, {
        "from_first": "norm.first_group == 0", "from_later": "norm.first_group != 0"})
    m.cross("norm", "retired", few("norm.group_channels", "channels"), few("norm.groups", "groups"))
    stalls(m, "stalls_norm", {name: f"{request} && !{grant}" for name, (request, grant) in waits.items()})
    return m


def sample():
    waits = ports("param_read", "stream_read", "state_read", "state_write")
    m = Module("sample_unit", [], QUEUE_PORTS + ["step_i"] + [p for pair in waits.values() for p in pair] + ["param_rvalid_i", "param_rdata_i"])
    queue(m, "step_i")
    m.add("""
  sample_desc_t sample;
  assign sample = desc;
  logic [15:0] tag_q, base_q, number_q;
  logic [63:0] changed;
  always_ff @(posedge clk_i) begin
    if (take) begin
      {tag_q, base_q} <= {desc_i[127:112], desc_i[271:256]};
      number_q <= '0;
    end else if (param_rvalid_i) number_q <= number_q + 1'b1;
  end
  cover_entry u_entry (.clk_i, .rst_ni, .valid_i(param_rvalid_i), .address_i(base_q + number_q), .tag_i(tag_q), .data_i(param_rdata_i), .changed_o(changed));""")
    fields(m, "sample", "retired")
    block(m, "head", "sample", [(f"param_rvalid_i && number_q == {n}", "param_rdata_i", "changed") for n in range(11)])
    m.cross("sample", "retired", {f"channels_{v}": f"sample.channels == {v}" for v in range(1, 5)}, {"quiet": "!sample.noise", "noise": "sample.noise"}, {
        "first_step": "step == 0", "later_step": "step != 0"})
    m.cross("sample", "retired", {"first_image": "sample.image == 0", "of_a_batch": "sample.image != 0"}, {"first_step": "step == 0", "later_step": "step != 0"})
    stalls(m, "stalls_sample", {name: f"{request} && !{grant}" for name, (request, grant) in waits.items()})
    return m


def dma():
    waits = ports("stream_read", "stream_write", "weight_write", "param_write", "state_read", "state_write")
    bus = {"address": "|(m_axi_arvalid_o & ~m_axi_arready_i)", "write_address": "m_axi_awvalid_o && !m_axi_awready_i", "write_data": "m_axi_wvalid_o && !m_axi_wready_i"}
    m = Module("dma_unit", ["ReadPorts"], QUEUE_PORTS + ["step_i", "steps_i"] + [p for pair in waits.values() for p in pair] + [
        "m_axi_awvalid_o", "m_axi_awready_i", "m_axi_wvalid_o", "m_axi_wready_i", "m_axi_wlast_o", "m_axi_arvalid_o", "m_axi_arready_i", "m_axi_arlen_o", "m_axi_awlen_o", "m_axi_wstrb_o"])
    queue(m, "step_i")
    m.add("""
  load_desc_t load;
  store_desc_t store;
  assign load = desc;
  assign store = desc;
  logic is_load, is_store;
  assign is_load = retired && desc[7:0] == OpcodeLoad;
  assign is_store = retired && desc[7:0] == OpcodeStore;""")
    fields(m, "load", "is_load")
    fields(m, "store", "is_store")
    spaces = {space["name"]: f"load.space == {space['value']}" for space in ISA["space"]}
    tables = {"data": "load.per_step == 0", "this_step": "load.per_step == 1", "next_step": "load.per_step == 2"}
    m.cross("load_spaces", "is_load", kinds_without(spaces, "pixel"), tables)
    m.cross("records", "is_load && load.space == 1", kinds_without(tables, "data"), {
        "first": "step == 0 && steps_i > 2", "middle": "step != 0 && step + 2 < steps_i", "next_is_last": "step != 0 && step + 2 == steps_i", "last": "step + 1 == steps_i"})
    m.cross("transfers", "1'b1", {f"under_way_{v}": f"held == {v}" for v in range(1, 9)})
    for beats in (1, 2, 8, 15, 16):
        m.point("transfers", f"read_of_{beats}", "|{" + ", ".join(f"m_axi_arvalid_o[{p} % ReadPorts] && m_axi_arlen_o[{p} % ReadPorts] == {beats - 1}" for p in range(4)) + "}")
        m.point("transfers", f"write_of_{beats}", f"m_axi_awvalid_o && m_axi_awlen_o == {beats - 1}")
    m.point("transfers", "last_beat_in_part", "m_axi_wvalid_o && m_axi_wlast_o && m_axi_wstrb_o != '1 && m_axi_wstrb_o != '0")
    stalls(m, "stalls_dma", {name: f"{request} && !{grant}" for name, (request, grant) in waits.items()} | bus)
    return m


def queues():
    m = Module("unit_queue", [], ["desc_valid_o", ("desc_ready_o", "desc_ready_i"), "desc_o"])
    m.add("""
  common_t common;
  assign common = desc_o;
  logic handed;
  assign handed = desc_valid_o && desc_ready_o;""")
    units = {"dma": "common.opcode inside {OpcodeLoad, OpcodeStore}", "norm": "common.opcode == OpcodeNorm", "prep": "common.opcode == OpcodePrep",
             "array": "common.opcode inside {OpcodeConv, OpcodeAttention}", "sample": "common.opcode == OpcodeSample"}
    for u, unit in enumerate(UNITS):
        count = f"common.wait_{unit}"
        m.cross("waits", f"handed && common.waits[{u}]", units, {f"for_{unit}_before": f"{count} < 0", f"for_{unit}": f"{count} > 0"})
    return m


def core():
    """Who waits for a memory, and which units do in one cycle; the array's other waits, and those for the bus."""
    clients = {}
    for memory, readers, writers in (("stream", ("array", "prep", "sample", "dma"), ("array", "prep", "dma")), ("operand", (), ("array", "prep")), ("weight", (), ("array", "dma")),
                                     ("param", ("array", "prep", "norm", "sample"), ()), ("sums", ("array", "norm"), ("array", "prep")),
                                     ("state", ("prep", "sample", "dma"), ("sample", "dma"))):
        for n, unit in enumerate(readers):
            clients[f"{unit}_{memory}_read"] = f"{memory}_req[{n}] && !{memory}_gnt[{n}]"
        for n, unit in enumerate(writers):
            clients[f"{unit}_{memory}_write"] = f"{memory}_we[{n}] && !{memory}_wgnt[{n}]"
    others = {"array_chain": "stall_operand", "array_bank": "stall_bank", "array_drain": "stall_store", "array_for_dma": "counted_o[2]",
              "bus_program": "m_axi_program_arvalid_o && !m_axi_program_arready_i", "bus_read": "|(m_axi_arvalid_o & ~m_axi_arready_i)",
              "bus_write_address": "m_axi_awvalid_o && !m_axi_awready_i", "bus_write_data": "m_axi_wvalid_o && !m_axi_wready_i"}
    m = Module("diffuser_core", [], [(f"wait_{name}", condition) for name, condition in (clients | others).items()])
    for name in clients:
        m.point("clients_stall", name, f"wait_{name}")
    units = {unit: " || ".join(f"wait_{name}" for name in clients if name.startswith(unit)) for unit in UNITS}
    stalls(m, "units_stall", {f"{unit}_memory": waits for unit, waits in units.items()} | {name: f"wait_{name}" for name in others})
    return m


def display_fetch():
    """The display's side at the bus: bursts, rows' ends, frames, off in every state."""
    m = Module("display_fetch", [], [
        "take_o", "pending_i", "first_q", "wrong_o", "error_o", "enable_i", "request_valid_i", "word_valid_o", "word_ready_i", "row_done", "at_rest", ("address_valid", "m_axi_arvalid_o"), ("address_ready", "m_axi_arready_i"),
        ("arlen", "m_axi_arlen_o"), ("part", "part_q[0]"), ("rows_wait", "some_left_q && !room_q"), ("state", "state_q")])
    states = {name: f"state == {value}" for value, name in enumerate(("idle", "open", "run", "stop", "setup", "reply", "close"))}
    for beats in (1, 2, 8, 15, 16):
        m.point("display_bus", f"read_of_{beats}", f"address_valid && arlen == {beats - 1}")
    m.cross("display_bus", "row_done", {f"row_ends_in_beat_{n}": f"part == {n}" for n in range(4)})
    for name, condition in {"address_waits": "address_valid && !address_ready", "buffer_is_full": "word_valid_o && !word_ready_i", "rows_wait": "rows_wait", "read_fails": "error_o",
                            "new_frame_waits_for_reads": f"{states['stop']} && !at_rest", "end_waits_for_reads": f"{states['close']} && !at_rest"}.items():
        m.point("display_bus", name, condition)
    m.cross("display_frames", "take_o", {"first": "first_q", "flipped": "!first_q && pending_i", "again": "!first_q && !pending_i"})
    m.point("display_frames", "wrong", "wrong_o")
    m.point("display_frames", "asked_for_while_closing", f"{states['close']} && request_valid_i")
    m.cross("display_frames", "!enable_i", {f"off_in_{name}": states[name] for name in ("open", "run", "stop", "setup", "reply")})
    return m


def display_scan():
    """The display's side at the panel, in cycles of the pixel clock."""
    m = Module("display_scan", [], [
        "running_q", "enable_i", "in_q", "there", "lost_q", "draining_q", "drop_o", "frame_end", "frame_valid_i", "consume", "last_q", ("row_last", "row_last_q"), ("lane", "lane_q"),
        ("bad_word", "there3_q && rdata_i[WordBits-1]"), ("scale_last", "frame_i.scale_last"), ("h_phase", "h_phase_q"), ("v_phase", "v_phase_q")])
    phases = ("sync", "back", "active", "front")
    m.cross("display_image", "consume && last_q", {f"row_ends_in_lane_{n}": f"lane == {n}" for n in range(4)}, {"once": "scale_last == 0", "enlarged": "scale_last != 0"})
    m.cross("display_image", "consume", {"row_again": "!row_last", "row_for_the_last_time": "row_last"})
    for name, condition in {"pixel_is_missing": "in_q && !there && !lost_q", "word_was_read_with_an_error": "bad_word", "old_words_are_dropped": "draining_q && drop_o",
                            "no_answer_in_time": "frame_end && !frame_valid_i"}.items():
        m.point("display_image", name, condition)
    m.cross("display_panel", "running_q && !enable_i", {f"off_in_{name}_of_a_frame": f"v_phase == {v}" for v, name in enumerate(phases)})
    m.cross("display_panel", "running_q && !enable_i", {f"off_in_{name}_of_a_line": f"h_phase == {h}" for h, name in enumerate(phases)})
    return m


def modules():
    return [array(), attention(), prep(), norm(), sample(), dma(), queues(), core(), display_fetch(), display_scan()]


def source():
    """SystemVerilog of all points."""
    return "\n".join(["// Made of hw/isa.toml by hw/coverage/bins.py.", QUEUE, *(m.text() for m in modules())])


def labels():
    return [label for module in modules() for label in module.points]
