#!/usr/bin/env python3
"""Write the figures of docs/accelerator.md: tables between markers, docs/accelerator-layers.md, docs/images/accelerator-timeline.svg.

    python3 scripts/accelerator_tables.py

Runs two networks on the simulator of the ZU9EG (`cargo run --release -p diffuser-compiler --example trace`) and counts cycles of its
model; counts bank conflicts by the rule of docs/isa.md and checks that the simulator counted the same; sizes of memories are those of
hw/rtl/pkg/target_pkg.sv; resources are read from what `hw/synth/synth.py --output` wrote (--synthesis). --traces FOLDER keeps the traces
there, and takes those that are there already. --rtl names files with the output of

    DIFFUSER_TOPS=core_small cargo test -p diffuser-cosim --features verilator --test core networks -- --nocapture --test-threads 1

--steps names files that

    DIFFUSER_TOPS=core_zu9eg cargo run -p diffuser-cosim --features verilator --example full_step -- cifar10 one > one.json

and the like wrote: full steps of networks on the RTL of the ZU9EG.

--check changes nothing and fails where a file is not what it would be.
"""

import argparse
import json
import math
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/accelerator.md"
LAYERS = ROOT / "docs/accelerator-layers.md"
DIAGRAM = ROOT / "docs/images/accelerator.svg"
TIMELINE = ROOT / "docs/images/accelerator-timeline.svg"
CLOCK = 200e6  # the clock that is aimed at
P, O, I = 8, 32, 16
PEAK = P * O * I
# of the cycle model (crates/device/src/cycles): prep until its first group and after its last, array until its first product,
# until a group's sums
PREP_LATENCY, ARRAY_START, MAC_LATENCY = 45, 20, 17

# AMD DS891, XCZU9EG
DEVICE = {"lut": ("LUT", 274_080), "ff": ("FF", 548_160), "dsp": ("DSP", 2520), "bram36": ("BRAM36", 912)}


# ---- traces


def trace(model: str, folder: Path) -> dict:
    """A network's run on the simulator."""
    file = folder / f"{model}.json"
    if not file.exists():
        command = ["cargo", "run", "--quiet", "--release", "-p", "diffuser-compiler", "--example", "trace", "--", model]
        out = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT).stdout
        file.write_bytes(out)
    return json.loads(file.read_text())


PARTS = ["busy", "weight", "operand", "bank", "drain"]


def issued(span: dict) -> int:
    """When the array could go on behind a descriptor: with a stream's last product, else with its retirement."""
    return span["issued"]


def array_cycles(run: dict) -> dict[int, dict]:
    """The array's cycles of the last step, by node.

    From where the array could go on behind one descriptor to where it can behind the next, all cycles are the second one's: those of its
    counters, the rest a bubble.
    """
    spans = [s for s in run["spans"] if s["unit"] == "array"]
    last = run["steps"] - 1
    before = max(issued(s) for s in spans if s["step"] == last - 1)
    layers: dict[int, dict] = {}
    for span in (s for s in spans if s["step"] == last):
        layer = layers.setdefault(span["tag"], dict.fromkeys(["cycles", *PARTS, "bubble"], 0))
        layer["cycles"] += issued(span) - before
        before = issued(span)
        for part in PARTS:
            layer[part] += span[part]
    step = step_counters(run)
    for layer in layers.values():
        layer["bubble"] = layer["cycles"] - sum(layer[part] for part in PARTS)
        assert layer["bubble"] >= 0, layer
    for part in ["cycles", *PARTS]:
        assert sum(layer[part] for layer in layers.values()) == step[part], f"{part}: the layers do not add up to the counter"
    return layers


def step_counters(run: dict) -> dict:
    """What the counters add up in one step more."""
    more, less = run[f"counters_{run['steps']}"], run[f"counters_{run['steps'] - 1}"]
    return {name: more[name] - less[name] for name in more}


# ---- bank conflicts, by the loops of `conv` in docs/isa.md


