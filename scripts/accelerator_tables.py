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

from accelerator_conflicts import P, check_conflicts, conflict_table
from accelerator_timeline import timeline

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs/accelerator.md"
LAYERS = ROOT / "docs/accelerator-layers.md"
DIAGRAM = ROOT / "docs/images/accelerator.svg"
TIMELINE = ROOT / "docs/images/accelerator-timeline.svg"
CLOCK = 200e6  # the clock that is aimed at
O, I = 32, 16
PEAK = P * O * I

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


def array_cycles(run: dict) -> dict[int, dict]:
    """The array's cycles of the last step, by node.

    From where the array could go on behind one descriptor to where it can behind the next, all cycles are the second one's: those of its
    counters, the rest a bubble.
    """
    spans = [s for s in run["spans"] if s["unit"] == "array"]
    last = run["steps"] - 1
    before = max(s["issued"] for s in spans if s["step"] == last - 1)
    layers: dict[int, dict] = {}
    for span in (s for s in spans if s["step"] == last):
        layer = layers.setdefault(span["tag"], dict.fromkeys(["cycles", *PARTS, "bubble"], 0))
        layer["cycles"] += span["issued"] - before
        before = span["issued"]
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
            kind += ", four phases" if span["interleave"] else ""
            kind += ", two planes" if span["planes"] == 2 else ""
            rows, columns = (2 * n if span["interleave"] else n for n in span["out"])
            what = f"{kind}, to {rows}x{columns}"
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
    """What keeps the array from its peak, in a step's cycles; adds up to the counter."""
    names = {"cifar10": "35.7 M U-Net", "shipped": "shipped model"}
    columns: list[dict[str, int]] = []
    for model in names:
        run = runs[model]
        layers, step = array_cycles(run), step_counters(run)
        spans = [s for s in run["spans"] if s["unit"] == "array" and s["step"] == run["steps"] - 1]
        convs = [s for s in spans if s["operation"] == "conv"]
        needed = math.ceil(run["macs"] / PEAK)
        planes = sum(s["busy"] // 2 for s in convs if s["planes"] == 2)
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
            "bank conflicts": step["bank"],
            "drain": step["drain"],
            "bubbles": sum(layer["bubble"] for layer in layers.values()),
        }
        assert sum(column.values()) == step["cycles"]
        columns.append({**column, "all, the counter": step["cycles"]})
    lines = ["| what the array does with a step's cycles | " + " | ".join(f"{name} | %" for name in names.values()) + " |", "| --- | --- | --- | --- | --- |"]
    for name in columns[0]:
        cells = (f"{column[name]:,} | {100 * column[name] / column['all, the counter']:.1f}" for column in columns)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
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
            planes = {"one": "one plane", "shortcuts": "two planes in shortcuts"}
            name += ", " + next((planes[w] for w in words if w in planes), "two planes")
        name += ", phases" if "phases" in words else ""
        name += ", blocks split" if "split" in words else ""
        name += ", 4-bit weights" if "four" in words else ""
        name += f", batch of {run['images']}" if run["images"] > 1 else ""
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
    heads = ["cycles", "model", "an image", "its ms at 200 MHz", "% of peak", "products", "further products", "DDR", "operand", "bank", "drain", "bubble"]
    lines = ["| one step on the RTL of | " + " | ".join(heads) + " |", "| --- |" + " --- |" * len(heads)]
    for name, run in runs:
        rtl, model = run["step"]["rtl"], run["step"]["model"]
        cycles = rtl["cycles"]
        needed = math.ceil(run["macs"] / PEAK)
        cells = [
            f"{cycles:,}",
            f"{model['cycles']:,} ({more(model['cycles'], cycles)})",
            f"{cycles / run['images']:,.0f}",
            f"{1e3 * cycles / run['images'] / CLOCK:.2f}",
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
BESIDE = ["display_unit"]  # not in diffuser_core
RULES = {"levels": "levels", "ends_over": "paths over 6", "longest_carry": "carry", "register_readers": "readers of a register",
         "logic_readers": "of a net of logic", "logic_over": "of these over 64"}


def resource_row(name: str, block: dict) -> str:
    """A block's figures; a report of before the rules lacks theirs."""
    return f"| `{name}` | " + " | ".join([f"{block['resources'][k]:,.10g}" for k in DEVICE] + [f"{block[k]:,}" if k in block else "–" for k in RULES]) + " |"


def resource_table(files: list[Path]) -> str:
    """Blocks of what hw/synth/synth.py wrote for the ZU9EG, against the chip; of a block in several files the last one."""
    found = {name: block for file in files for name, block in json.loads(file.read_text()).items()}
    wide = 1 + len(DEVICE) + len(RULES)
    lines = ["| block | " + " | ".join([name for name, _ in DEVICE.values()] + list(RULES.values())) + " |", "| --- |" + " --- |" * (wide - 1)]
    sums = dict.fromkeys(DEVICE, 0)
    for name in BLOCKS:
        block = found[name]
        sums = {k: sums[k] + block["resources"][k] for k in DEVICE}
        lines.append(resource_row(name, block))
    empty = " |" * len(RULES)
    lines.append("| whole | " + " | ".join(f"{sums[k]:,.10g}" for k in DEVICE) + " |" + empty)
    lines.append("| of the ZU9EG | " + " | ".join(f"{100 * sums[k] / n:.1f} % of {n:,}" for k, (_, n) in DEVICE.items()) + " |" + empty)
    lines += [resource_row(name, found[name]) for name in BESIDE]
    return "\n".join(lines)


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
