#!/usr/bin/env python3
"""Proofs of the primitives that every unit stands on, fifo, skid, arb_read, arb_write, round_robin, and of the AXI4 masters of `dma`.

    python hw/formal/prove.py [NAME...]

For each proof: no assertion of `*_proof.sv` fails in any of the first `depth` cycles, the reset's among them, whatever the inputs do; where `good` is set, in
no cycle at all (property-directed reachability). And what a proof calls REACHED does happen within those cycles, so that no proof holds for want of
anything that could fail it. Needs `pyosys` from PyPI, whose `yosys-abc` does the work. Status 1 where a proof fails.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
RTL = HERE.parent / "rtl"

# name: top, parameters, depth of the bounded proof, whether it holds for good
PROOFS = {
    "fifo_1": ("fifo_proof", {"Depth": 1}, 16, True),
    "fifo_2": ("fifo_proof", {"Depth": 2}, 16, True),
    "fifo_3": ("fifo_proof", {"Depth": 3}, 16, True),
    "fifo_4": ("fifo_proof", {"Depth": 4}, 16, True),
    "skid": ("skid_proof", {}, 20, True),
    "arb_turn": ("arb_proof", {"N": 3}, 16, True),
    "arb_turn_4": ("arb_proof", {"N": 4}, 16, True),
    "arb_fixed": ("arb_proof", {"RoundRobin": 0}, 16, True),
    "arb_pipe": ("arb_proof", {"Pipe": 1}, 16, True),
    "axi_read_short": ("axi_read_proof", {"Short": 1}, 18, False),
    "axi_write_short": ("axi_write_proof", {"Short": 1}, 18, False),
}
# Run where they are named: long. Not shown to hold yet.
DEEP = {
    "axi_read": ("axi_read_proof", {}, 26, False),
    "axi_write": ("axi_write_proof", {}, 26, False),
    "axi_write_rest": ("axi_write_proof", {"Short": 1, "Rest": 12}, 24, False),
}


def model(top, parameters, output, reach):
    """Runs in a process of its own: the design as an and-inverter graph."""
    from pyosys import libyosys as ys

    design = ys.Design()
    arguments = ["--top", top]
    for name, value in parameters.items():
        arguments += ["-G", f"{name}={value}"]
    if reach:
        arguments += ["-D", "REACHED=1"]
    if top.startswith("axi"):
        arguments += [str(RTL / "pkg" / f"{name}_pkg.sv") for name in ("diffuser_isa", "control", "dma")]
    arguments += [str(HERE / f"{top}.sv"), "-y", str(RTL / "prim"), "-y", str(RTL / "dma"), "-Y", ".sv"]
    # the sources' own properties are for simulation (ifndef SYNTHESIS, which read_slang defines)
    ys.run_pass("read_slang " + " ".join(arguments), design)
    for command in (f"prep -top {top} -flatten", "memory_map -formal", "opt -full", "async2sync", "chformal -lower", "formalff -clk2ff", "opt -full",
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
    _, _, depth, good = (PROOFS | DEEP)[name]
    with tempfile.TemporaryDirectory() as temporary:
        said = solve(name, True, f"bmc3 -F {depth}", temporary)
        if "was asserted in frame" not in said:
            return ["what it calls reached never happens", *said.splitlines()[-8:]]
        said = solve(name, False, "pdr" if good else f"bmc3 -F {depth}", temporary)
        if ("Property proved" if good else f"No output asserted in {depth} frames") not in said:
            return said.splitlines()[-8:]
    return []


def main():
    parser = argparse.ArgumentParser(description="Proofs of the primitives and the AXI4 masters.")
    parser.add_argument("name", nargs="*", help=f"of {', '.join(PROOFS)}; all of these where none is named; and of {', '.join(DEEP)}")
    arguments = parser.parse_args()
    failed = []
    for name in arguments.name or PROOFS:
        if name not in PROOFS | DEEP:
            parser.error(f"no proof {name}")
        begin = time.monotonic()
        lines = check(name)
        _, _, depth, good = (PROOFS | DEEP)[name]
        kind = "for good" if good else f"{depth} cycles"
        print(f"{name}: {'FAILED' if lines else 'holds'} ({kind}; {time.monotonic() - begin:.0f} s)", flush=True)
        for line in lines:
            print(f"  {line}")
        if lines:
            failed.append(name)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--model"]:
        model(*(PROOFS | DEEP)[sys.argv[2]][:2], sys.argv[3], sys.argv[4:] == ["reach"])
    else:
        main()