def reads(conv: dict, n: int, ky: int, kx: int) -> int | None:
    """Pixel of the operand that output pixel n reads for a tap; None for padding."""
    (in_height, in_width), width = conv["in"], conv["out"][1]
    up = 2 if conv["upsample"] else 1
    y = n // width * conv["stride"] + ky - conv["pad"]
    x = n % width * conv["stride"] + kx - conv["pad"]
    if not (0 <= y < in_height * up and 0 <= x < in_width * up):
        return None
    return y // up * in_width + x // up


def conflicts(conv: dict) -> tuple[int, int]:
    """Cycles that all taps of one block lose, and the cycles that they take without."""
    pixels = conv["out"][0] * conv["out"][1]
    lost = taps = 0
    for group in range(0, pixels, P):
        for ky in range(conv["kernel"]):
            for kx in range(conv["kernel"]):
                pixel = {reads(conv, n, ky, kx) for n in range(group, min(group + P, pixels))} - {None}
                rows = [0] * P  # rows that a bank is asked for
                for m in pixel:
                    rows[m % P] += 1
                lost += max(1, *rows) - 1
                taps += 1
    return lost, taps


def check_conflicts(run: dict) -> int:
    """Every conv of the last step lost what the rule says; how many were looked at."""
    known: dict[tuple, int] = {}
    count = 0
    for span in run["spans"]:
        if span["operation"] != "conv" or span["step"] != run["steps"] - 1:
            continue
        key = (*span["in"], *span["out"], span["kernel"], span["stride"], span["upsample"], span["pad"])
        if key not in known:
            known[key] = conflicts(span)[0]
        lost = known[key]
        assert span["bank"] == lost * span["tiles"] * span["blocks"] * span["planes"], f"descriptor {span['index']}"
        count += 1
    return count


def conflict_table(_: dict) -> str:
    def cell(kernel: int, size: int, stride: int = 1, upsample: bool = False, pad: int | None = None) -> str:
        source = size * stride // (2 if upsample else 1)
        pad = kernel // 2 if pad is None else pad
        conv = {"in": [source, source], "out": [size, size], "kernel": kernel, "stride": stride, "upsample": upsample, "pad": pad}
        lost, taps = conflicts(conv)
        return f"{lost / taps:.2f}" if lost else "0"

    sizes = [32, 16, 8, 4]
    kinds = {
        "3x3": {"kernel": 3},
        "1x1, Q, K, V, linear": {"kernel": 1},
        "3x3 after nearest 2x": {"kernel": 3, "upsample": True},
        "3x3, stride 2, padded all round or below and right": {"kernel": 3, "stride": 2},
    }
    corner = {"kernel": 3, "stride": 2, "pad": 0}
    assert all(cell(size=s, **corner) == cell(size=s, kernel=3, stride=2) for s in sizes)
    lines = ["| result | " + " | ".join(f"{s}x{s}" for s in sizes) + " |", "| --- |" + " --- |" * len(sizes)]
    for name, kind in kinds.items():
        lines.append(f"| {name} | " + " | ".join(cell(size=s, **kind) for s in sizes) + " |")
    return "\n".join(lines)


# ---- memories


def build_parameters() -> dict[str, int]:
    """Sizes of the build for the ZU9EG."""
    text = (ROOT / "hw/rtl/pkg/target_pkg.sv").read_text()
    body = re.search(r"localparam target_t Zu9eg = '\{(.*?)\};", text, re.S).group(1)
    return {name: int(value) for name, value in re.findall(r"(\w+): (\d+)", body)}


def block_rams(width: int, depth: int, strobe: int) -> int:
    """RAMB36 of a memory with one read and one write port.

    `strobe` bits are written together: a block RAM can do that for each of its bytes of 8 bits, or 9 with the parity. A depth is made of
    pieces of these shapes (hw/rtl/prim/mem_slice.sv); up to 128 words are distributed RAM.
    """
    if depth <= 128:
        return 0
    whole = 9 if strobe in (width, 54) else 8
    columns, rams, left = math.ceil(width / whole), 0, math.ceil(depth / 512)
    for eighths in (8, 4, 2, 1):
        pieces, left = divmod(left, eighths)
        rams += pieces * math.ceil(columns * eighths / 8)
    return rams


