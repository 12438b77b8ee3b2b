#!/usr/bin/env python3
"""Synthesises the blocks of the accelerator with Yosys and prints what they cost.

    python hw/synth/synth.py                      every block, the ZU9EG's parameters
    python hw/synth/synth.py norm_unit prep_unit  these alone
    python hw/synth/synth.py --build small        the small build
    python hw/synth/synth.py --output FOLDER      report.json and report.md go there
    python hw/synth/synth.py --lower              what has become better in limits.json

Needs `pyosys` from PyPI (0.70), whose `read_slang` reads the sources. A block is synthesised out of context by `synth_xilinx -family xcup`:
flat, or where it is too large with modules of its datapath apart, each different one once, and made flat when it is mapped (its counts are of
all instances; they miss what a tool can share or drop across these modules). netlist.py then counts its cells and the levels of logic of its deepest paths.

A rule that is broken ends the run with status 1: a latch, an asynchronous reset, a combinational loop, a DSP with logic at an
input that is in no register, a path between two clocks that is not made for it (crossings.py), a cell that netlist.py does not know, or a figure above its limit in limits.json.

No figure here is a clock: Yosys has no timing of UltraScale+. Yosys leaves the output registers of block RAMs, and most pipeline registers
of multipliers that it infers, in fabric; a vendor's tool takes them in.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import crossings
import hierarchy
import limits
import netlist

ROOT = pathlib.Path(__file__).resolve().parents[2]

ARRAY = {"zu9eg": {"P": 8, "O": 32, "I": 16}, "small": {"P": 4, "O": 8, "I": 8}}
TARGET = {"zu9eg": "target_pkg::Zu9eg", "small": "target_pkg::Small"}

# Too large for a flat netlist before it is mapped: these modules of its datapath, whose inputs and outputs mostly are registers, are synthesised
# once for all instances, the others with the block; the mapped netlist is made flat.
HIERARCHICAL = {
    "array_unit": ("mac_array", "mac_pair", "dsp48e2_mac", "requantise", "round_shift", "channel_sums", "softmax", "softmax_exp", "softmax_reciprocal",
                   "attention_lane"),
}

# What the device has (Zynq UltraScale+ ZU9EG, AMD DS891).
DEVICE = {"dsp": 2520, "bram36": 912, "lut": 274080, "ff": 548160}


def blocks(build):
    """Top module and parameters of each block."""
    shape = ARRAY[build]
    state = {"zu9eg": 4096, "small": 1024}[build]
    return {
        "array_unit": {**shape, "Primitive": 1},
        "prep_unit": shape,
        "norm_unit": {},
        "sample_unit": {"O": shape["O"], "StateDepth": state},
        "dma_unit": {"O": shape["O"], "I": shape["I"]},
        "control": shape,
        "memory_system": {"T": TARGET[build]},
        "display_unit": {},
    }


def sources(top):
    """Arguments that find a module: packages, then folders to look in."""
    rtl = ROOT / "hw/rtl"
    packages = sorted((rtl / "pkg").glob("*.sv"))
    folders = [f for f in sorted(rtl.iterdir()) if f.is_dir() and f.name != "pkg"]
    file = next((f / f"{top}.sv" for f in folders if (f / f"{top}.sv").exists()), None)
    if file is None:
        sys.exit(f"no module {top} under {rtl}")
    arguments = [str(p) for p in order(packages)] + [str(file)]
    for folder in folders:
        arguments += ["-y", str(folder)]
    return arguments + ["-Y", ".sv"]


def order(packages):
    """Packages behind those that they name."""
    texts = {p: p.read_text() for p in packages}
    done = []
    while texts:
        ready = [p for p in texts if not any(f"{q.stem}::" in texts[p] for q in texts if q != p)]
        if not ready:
            sys.exit("packages name each other in a circle")
        done += ready
        for p in ready:
            del texts[p]
    return done


def child(top, parameters, output):
    """In a process of its own: Yosys ends it where it finds an error."""
    from pyosys import libyosys as ys

    design = ys.Design()
    arguments = ["--top", top]
    # the cells that the sources name themselves stand in this folder; synth_xilinx has its own of the same names
    for cell in ("DSP48E2", "RAMB36E2", "FDRE"):
        arguments += ["--blackboxed-module", cell, "-D", f"DIFFUSER_{cell}"]
    arguments += ["-y", str(ROOT / "hw/synth")]
    for name, value in parameters.items():
        arguments += ["-G", f"{name}={value}"]
    synthesise = f"synth_xilinx -family xcup -top {top} -noiopad -noclkbuf"
    if top in HIERARCHICAL:
        arguments.append("--keep-hierarchy")
    ys.run_pass("read_slang " + " ".join(arguments + sources(top)), design)
    ys.run_pass("delete A:blackbox A:whitebox", design)
    if top in HIERARCHICAL:
        text = pathlib.Path(output).with_suffix(".il")
        ys.run_pass(f"write_rtlil {text}", design)
        merged, modules, kept = hierarchy.merge(text.read_text())
        text.write_text(merged)
        print(f"{modules} modules, {kept} of them different")
        design = ys.Design()
        ys.run_pass(f"read_rtlil {text}", design)
        ys.run_pass("setattr -mod -unset keep_hierarchy", design)
        # of an instance's module the name before its parameters
        for name in HIERARCHICAL[top]:
            ys.run_pass(f"setattr -mod -set keep_hierarchy 1 {name} {name}$*", design)
        ys.run_pass(f"{synthesise} -flatten", design)
        ys.run_pass("setattr -mod -unset keep_hierarchy", design)
        ys.run_pass("flatten -noscopeinfo", design)
        # where instances were, and what one does not use of its module
        ys.run_pass("delete t:$scopeinfo", design)
        ys.run_pass("opt_clean", design)
    else:
        ys.run_pass(synthesise + " -flatten", design)
    ys.run_pass(f"write_json {output}", design)


def run(top, parameters, folder, reuse):
    """Synthesises and analyses one block; the error's last lines where it fails."""
    begin = time.monotonic()
    output = folder / f"{top}.json"
    log = folder / f"{top}.log"
    if not (reuse and output.exists()):
        output.unlink(missing_ok=True)
        with log.open("w") as file:
            command = [sys.executable, __file__, "--child", top, json.dumps(parameters), str(output)]
            code = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
        if code != 0 or not output.exists():
            lines = [line for line in log.read_text().splitlines() if line.strip()]
            return {"error": "\n".join(lines[-6:])}
    modules = json.loads(output.read_text())["modules"]
    result = netlist.analyse(modules[top])
    result["rules"]["naked_crossings"] = crossings.naked(netlist.Netlist(modules[top]))
    result["parameters"] = parameters
    result["seconds"] = round(time.monotonic() - begin)
    return result


