#!/usr/bin/env python3
"""Compare quantisation methods on one model and write the table of docs/quantisation.md.

    python3 scripts/quantisation_table.py --model models/emoji32

Every method is calibrated on the same images and compared with the float reference on the same initial
noise, by `diffuser quantize` and `diffuser compare`. The part of the page between the two markers is
replaced.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

START, END = "<!-- table: scripts/quantisation_table.py -->", "<!-- end of table -->"
METHODS = [
    "dynamic-step", "static-mse", "static-minmax", "ptq4dm", "q-diffusion", "tfmq",
    "dynamic-step-8bit", "static-mse-8bit", "static-8bit",
]


def call(binary: str, *arguments: str) -> dict:
    out = subprocess.run([binary, *arguments, "--json", "--quiet"], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True, help="pipeline folder")
    p.add_argument("--binary", default="target/release/diffuser")
    p.add_argument("--methods", nargs="+", default=METHODS, help="the first one is plotted")
    p.add_argument("--count", type=int, default=27)
    p.add_argument("--page", type=Path, default=Path("docs/quantisation.md"))
    p.add_argument("--plot", type=Path, default=Path("docs/images/error-by-step.svg"))
    p.add_argument("--schedules", nargs="+", default=["ddim:50", "dpmsolver++:20"])
    args = p.parse_args()

    lines = [
        f"{args.count} images, seed 1, against the float reference on the same noise. *Output error* is that of the network's",
        "output on the float trajectory, relative to its size (root mean square), as a mean over steps and at the worst step.",
        "",
        "| sampler, steps | method | PSNR, median | PSNR, mean | worst image | output error, mean | worst step | file |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for method in args.methods:
            call(args.binary, "quantize", args.model, "-o", f"{folder}/{method}", "--method", method)
        for schedule in args.schedules:
            sampler, steps = schedule.split(":")
            for method in args.methods:
                plot = []
                if method == args.methods[0] and schedule == args.schedules[0]:
                    args.plot.parent.mkdir(parents=True, exist_ok=True)
                    plot = ["--plot", str(args.plot)]
                report = call(
                    args.binary, "compare", args.model, f"{folder}/{method}", "--scheduler", sampler,
                    "--steps", steps, "--count", str(args.count), "--seed", "1", "-o", f"{folder}/grid.png", *plot,
                )
                psnr = [i["psnr_db"] for i in report["images"]]
                error = [100 * s["output_relative_error"] for s in report["steps"]]
                size = os.path.getsize(f"{folder}/{method}") / 1e6
                lines.append(
                    f"| {sampler}, {steps} | {method} | {statistics.median(psnr):.1f} dB | {report['psnr_db']:.1f} dB "
                    f"| {min(psnr):.1f} dB | {statistics.mean(error):.2f} % | {max(error):.2f} % | {size:.2f} MB |"
                )
                print(lines[-1], flush=True)
    text = args.page.read_text()
    before, rest = text.split(START)
    after = rest.split(END)[1]
    args.page.write_text(before + START + "\n" + "\n".join(lines) + "\n" + END + after)


if __name__ == "__main__":
    main()
