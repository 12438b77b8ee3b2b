#!/usr/bin/env python3
"""Elaborates every test top (crates/cosim/tops) with slang, warnings on: a second reading of the language beside Verilator's.

    python hw/slang.py [TOP...]

Status 1 where there is an error or a warning. Needs pyslang (hw/requirements.txt).
"""

import pathlib
import sys

from pyslang import driver

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOPS = ROOT / "crates/cosim/tops"
# Everything but these; and a property may stand before the wires that it speaks of, beside the port that they drive.
LEFT_OUT = (
    # widths and signs are Verilator's to check (WIDTHEXPAND, WIDTHTRUNC), which knows the values of constants
    "width-expand", "width-trunc", "port-width-expand", "port-width-trunc", "arith-op-mismatch", "sign-conversion", "sign-compare", "implicit-conv",
    "constant-conversion", "int-bool-conv", "unsigned-arith-shift", "bitwise-op-mismatch", "packed-array-conv", "case-type",
    # a cast that does nothing with these parameters
    "useless-cast",
    # `unused = ^{...}` is the convention for what is read by nobody, packages define for everyone, and a parameter may mean nothing in one build
    "unused-but-set-variable", "unused-parameter", "unused-package-parameter", "unused-package-typedef", "unused-package-subroutine",
    # a `default` behind all values of an enumeration, or for the rest of them, is wanted: registers may begin as anything
    "case-redundant-default", "case-enum-explicit",
    # mem_1r1w writes the lanes of a word in a process each; they are disjoint, but slang sees one dynamic index of one array
    "multiple-always-assigns",
)


def check(name):
    """Whether a top is clean; slang prints what is not."""
    words = [word for line in (TOPS / f"{name}.f").read_text().splitlines() if not line.startswith("//") for word in line.split()]
    module = words[words.index("--top-module") + 1] if "--top-module" in words else name
    folders = [*sorted(p for p in (ROOT / "hw/rtl").iterdir() if p.is_dir()), TOPS]
    source = next(folder / f"{module}.sv" for folder in folders if (folder / f"{module}.sv").exists())
    packages = sorted((ROOT / "hw/rtl/pkg").glob("*.sv"), key=lambda p: (p.name != "diffuser_isa_pkg.sv", p.name))
    line = ["slang", *map(str, packages), str(source), "--top", module, "--allow-use-before-declare", "-Weverything", *(f"-Wno-{name}" for name in LEFT_OUT)]
    # a vendor's cell has ports that its model has no use for
    line += ["--suppress-warnings", str(TOPS / "RAMB36E2.sv")]
    for folder in folders:
        line += ["-y", str(folder)]
    line += [word for word in words if word.startswith(("-G", "-D"))]
    slang = driver.Driver()
    slang.addStandardArgs()
    if not (slang.parseCommandLine(" ".join(line)) and slang.processOptions() and slang.parseAllSources()):
        return False
    compilation = slang.createCompilation()
    slang.reportCompilation(compilation, True)
    slang.runAnalysis(compilation)
    good = slang.reportDiagnostics(True)
    return good and slang.diagEngine.numWarnings == 0


def main():
    names = sys.argv[1:] or sorted(path.stem for path in TOPS.glob("*.f"))
    bad = []
    for name in names:
        print(f"slang: {name}", flush=True)
        if not check(name):
            bad.append(name)
    sys.exit(f"not clean: {', '.join(bad)}" if bad else 0)


if __name__ == "__main__":
    main()