def broken(name, result, allowed):
    """Rules that a block breaks, a line each."""
    if "error" in result:
        return [f"not synthesised: {result['error']}"]
    lines = [f"{rule}: {value}" for rule, value in result["rules"].items() if value]
    if name in allowed:
        lines += limits.over(allowed[name], result)
    return lines


def markdown(results, build):
    lines = [
        f"# Synthesis of the {build} build",
        "",
        "Made by `python hw/synth/synth.py`; what the figures mean, and what they do not, stands at its head.",
        "",
        "| block | DSP48E2 | BRAM36 | LUT | of these memory | FF | seconds |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    total = dict.fromkeys(DEVICE, 0)
    made = {name: result for name, result in results.items() if "error" not in result}
    for name, result in made.items():
        r = result["resources"]
        for key in total:
            total[key] += r[key]
        lines.append(f"| `{name}` | {r['dsp']:,} | {r['bram36']:g} | {r['lut']:,} | {r['lut_memory']:,} | {r['ff']:,} | {result['seconds']} |")
    lines.append(f"| sum | {total['dsp']:,} | {total['bram36']:g} | {total['lut']:,} | | {total['ff']:,} | |")
    if build == "zu9eg":
        parts = {key: f"{100 * total[key] / DEVICE[key]:.0f} %" for key in DEVICE}
        lines.append(f"| of the ZU9EG | {parts['dsp']} | {parts['bram36']} | {parts['lut']} | | {parts['ff']} | |")
    lines += [
        "",
        f"| block | levels | ends deeper than {netlist.MAX_LEVELS} | longest carry | readers of a register | of a net of logic "
        f"| nets of logic with more than {netlist.MAX_READERS} | DSPs, block RAMs short of registers | wide registers with reset |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, r in made.items():
        lines.append(
            f"| `{name}` | {r['levels']} | {r['ends_over']:,} of {r['ends']:,} | {r['longest_carry']} | {r['register_readers']:,} "
            f"| {r['logic_readers']:,} | {r['logic_over']:,} | {r['dsps_short']}, {r['block_rams_short']} | {len(r['wide_resets'])} |")
    lines += ["", "Levels: LUTs and carry chains between registers on the deepest path, by name:", ""]
    for name, result in made.items():
        for path in result["paths"][:3]:
            lines.append(f"- `{name}` {path['levels']}: `{path['from']}` to `{path['to']}`")
    return "\n".join(lines) + "\n"


def over_budget(results):
    """Sums that a chip of this size should not be filled beyond, a line each."""
    total = {key: sum(result["resources"][key] for result in results.values()) for key in limits.BUDGET}
    return [f"the whole: {total[key]:,g} {key}, {most:,} allowed" for key, most in limits.BUDGET.items() if total[key] > most]


def main():
    parser = argparse.ArgumentParser(description="Synthesises the blocks of the accelerator with Yosys.")
    parser.add_argument("block", nargs="*", help="blocks, all where none is named")
    parser.add_argument("--build", choices=ARRAY, default="zu9eg")
    parser.add_argument("--output", type=pathlib.Path, help="folder for report.json and report.md")
    parser.add_argument("--jobs", type=int, default=1, help="blocks at a time")
    parser.add_argument("--keep", type=pathlib.Path, help="folder for netlists and logs, else they are temporary")
    parser.add_argument("--lower", action="store_true", help="lower the limits in limits.json to what the blocks have")
    parser.add_argument("--reuse", action="store_true", help="a netlist that --keep's folder has already is not made again")
    arguments = parser.parse_args()
    if arguments.reuse and not arguments.keep:
        parser.error("--reuse needs --keep")

    known = blocks(arguments.build)
    names = arguments.block or list(known)
    for name in names:
        if name not in known:
            parser.error(f"no block {name}; there are {', '.join(known)}")

    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or pathlib.Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            futures = {name: pool.submit(run, name, known[name], folder, arguments.reuse) for name in names}
            results = {}
            for name, future in futures.items():
                results[name] = future.result()
                state = results[name].get("error") or f"{results[name]['seconds']} s"
                print(f"{name}: {state}", file=sys.stderr)

    report = markdown(results, arguments.build)
    print(report)
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / "report.md").write_text(report)
        (arguments.output / "report.json").write_text(json.dumps(results, indent=1) + "\n")

    every = limits.load()
    allowed = every.setdefault(arguments.build, {})
    wrong = [f"{name}: {line}" for name, result in results.items() for line in broken(name, result, allowed)]
    if arguments.build == "zu9eg" and set(results) == set(known) and not any("error" in r for r in results.values()):
        wrong += over_budget(results)
    if arguments.lower:
        made = {name: result for name, result in results.items() if "error" not in result}
        every[arguments.build] = allowed | {name: limits.lowered(allowed.get(name), result) for name, result in made.items()}
        limits.save(every)
    without = [name for name in results if name not in allowed]
    if without:
        print(f"no limits yet, --lower writes them: {', '.join(without)}")
    print("rules: " + ("\n  ".join(["broken", *wrong]) if wrong else "kept"))
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        child(sys.argv[2], json.loads(sys.argv[3]), sys.argv[4])
    else:
        main()
