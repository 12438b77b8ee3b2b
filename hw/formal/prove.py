#!/usr/bin/env python3
"""Proofs of the primitives that every unit stands on, fifo, skid, arb_read, arb_write, round_robin, and of the AXI4 masters of `dma`.

    python hw/formal/prove.py [NAME...]

For each proof: no assertion of `*_proof.sv` ever fails, from the reset on, whatever the inputs do. And what a proof calls REACHED does happen, so that no proof holds
for want of anything that could fail it. Needs `pyosys` from PyPI, whose `yosys-abc` does the work. Status 1 where a proof fails.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
RTL = HERE.parent / "rtl"

# name: top, parameters, cycles within which what it calls REACHED happens, and how the proof goes: property-directed reachability, or by induction over
# that many cycles
PDR = 0
PROOFS = {
    "fifo_1": ("fifo_proof", {"Depth": 1}, 16, PDR),
    "fifo_2": ("fifo_proof", {"Depth": 2}, 16, PDR),
    "fifo_3": ("fifo_proof", {"Depth": 3}, 16, PDR),
    "fifo_4": ("fifo_proof", {"Depth": 4}, 16, PDR),
    "skid": ("skid_proof", {}, 20, PDR),
    "arb_turn": ("arb_proof", {"N": 3}, 16, PDR),
    "arb_turn_4": ("arb_proof", {"N": 4}, 16, PDR),
    "arb_fixed": ("arb_proof", {"RoundRobin": 0}, 16, PDR),
    "arb_pipe": ("arb_proof", {"Pipe": 1}, 16, PDR),
    "async_fifo": ("async_fifo_proof", {"Depth": 4}, 80, PDR),
    "axi_requests": ("axi_requests_proof", {}, 16, 6),
    "axi_read": ("axi_read_proof", {}, 16, 6),
    "axi_write": ("axi_write_proof", {}, 20, 6),
}
TWO_CLOCKS = ("async_fifo_proof",)


def model(top, parameters, output, reach):
    """Runs in a process of its own: the design as an and-inverter graph."""
    from pyosys import libyosys as ys

    design = ys.Design()
    arguments = ["--top", top, "-D", "DIFFUSER_FORMAL=1"]
    for name, value in parameters.items():
        arguments += ["-G", f"{name}={value}"]
    if reach:
        arguments += ["-D", "REACHED=1"]
    if top.startswith("axi"):
        arguments += [str(RTL / "pkg" / f"{name}_pkg.sv") for name in ("diffuser_isa", "control", "dma")]
    arguments += [str(HERE / f"{top}.sv"), "-y", str(RTL / "prim"), "-y", str(RTL / "dma"), "-Y", ".sv"]
    # the sources' own properties are for simulation (ifndef SYNTHESIS, which read_slang defines)
    ys.run_pass("read_slang " + " ".join(arguments), design)
    # one clock is every step; two are inputs like others, and a step is an edge of either, of both, or of none
    clocked = ("zinit -all", "clk2fflogic", "chformal -lower") if top in TWO_CLOCKS else ("async2sync", "chformal -lower", "formalff -clk2ff")
    for command in (f"prep -top {top} -flatten", "memory_map -formal", "opt -full", *clocked, "opt -full",
                    "delete -output", "setundef -undriven -anyseq", "opt -full", "techmap", "simplemap", "opt -fast", "dffunmap", "aigmap", "opt_clean",
                    f"write_aiger -I -B -zinit -no-startoffset {output}"):
        ys.run_pass(command, design)


def solve(name, reach, command, temporary):
    """What ABC says of the assertions, or the lines that say why there is no answer."""
    import pyosys

    aig = pathlib.Path(temporary) / "model.aig"
    made = subprocess.run([sys.executable, __file__, "--model", name, str(aig), "reach" if reach else ""], capture_output=True, text=True, check=False)
    if made.returncode != 0 or not aig.exists():
        return "\n".join([line for line in (made.stdout + made.stderr).splitlines() if line.strip()][-8:])
    abc = pathlib.Path(pyosys.__file__).parent / "yosys-abc"
    # the last output holds the assumptions: fold makes them part of the others
    result = subprocess.run([str(abc), "-c", f"read_aiger {aig}; fold; strash; {command}"], capture_output=True, text=True, check=False)
    return result.stdout + result.stderr


def check(name):
    """The lines that say why a proof failed; none where it holds."""
    _, _, depth, induction = PROOFS[name]
    with tempfile.TemporaryDirectory() as temporary:
        said = solve(name, True, f"orpos; bmc3 -F {depth}", temporary)
        if "was asserted in frame" not in said:
            return ["what it calls reached never happens", *said.splitlines()[-8:]]
        if induction == PDR:
            command, proved = "pdr", ["Property proved"]
        else:
            # no assertion fails in the first cycles; none fails behind as many cycles in which none did
            command, proved = f"orpos; bmc3 -F {induction}; ind -F {induction}", [f"No output asserted in {induction} frames", "Networks are equivalent"]
        said = solve(name, False, command, temporary)
        if not all(words in said for words in proved):
            return said.splitlines()[-8:]
    return []


def main():
    parser = argparse.ArgumentParser(description="Proofs of the primitives and the AXI4 masters.")
    parser.add_argument("name", nargs="*", help=f"of {', '.join(PROOFS)}; all where none is named")
    arguments = parser.parse_args()
    failed = []
    for name in arguments.name or PROOFS:
        if name not in PROOFS:
            parser.error(f"no proof {name}")
        begin = time.monotonic()
        lines = check(name)
        print(f"{name}: {'FAILED' if lines else 'holds'} ({time.monotonic() - begin:.0f} s)", flush=True)
        for line in lines:
            print(f"  {line}")
        if lines:
            failed.append(name)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--model"]:
        model(*PROOFS[sys.argv[2]][:2], sys.argv[3], sys.argv[4:] == ["reach"])
    else:
        main()
