#!/usr/bin/env python3
"""Coverage of the RTL by the tests in simulation: lines, branches, and the points of bins.py.

    python hw/coverage/measure.py                              # builds, runs every test of crates/cosim, prints the tables
    python hw/coverage/measure.py --report                     # of what was measured last
    python hw/coverage/measure.py --page docs/verification.md  # writes the tables into the page
    python hw/coverage/measure.py --missing                    # each line and point that was not reached

Counts are Verilator's (`--coverage-line`, `--coverage-user`), added up over all tops and parameters (TOPS), in target/coverage. A line is covered when any
statement on it was executed, a branch when it was taken. exclusions.toml names what need not be, and why. Status 1 where fewer than 95 % of the lines are covered, or a
point is neither reached nor excluded.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tomllib

import bins

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import cosim
import page

ROOT = cosim.ROOT
RTL = ROOT / "hw/rtl"
WORK = ROOT / "target/coverage"
EXCLUDED = pathlib.Path(__file__).resolve().parent / "exclusions.toml"
# All but the wide builds of units, which take minutes of C++; array_mac_tree and *_four are of other shapes than the small ones.
TOPS = ("affine_mem array_mac array_mac_tree array_small attention_four attention_lane attention_small control core_small display_small dma_pixel dma_small dma_zu9eg glue memory_cells "
        "memory_model memory_system norm_unit prep_four prep_small prim_memory prim_memory_fixed prim_queues sample_normal sample_unit silu softmax_exp softmax_reciprocal stream_mem").split()
BLOCKS = ("array", "prep", "norm", "sample", "dma", "control", "display", "prim", "top")
WANTED = 0.95


def measure(jobs, names):
    """Builds all test programs with cover points and runs them (or those named); their counts go to a folder for each."""
    points = WORK / "points.sv"
    WORK.mkdir(parents=True, exist_ok=True)
    # a file that stays keeps its time: nothing is built again
    if not points.exists() or points.read_text() != bins.source():
        points.write_text(bins.source())
    cosim.build(WORK / "bin", DIFFUSER_COVERAGE=str(points), DIFFUSER_TOPS=",".join(TOPS))

    def run(program):
        folder = WORK / "data" / program.name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        environment = {**os.environ, "DIFFUSER_COVERAGE_DATA": str(folder), "RUST_BACKTRACE": "0"}
        done = subprocess.run(cosim.command(program), cwd=ROOT / "crates/cosim", env=environment, capture_output=True, text=True, check=False)
        return program.name, done

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        programs = [p for p in sorted((WORK / "bin").iterdir()) if not names or p.name in names]
        for name, done in pool.map(run, programs):
            print(f"{name}: {'passed' if done.returncode == 0 else 'FAILED'}", flush=True)
            if done.returncode != 0:
                sys.exit(done.stdout[-3000:])


def counts():
    """Keys and count of everything that Verilator counted: lines `C 'keys' count`, keys `\\1name\\2value`."""
    for path in sorted((WORK / "data").glob("*/*.dat")):
        for line in path.read_text().splitlines():
            keys, _, count = line[3:].rpartition("' ")
            yield dict(pair.split("\2", 1) for pair in keys.split("\1") if pair), int(count)


def numbers(text):
    """Lines of `12,15-17`."""
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


class Counts:
    """All counts, by what they are of."""

    def __init__(self):
        self.lines = collections.defaultdict(lambda: collections.defaultdict(int))  # file, line
        self.branches = collections.defaultdict(lambda: collections.defaultdict(int))  # file, (line, column, kind)
        self.points = dict.fromkeys(bins.labels(), 0)
        for keys, count in counts():
            kind = keys["page"].split("/")[0]
            path = pathlib.Path(keys["f"])
            if kind == "v_user":
                # Verilator writes the second of two underscores as a number
                label = keys["o"].replace("__05F", "_")
                whole = not label.startswith(bins.WHOLE) or keys["h"].startswith("top.diffuser_core")
                if label in self.points and whole:
                    self.points[label] += count
            elif path.is_relative_to(RTL):
                file = str(path.relative_to(RTL))
                for line in numbers(keys.get("S", "")):
                    self.lines[file][line] += count
                if kind == "v_branch":
                    self.branches[file][int(keys["l"]), int(keys["n"]), keys["o"]] += count


class Exclusions:
    """Lines by their text or function, points by a pattern, each with a reason."""

    def __init__(self):
        read = tomllib.loads(EXCLUDED.read_text())
        self.lines, self.points = read["line"], read["point"]
        self.used = collections.Counter()

    def line(self, file, number, source):
        """The reason why line `number` of a file need not be covered, or None."""
        def matches(entry):
            if file not in entry["files"]:
                return False
            if "text" in entry:
                return entry["text"] in source[number - 1]
            begins = [n for n, text in enumerate(source, 1) if re.search(rf"\bfunction\b.*\b{entry['function']}\(", text)]
            ends = [n for n, text in enumerate(source, 1) if "endfunction" in text]
            return any(begin <= number <= min(e for e in ends if e > begin) for begin in begins)
        return self.find(self.lines, matches)

    def point(self, label):
        return self.find(self.points, lambda e: re.fullmatch(e["pattern"], label))

    def find(self, entries, matches):
        for entry in entries:
            if matches(entry):
                self.used[id(entry)] += 1
                return entry["reason"]
        return None

    def unused(self):
        return [str(e) for e in self.lines + self.points if not self.used[id(e)]]

    def table(self):
        """Markdown: every reason, and how many lines (their branches apart) or points it is for."""
        rows = [(", ".join(f"`{f}`" for f in e["files"]), e.get("text", e.get("function")), e) for e in self.lines]
        rows += [("points", e["pattern"], e) for e in self.points]
        text = ["| excluded | | times | why |", "| --- | --- | --- | --- |"]
        return "\n".join([*text, *(f"| {where} | `{what.replace('|', chr(92) + '|')}` | {self.used[id(e)]} | {e['reason']} |" for where, what, e in rows)])


def share(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "–"


def line_table(found, exclusions):
    """Markdown, the lines and branches that are missing, and the share of the lines."""
    rows, missing, missing_branches, sums = [], [], [], collections.Counter()
    for block in BLOCKS:
        some = collections.Counter()
        for path in sorted((RTL / block).glob("*.sv")):
            file = str(path.relative_to(RTL))
            source = path.read_text().splitlines()
            for line, count in sorted(found.lines[file].items()):
                text = source[line - 1].strip()
                if count:
                    some.update(lines=1, covered=1)
                elif exclusions.line(file, line, source):
                    some.update(excluded=1)
                else:
                    some.update(lines=1)
                    missing.append(f"{file}:{line}: {text}")
            for (line, column, arm), count in found.branches[file].items():
                some.update(branches=1, taken=bool(count))
                if not count:
                    missing_branches.append(f"{file}:{line}:{column}: {arm} of {source[line - 1].strip()}")
        sums += some
        rows.append((f"`{block}`", some))
    rows.append(("all", sums))
    text = ["| block | lines | covered | | excluded | branches | taken | |", "| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for name, s in rows:
        text.append(f"| {name} | {s['lines']:,} | {s['covered']:,} | {share(s['covered'], s['lines'])} | {s['excluded']} "
                    f"| {s['branches']:,} | {s['taken']:,} | {share(s['taken'], s['branches'])} |")
    return "\n".join(text), [*missing, "", *missing_branches], sums["covered"] / max(1, sums["lines"])


def point_table(found, exclusions):
    """Markdown, and the points that are missing."""
    groups, missing = {}, []
    for label, count in found.points.items():
        group, _, name = label.partition("__")
        some = groups.setdefault(group, collections.Counter())
        if count:
            some.update(points=1, reached=1)
        elif exclusions.point(label):
            some.update(excluded=1)
        else:
            some.update(points=1)
            missing.append(label)
    sums = sum(groups.values(), collections.Counter())
    text = ["| points | all | reached | excluded |", "| --- | --- | --- | --- |"]
    for group, s in [*groups.items(), ("all", sums)]:
        text.append(f"| {group.replace('_', ' ')} | {s['points']} | {s['reached']} | {s['excluded']} |")
    return "\n".join(text), missing


def main():
    parser = argparse.ArgumentParser(description="Lines, branches and functional points of the RTL that the tests in simulation reach.")
    parser.add_argument("--report", action="store_true", help="measure nothing anew")
    parser.add_argument("--missing", action="store_true", help="print each line and point that was not reached")
    parser.add_argument("--tests", help="names of test programs, by commas: measure these alone anew")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="programs at once")
    parser.add_argument("--page", help="a file with the tables `coverage`, `points` and `excluded`")
    arguments = parser.parse_args()
    if not arguments.report:
        measure(arguments.jobs, arguments.tests.split(",") if arguments.tests else [])
    found, exclusions = Counts(), Exclusions()
    lines, missing_lines, covered = line_table(found, exclusions)
    points, missing_points = point_table(found, exclusions)
    print(f"{lines}\n\n{points}")
    if arguments.missing:
        print("\n".join(["", *missing_lines, "", *missing_points]))
    if arguments.page:
        page.write(arguments.page, "coverage", lines)
        page.write(arguments.page, "points", points)
        page.write(arguments.page, "excluded", exclusions.table())
    if exclusions.unused():
        sys.exit("excluded, and not missing:\n" + "\n".join(exclusions.unused()))
    if covered < WANTED or missing_points:
        sys.exit(f"{100 * covered:.1f} % of the lines; {len(missing_points)} points are not reached")


if __name__ == "__main__":
    main()