def memories() -> list[tuple]:
    """Name, banks, bits of a bank's word, words of a bank, bits written together, readers, writers, bytes written a cycle."""
    t = build_parameters()
    assert (t["P"], t["O"], t["I"]) == (P, O, I)
    s = t["StreamBanks"]
    return [
        ("stream", s, 16 * O, t["Stream"] // s, 16, "array (residual), prep, sample, dma", "array, prep, dma", s * 2 * O),
        ("operand", P, 8 * I, t["Operand"], 8 * I, "array", "prep, array", P * I),
        ("weight", 1, 8 * O * I, t["Weight"], 8, "array", "dma, array (K, V)", O * I),
        ("param", 1, 64, t["Param"], 64, "norm, prep, array, sample", "dma", 8),
        ("affine", I, 56, t["Affine"] // I, 56, "prep", "norm", 7),
        ("sums", 1, 128, t["Sums"], 128, "norm, array", "array, prep", 16),
        ("state", 1, 128, t["State"], 32, "prep, sample, dma", "sample, dma", 16),
        ("`x0_previous`, in `sample`", 1, 4 * 54, t["State"], 54, "sample", "sample", 27),
    ]


def memory_table(_: dict) -> str:
    lines = [
        "| memory | banks x words x bits | KiB | BRAM36 | readers | writers | bytes a cycle: read, written |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    diagram = DIAGRAM.read_text()
    total = bits = 0
    for name, banks, width, depth, strobe, readers, writers, written in memories():
        rams = banks * block_rams(width, depth, strobe)
        total += rams
        bits += banks * width * depth
        size = f"{banks} x {depth:,} x {width:,}"
        label = f"{banks} banks x {depth:,} x {width:,} bits" if banks > 1 else f"{depth:,} x {width:,} bits"
        assert name.startswith("`") or f">{label}<" in diagram, f"{DIAGRAM.name} does not have {label} for {name}"
        lines.append(f"| {name} | {size} | {banks * width * depth / 8192:,.0f} | {rams} | {readers} | {writers} | {banks * width // 8}, {written} |")
    lines.append(f"| all | | {bits / 8192:,.0f} | {total} of {DEVICE['bram36'][1]} | | | |")
    return "\n".join(lines)


# ---- cycles


def row(name: str, macs: int, part: dict, cells: tuple[str, ...] = ()) -> str:
    numbers = [part["cycles"], part["busy"], part["weight"], part["operand"], part["bank"], part["drain"], part["bubble"]]
    used = f"{100 * macs / PEAK / part['cycles']:.1f}" if part["cycles"] else ""
    return "| " + " | ".join([name, *cells, f"{macs / 1e6:,.1f}", *(f"{n:,}" for n in numbers), used]) + " |"


HEAD = ["M MAC", "cycles", "multiply", "DDR", "operand", "bank", "drain", "bubble", "% of peak"]


def total(layers: list[dict]) -> dict:
    return {name: sum(layer[name] for layer in layers) for name in ["cycles", *PARTS, "bubble"]}


def block(name: str) -> str:
    """Block of the network that a node belongs to."""
    return ".".join(name.split(".")[:2]) if name.startswith(("down", "up")) else name.split(".")[0]


def block_table(runs: dict) -> str:
    run = runs["cifar10"]
    layers = array_cycles(run)
    groups: dict[str, list[int]] = {}
    for tag in layers:
        groups.setdefault(block(run["names"][tag]), []).append(tag)
    lines = ["| block | " + " | ".join(HEAD) + " |", "| --- |" + " --- |" * len(HEAD)]
    for name, tags in groups.items():
        lines.append(row(f"`{name}`", sum(run["node_macs"][t] for t in tags), total([layers[t] for t in tags])))
    lines.append(row("one step of the 35.7 M U-Net", run["macs"], total(list(layers.values()))))
    other = runs["shipped"]
    lines.append(row("one step of the shipped model", other["macs"], total(list(array_cycles(other).values()))))
    return "\n".join(lines)


def layer_table(run: dict) -> str:
    layers = array_cycles(run)
    shapes: dict[int, dict] = {}
    for span in run["spans"]:
        if span["unit"] == "array" and span["step"] == run["steps"] - 1:
            shapes.setdefault(span["tag"], span)
    lines = ["| layer | what | " + " | ".join(HEAD) + " |", "| --- | --- |" + " --- |" * len(HEAD)]
    for tag, layer in layers.items():
        span = shapes[tag]
        what = "attention"
        if span["operation"] == "conv":
            kind = f"{span['kernel']}x{span['kernel']}"
            kind += ", stride 2" if span["stride"] == 2 else ""
            kind += ", upsampled" if span["upsample"] else ""
            kind += ", two planes" if span["planes"] == 2 else ""
            what = f"{kind}, to {span['out'][0]}x{span['out'][1]}"
        lines.append(row(f"`{run['names'][tag]}`", run["node_macs"][tag], layer, (what,)))
    lines.append(row("all", run["macs"], total(list(layers.values())), ("",)))
    return "\n".join(lines)


def total_table(runs: dict) -> str:
    lines = [
        "| one step of | cycles | ms at 200 MHz | MAC a cycle | array multiplies | bytes from DDR | bytes a cycle |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    names = {"cifar10": "35.7 M U-Net, random weights", "shipped": "shipped model, 2.74 M"}
    for model, name in names.items():
        run = runs[model]
        step = step_counters(run)
        cycles = step["cycles"]
        lines.append(
            f"| {name} | {cycles:,} | {1e3 * cycles / CLOCK:.2f} | {run['macs'] / cycles:,.0f} | {100 * step['busy'] / cycles:.1f} % "
            f"| {step['read_bytes']:,} | {step['read_bytes'] / cycles:.1f} |"
        )
    return "\n".join(lines)


def loss_table(runs: dict) -> str:
    """What keeps the array from its peak, in percent of a step's cycles."""
    names = {"cifar10": "35.7 M U-Net", "shipped": "shipped model"}
    columns: list[dict[str, float]] = []
    for model in names:
        run = runs[model]
        layers, step = array_cycles(run), step_counters(run)
        spans = [s for s in run["spans"] if s["unit"] == "array" and s["step"] == run["steps"] - 1]
        convs = [s for s in spans if s["operation"] == "conv"]
        needed = run["macs"] / PEAK
        planes = sum(s["busy"] / 2 for s in convs if s["planes"] == 2)
        first = layers[run["names"].index("conv_in")]["operand"]
        point = sum(s["operand"] for s in convs if s["kernel"] == 1)
        column = {
            "products, at 4,096 a cycle": needed,
            "second planes of shortcuts, resampling, the input": planes,
            "padded channels and pixels": step["busy"] - needed - planes,
            "operand, before 1x1: `prep` is slower than their products": point,
            "operand, before `conv_in`: the sampler's update": first,
            "operand, before other layers": step["operand"] - point - first,
            "DDR": step["weight"],
            "bank conflicts, drain, bubbles": step["bank"] + step["drain"] + sum(layer["bubble"] for layer in layers.values()),
        }
        assert abs(sum(column.values()) - step["cycles"]) < 1e-3
        columns.append({name: 100 * cycles / step["cycles"] for name, cycles in column.items()})
    lines = ["| what the array does with a step's cycles, % | " + " | ".join(names.values()) + " |", "| --- | --- | --- |"]
    lines += [f"| {name} | " + " | ".join(f"{column[name]:.1f}" for column in columns) + " |" for name in columns[0]]
    return "\n".join(lines)


def rtl_table(files: list[Path]) -> str:
    """Counters of the RTL beside the simulator's, from what the tests of crates/cosim print."""
    names = {"array_busy": "multiply", "stall_weight": "DDR", "stall_operand": "operand", "stall_bank": "bank", "stall_store": "drain"}
    lines = ["| network of the test, two steps | cycles | " + " | ".join(names.values()) + " |", "| --- |" + " --- |" * (len(names) + 1)]
    pattern = re.compile(r"^test \w+::(\w+)|^(RTL|simulator) +Counters \{ (.*) \}", re.M)
    for file in files:
        test, rtl = "", {}
        # the name of a test stands in front of the first of its lines
        for match in pattern.finditer(re.sub(r" \.\.\. (?=RTL|simulator)", "\n", file.read_text())):
            if match.group(1):
                test = match.group(1).replace("_", " ")
                continue
            counters = {name: int(value) for name, value in re.findall(r"(\w+): (\d+)", match.group(3))}
            if match.group(2) == "RTL":
                rtl = counters
                continue
            more = 100 * (rtl["cycles"] / counters["cycles"] - 1)
            cells = [f"{rtl['cycles']:,} / {counters['cycles']:,} ({more:+.1f} %)"] + [f"{rtl[n]:,} / {counters[n]:,}" for n in names]
            lines.append(f"| {test} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


RTL_PARTS = ["busy", "weight", "operand", "bank", "drain", "bubble"]


def steps_of(files: list[Path]) -> list[tuple[str, dict]]:
    """What full_step wrote, and what each is called; parts add up to the cycles, layers to the step."""
    runs = []
    for file in files:
        run = json.loads(file.read_text())
        words = run["arguments"]
        name = "35.7 M U-Net" if "cifar10" in words else "shipped model"
        if "cifar10" in words:
            name += ", one plane" if "one" in words else ", two planes"
        name += ", phases" if "phases" in words else ""
        name += ", 4-bit weights" if "four" in words else ""
        name += f" ({run['note']})" if "note" in run else ""
        if run["steps"] == 1:
            name += f" (a step alone, to its last product; {run['counters']['rtl']:,} with the sampler's update and the image's way to DDR)"
        assert run["shape"] == [P, O, I], file
        for side in ["rtl", "model"]:
            step = run["step"][side]
            for part in [step, *(layer[side] for layer in run["layers"])]:
                assert sum(part[p] for p in RTL_PARTS) == part["cycles"], f"{file}: parts of {part}"
            for part in ["cycles", *RTL_PARTS]:
                assert sum(layer[side][part] for layer in run["layers"]) == step[part], f"{file}: layers, {part}"
        assert all(layer["rtl"]["busy"] == layer["model"]["busy"] for layer in run["layers"]), f"{file}: products"
        runs.append((name, run))
    return runs


def more(found: int, wanted: int) -> str:
    return f"{100 * (found / wanted - 1):+.1f} %" if wanted else ""


def steps_table(runs: list[tuple[str, dict]]) -> str:
    """A step of each run by the RTL's counters."""
    heads = ["cycles", "model", "ms at 200 MHz", "% of peak", "products", "further products", "DDR", "operand", "bank", "drain", "bubble"]
    lines = ["| one step on the RTL of | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    for name, run in runs:
        rtl, model = run["step"]["rtl"], run["step"]["model"]
        cycles = rtl["cycles"]
        needed = math.ceil(run["macs"] / PEAK)
        cells = [
            f"{cycles:,}",
            f"{model['cycles']:,} ({more(model['cycles'], cycles)})",
            f"{1e3 * cycles / CLOCK:.2f}",
            f"{100 * run['macs'] / PEAK / cycles:.1f}",
            f"{needed:,}",
            f"{rtl['busy'] - needed:,}",
            *(f"{rtl[part]:,}" for part in RTL_PARTS[1:]),
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def steps_layers(runs: list[tuple[str, dict]]) -> str:
    """The layers of each run, RTL beside model."""
    text = ""
    for name, run in runs:
        text += f"## On the RTL: {name}\n\n"
        text += "| layer | M MAC | cycles | model | | multiply | DDR | operand | bank | drain | bubble | % of peak |\n| --- |" + " --- |" * 11 + "\n"
        whole = {"name": "all", "macs": run["macs"], "rtl": run["step"]["rtl"], "model": run["step"]["model"]}
        for layer in [*run["layers"], whole]:
            rtl, cycles = layer["rtl"], layer["rtl"]["cycles"]
            label = "all" if layer is whole else f"`{layer['name']}`"
            used = f"{100 * layer['macs'] / PEAK / cycles:.1f}" if cycles else ""
            numbers = [f"{cycles:,}", f"{layer['model']['cycles']:,}", more(layer["model"]["cycles"], cycles), *(f"{rtl[part]:,}" for part in RTL_PARTS), used]
            text += f"| {label} | {layer['macs'] / 1e6:,.1f} | " + " | ".join(numbers) + " |\n"
        text += "\n"
    return text.rstrip()


def comparison_table(runs: dict) -> str:
    run = runs["cifar10"]
    cycles = step_counters(run)["cycles"]
    macs = run["macs"]
    ours = 100 * cycles / CLOCK
    poster, pi = 63.0, 3.54
    diff_acc = poster * pi / 10.26
    dpu = 3 * 2048

    def per_cycle(seconds: float, clock: float = CLOCK) -> str:
        return f"{100 * macs / seconds / clock:,.0f}"

    def dpu_used(giga: float, fps: float) -> float:
        return giga * 1e9 * fps / (2 * dpu * 281e6)

    unet, best = dpu_used(5.31, 393.59), dpu_used(433, 7.12)
    return "\n".join(
        [
            "| on a ZU9EG | 32x32 image, 100 steps | MAC a cycle, of its peak | what the figure is |",
            "| --- | --- | --- | --- |",
            f"| this accelerator | {ours:.2f} s | {macs / cycles:,.0f} of {PEAK:,} ({100 * macs / cycles / PEAK:.1f} %) "
            "| cycle model, at a clock of 200 MHz that is a target; no board |",
            f"| Diffuser, OpenHW 2024 poster | {poster:.0f} s, {pi}x a Raspberry Pi 4 | {per_cycle(poster)} (if that is 100 steps of this network) "
            "| theirs, measured at 200 MHz |",
            f"| Diff-Acc (Tang et al., ACM TECS 2025) | about {diff_acc:.0f} s, 10.26x the Pi 4 | {per_cycle(diff_acc)} (if at 200 MHz, as above) "
            "| their ratio; seconds by the poster's Pi |",
            f"| AMD DPU, 3 x B4096 at 281 MHz | – | {unet * dpu:,.0f} of {dpu:,} ({100 * unet:.1f} %) on a 128x128 U-Net; "
            f"{100 * best:.1f} % on its best network | measured by AMD, several threads |",
        ]
    )


# ---- resources


BLOCKS = ["control", "dma_unit", "norm_unit", "prep_unit", "array_unit", "sample_unit", "memory_system"]


def resource_table(files: list[Path]) -> str:
    """Blocks of what hw/synth/synth.py wrote for the ZU9EG, against the chip; of a block in several files the last one.

    A report of before the rules lacks their figures.
    """
    rules = {"levels": "levels", "ends_over": "paths over 6", "longest_carry": "carry", "most_readers": "readers", "nets_over": "nets over 64"}
    found = {name: block for file in files for name, block in json.loads(file.read_text()).items()}
    wide = 1 + len(DEVICE) + len(rules)
    lines = ["| block | " + " | ".join([name for name, _ in DEVICE.values()] + list(rules.values())) + " |", "| --- |" + " --- |" * (wide - 1)]
    sums = dict.fromkeys(DEVICE, 0)
    for name in BLOCKS:
        block = found[name]
        sums = {k: sums[k] + block["resources"][k] for k in DEVICE}
        lines.append(f"| `{name}` | " + " | ".join([f"{block['resources'][k]:,.10g}" for k in DEVICE] + [f"{block[k]:,}" if k in block else "–" for k in rules]) + " |")
    empty = " |" * len(rules)
    lines.append("| whole | " + " | ".join(f"{sums[k]:,.10g}" for k in DEVICE) + " |" + empty)
    lines.append("| of the ZU9EG | " + " | ".join(f"{100 * sums[k] / n:.1f} % of {n:,}" for k, (_, n) in DEVICE.items()) + " |" + empty)
    return "\n".join(lines)


# ---- the timeline of a block

STYLE = """
.bg{fill:#fff}text{fill:#24292f}.m{fill:#57606a}.t{fill:#fff}.g{stroke:#d0d7de}
@media (prefers-color-scheme:dark){.bg{fill:#0d1117}text{fill:#e6edf3}.m{fill:#9198a1}.t{fill:#fff}.g{stroke:#3d444d}}
"""
COLOURS = ["#0969a8", "#a85000", "#1a7f37", "#8250df", "#a0204f"]
LANES = {"dma": "DDR to weights", "norm": "norm", "prep": "prep", "array": "array", "drain": "drain"}
LEFT, RIGHT, TOP, PITCH = 124, 920, 70, 44


def first_sums(conv: dict, preps: list[dict]) -> int:
    """When the first group of pixels of a descriptor of the array leaves the accumulators."""
    begin = conv["start"] + ARRAY_START
    if conv["operation"] != "conv":
        return begin + MAC_LATENCY
    if conv["follows"] is not None:
        prep = preps[conv["follows"]]
        group = prep["busy"] * P // (conv["in"][0] * conv["in"][1])
        taps = range(conv["kernel"])
        last = max(m for n in range(P) for ky in taps for kx in taps if (m := reads(conv, n, ky, kx)) is not None)
        begin = max(begin, prep["start"] + PREP_LATENCY + group * (last // P + 1))
    return begin + conv["kernel"] ** 2 * conv["blocks"] * conv["planes"] + MAC_LATENCY


def timeline(run: dict, prefix: str, step: int) -> str:
    """What the units do for the nodes of a prefix, as a picture."""
    names = run["names"]
    spans = [s for s in run["spans"] if s["step"] == step]
    preps = [s for s in spans if s["unit"] == "prep"]
    name = lambda s: names[s["tag"]] if s["tag"] < len(names) else "parameters"
    inside = [s for s in spans if name(s).startswith(prefix) and s["unit"] != "dma"]
    begin, end = min(s["start"] for s in inside), max(s["end"] for s in inside)
    scale = (RIGHT - LEFT) / (end - begin)
    bottom = TOP + PITCH * len(LANES)
    height = bottom + 56
    y = {lane: TOP + PITCH * i + 8 for i, lane in enumerate(LANES)}
    x = lambda t: LEFT + (min(max(t, begin), end) - begin) * scale
    layers = list(dict.fromkeys(name(s).removesuffix(".input") for s in inside))
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="940" height="{height}" viewBox="0 0 940 {height}" '
        'font-family="DejaVu Sans, Helvetica, Arial, sans-serif" font-size="12">',
        f"<title>Units of the accelerator over time, {prefix.rstrip('.')}</title>",
        f"<style>{STYLE}</style>",
        '<defs><pattern id="h" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<path d="M0 0V6" stroke="#fff" stroke-width="3" stroke-opacity="0.4"/></pattern></defs>',
        f'<rect class="bg" width="940" height="{height}"/>',
        f'<text x="14" y="28" font-size="14" font-weight="bold">{prefix.rstrip(".")} of the shipped model: one ResNet block, cycles since its first norm</text>',
    ]
    for t in range(0, end - begin, 500):
        line = f'<path class="g" d="M{x(begin + t):.1f} {TOP}V{bottom}"/>'
        out.append(line + f'<text class="m" x="{x(begin + t):.1f}" y="{bottom + 16}" text-anchor="middle">{t:,}</text>')
    out.append(f'<text class="m" x="14" y="{bottom + 16}">cycles</text>')
    for i, layer in enumerate(layers):
        left = LEFT + 130 * i
        out.append(f'<rect x="{left}" y="44" width="14" height="14" rx="2" fill="{COLOURS[i % len(COLOURS)]}"/>')
        out.append(f'<text class="m" x="{left + 20}" y="55">{layer.removeprefix(prefix)}</text>')
    out += [f'<text x="14" y="{y[lane] + 19}">{label}</text>' for lane, label in LANES.items()]

    def bar(lane: str, start: int, stop: int, layer: str, title: str, chained: int = 0) -> None:
        if stop <= begin or start >= end:
            return
        left, width = x(start), max(x(stop) - x(start), 1.5)
        colour = COLOURS[layers.index(layer) % len(COLOURS)] if layer in layers else "#6e7781"
        box = f'x="{left:.1f}" y="{y[lane]}" height="28"'
        out.append(f'<rect {box} width="{width:.1f}" rx="2" fill="{colour}"><title>{title}</title></rect>')
        if chained > start:
            out.append(f'<rect {box} width="{x(min(chained, stop)) - left:.1f}" fill="url(#h)"/>')
        label = layer.removeprefix(prefix) if layer in layers else layer.removesuffix(".input")
        if width > 7.6 * len(label):
            out.append(f'<text class="t" x="{left + width / 2:.1f}" y="{y[lane] + 18}" text-anchor="middle">{label}</text>')

    for s in spans:
        layer = name(s).removesuffix(".input")
        title = f"{s['operation']} for {name(s)}, cycles {s['start'] - begin:,} to {s['end'] - begin:,}"
        if s["unit"] == "dma" and s["operation"] == "load" and s["space"] in (0, 5):
            bar("dma", s["end"] - s["busy"], s["end"], layer, title)  # its data come at the end
        elif s["unit"] == "array":
            follows = s.get("follows")
            bar("array", s["start"], issued(s), layer, title, 0 if follows is None else preps[follows]["end"])
            bar("drain", first_sums(s, preps), s["end"], layer, title)
        elif s["unit"] in LANES and s["unit"] != "dma":
            bar(s["unit"], s["start"], s["end"], layer, title)
    legend = bottom + 28
    out.append(f'<rect x="{LEFT}" y="{legend}" width="26" height="14" rx="2" fill="#6e7781"/><rect x="{LEFT}" y="{legend}" width="26" height="14" fill="url(#h)"/>')
    out.append(f'<text class="m" x="{LEFT + 34}" y="{legend + 11}">chained: the array follows prep, group of pixels by group; grey: other layers</text>')
    return "\n".join([*out, "</svg>"]) + "\n"


# ---- pages


def replaced(text: str, name: str, table: str) -> str:
    pattern = re.compile(rf"(<!-- table: {name} -->\n).*?(\n<!-- end of table -->)", re.S)
    text, count = pattern.subn(lambda m: m.group(1) + table + m.group(2), text)
    assert count == 1, f"{PAGE.name} has {count} places for the table {name}"
    return text


LAYERS_HEAD = """# Cycles of each layer

Of one step on the ZU9EG build, batch 1: first from the counters of the RTL in simulation, beside the simulator's cycle model, then from the model alone. Made by
`python3 scripts/accelerator_tables.py`; what the columns mean stands in [accelerator.md](accelerator.md).
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path)
    parser.add_argument("--synthesis", type=Path, nargs="+", help="report.json of hw/synth/synth.py; without it that table stays")
    parser.add_argument("--rtl", type=Path, nargs="+", help="what tests of crates/cosim/tests/core printed; without it that table stays")
    parser.add_argument("--steps", type=Path, nargs="+", help="what example full_step of crates/cosim wrote; without it those tables stay")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.traces or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        runs = {model: trace(model, folder) for model in ["cifar10", "shipped"]}
    for run in runs.values():
        assert run["shape"] == [P, O, I]
        print(f"{run['name']}: bank conflicts of {check_conflicts(run)} convolutions are those of the rule")
    page = PAGE.read_text()
    tables = {"memories": memory_table, "conflicts": conflict_table, "blocks": block_table, "totals": total_table, "losses": loss_table, "comparison": comparison_table}
    for name, make in tables.items():
        page = replaced(page, name, make(runs))
    if arguments.synthesis:
        page = replaced(page, "resources", resource_table(arguments.synthesis))
    if arguments.rtl:
        page = replaced(page, "rtl", rtl_table(arguments.rtl))
    begin, end = "<!-- steps on the RTL -->\n", "\n<!-- end of steps -->\n"
    if arguments.steps:
        steps = steps_of(arguments.steps)
        page = replaced(page, "steps", steps_table(steps))
        measured = steps_layers(steps)
    else:
        measured = LAYERS.read_text().partition(begin)[2].partition(end)[0]
    layers = f"{LAYERS_HEAD}\n{begin}{measured}{end}"
    for model, name in [("cifar10", "35.7 M U-Net of CIFAR-10, random weights"), ("shipped", "Shipped model")]:
        layers += f"\n## {name}\n\n{layer_table(runs[model])}\n"
    files = {PAGE: page, LAYERS: layers, TIMELINE: timeline(runs["shipped"], "down_blocks.2.resnets.0.", 1)}
    stale = [file for file, text in files.items() if not file.exists() or file.read_text() != text]
    for file in stale:
        print(f"{'differs' if arguments.check else 'written'}: {file.relative_to(ROOT)}")
        if not arguments.check:
            file.write_text(files[file])
    if arguments.check and stale:
        sys.exit(1)


if __name__ == "__main__":
    main()
