#!/usr/bin/env python3
"""Mutation campaign: which of a hundred seeded faults in the RTL do the tests in simulation catch?

    python hw/mutation/campaign.py                  # builds what is missing, runs every fault that has no result yet, prints the table
    python hw/mutation/campaign.py --list           # the faults alone
    python hw/mutation/campaign.py --faults 3,17    # these again
    python hw/mutation/campaign.py --survivors      # the faults that no test caught before
    python hw/mutation/campaign.py --page docs/verification.md   # writes the table into the page

One build holds all faults (faults.py); each is run against the tests of its own block, then the others that see it, until one fails. A test gives up
after a number of evaluations of its model, not after a time. Results are kept in target/faults/results.json, and go when the RTL or the seed changes.
Needs pyslang (hw/requirements.txt) and what ./test needs.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import time
import tomllib

import faults

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import cosim
import page

ROOT = faults.ROOT
WORK = ROOT / "target/faults"
JUDGED = pathlib.Path(__file__).resolve().parent / "survivors.toml"

TOPS = ("affine_mem array_mac array_small attention_small attention_lane softmax_exp softmax_reciprocal control core_small dma_pixel dma_small dma_zu9eg "
        "memory_system norm_unit prep_small prim_memory prim_memory_fixed prim_queues sample_normal sample_unit silu stream_mem").split()
# tests of a block, the quick and near ones first
CORE = ["core"]
ARRAY = ["array_mac", "attention_lanes", "array_unit", "attention"]
DMA = ["dma_pixel", "dma_transfers", "dma_errors"]
CONTROL = ["control_sequencer", "control_registers", "control_errors"]
TESTS = {
    "array": ARRAY + CORE,
    "prep": ["prep_silu", "prep_unit"] + CORE,
    "norm": ["norm_unit"] + CORE,
    "sample": ["sample_normal", "sample_unit"] + CORE,
    "dma": DMA + CORE,
    "control": CONTROL + CORE,
    "prim": ["prim_queues", "prim_memory", "affine_mem", "stream_mem"] + DMA + CORE,
    "top": ["stream_mem", "memory_system"] + CORE,
}
# A fault that stands still must end some time: evaluations of one model, several a cycle, far above what a test needs.
EVALUATIONS = 4_000_000
# one that lets counters go through zero
LONG = {"control_sequencer": 40_000_000}


def build(tops):
    """Test programs with all faults, by name."""
    cosim.build(WORK / "bin", DIFFUSER_RTL=str(WORK / "rtl"), DIFFUSER_TOPS=",".join(tops))


def attempt(name, number):
    """The first test of a program that fails with this fault, or None, and seconds."""
    begin = time.monotonic()
    environment = {**os.environ, "DIFFUSER_FAULT": str(number), "DIFFUSER_EVALUATIONS": str(LONG.get(name, EVALUATIONS)), "RUST_BACKTRACE": "0"}
    process = subprocess.Popen(cosim.command(WORK / "bin" / name), cwd=ROOT / "crates/cosim", env=environment, stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    failed = last = None
    for line in process.stdout:
        words = line.split()
        if words[:1] == ["test"] and len(words) > 1:
            last = words[1]
        if line.rstrip().endswith("FAILED"):
            failed = last
            process.kill()
            break
    process.stdout.close()
    # an assertion of the RTL ends the process
    if process.wait() != 0 and failed is None:
        failed = last or "crash"
    return failed, time.monotonic() - begin


def run(number, fault):
    for name in TESTS[fault.block]:
        failed, _ = attempt(name, number)
        if failed:
            return f"{name} {failed}"
    return ""


def key(chosen, seed):
    digest = hashlib.sha256(str(seed).encode())
    for path in sorted(faults.RTL.rglob("*.sv")):
        digest.update(path.read_bytes())
    for fault in chosen:
        digest.update(repr(fault).encode())
    return digest.hexdigest()


def judgements():
    return tomllib.loads(JUDGED.read_text()) if JUDGED.exists() else {}


def table(chosen, results, seed):
    """Markdown."""
    blocks = {}
    for number, fault in enumerate(chosen, 1):
        if str(number) in results:
            row = blocks.setdefault(fault.block, [0, 0])
            row[0] += 1
            row[1] += bool(results[str(number)])
    lines = ["| block | faults | caught |", "| --- | --- | --- |"]
    lines += [f"| `{block}` | {some} | {found} |" for block, (some, found) in blocks.items()]
    caught = sum(found for _, found in blocks.values())
    lines.append(f"| all | {sum(some for some, _ in blocks.values())} | {caught} |")
    left = [str(number) for number in range(1, len(chosen) + 1) if str(number) not in results]
    if left:
        lines += ["", f"Not run: {', '.join(left)}."]
    if "" not in results.values():
        return "\n".join([*lines, "", f"Seed {seed}."])
    lines += ["", f"Seed {seed}. What was not caught:", "", "| fault | where | what | why |", "| --- | --- | --- | --- |"]
    judged = judgements()
    for number, fault in enumerate(chosen, 1):
        if results.get(str(number)) == "":
            what = fault.what.replace("|", "\\|")
            what = what if len(what) < 90 else what[:87] + "..."
            why = judged.get(fault.name, "not judged yet")
            lines.append(f"| {number} | `{fault.file}` {fault.line} | {fault.kind}: `{what}` | {why} |")
    return "\n".join(lines)


def survivors_table(chosen, results):
    """Markdown: what catches the faults of survivors.toml by now."""
    judged = judgements()
    lines = ["| where | what | caught by |", "| --- | --- | --- |"]
    for number, fault in enumerate(chosen, 1):
        result = results.get(str(number))
        by = f"`{result.split()[0]}`" if result else f"no test: {judged[fault.name]}"
        lines.append(f"| `{fault.file}` {fault.line} | {fault.kind}: `{fault.what.replace('|', chr(92) + '|')[:80]}` | {by if result is not None else f'not run: {judged[fault.name]}'} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description="Seeded faults in the RTL, and which of them the tests catch.")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--faults", help="numbers, by commas")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="tests at once")
    parser.add_argument("--survivors", action="store_true", help="in place of seeded faults, those of survivors.toml: does a test catch them now?")
    parser.add_argument("--tops", default=",".join(TOPS), help="build these alone; what others would catch survives")
    parser.add_argument("--page", help="a file with `<!-- table: mutation -->`, with --survivors `<!-- table: survivors -->`")
    arguments = parser.parse_args()
    chosen = faults.named(judgements()) if arguments.survivors else faults.pick(arguments.seed, arguments.count)
    if arguments.list:
        for number, fault in enumerate(chosen, 1):
            print(f"{number:4} {fault.file}:{fault.line} {fault.kind}: {fault.what}")
        return
    store = WORK / ("survivors.json" if arguments.survivors else "results.json")
    now = key(chosen, arguments.seed)
    kept = json.loads(store.read_text()) if store.exists() else {}
    results = kept.get("results", {}) if kept.get("key") == now else {}
    numbers = [int(n) for n in arguments.faults.split(",")] if arguments.faults else [n for n in range(1, len(chosen) + 1) if str(n) not in results]
    if numbers:
        faults.write(chosen, WORK / "rtl")
        build(arguments.tops.split(","))
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            if not results:
                names = sorted({name for names in TESTS.values() for name in names})
                for name, (failed, seconds) in zip(names, pool.map(lambda name: attempt(name, 0), names)):
                    print(f"without a fault: {name} {seconds:.0f} s", flush=True)
                    if failed:
                        sys.exit(f"{name} fails without a fault: {failed}")
            runs = {pool.submit(run, number, chosen[number - 1]): number for number in numbers}
            for done in concurrent.futures.as_completed(runs):
                number = runs[done]
                results[str(number)] = done.result()
                store.write_text(json.dumps({"key": now, "results": results}))
                fault = chosen[number - 1]
                print(f"{number:4} {fault.file}:{fault.line} {fault.kind}: {results[str(number)] or 'SURVIVES'}", flush=True)
    text = survivors_table(chosen, results) if arguments.survivors else table(chosen, results, arguments.seed)
    print(text)
    if arguments.page:
        page.write(arguments.page, "survivors" if arguments.survivors else "mutation", text)


if __name__ == "__main__":
    main()
