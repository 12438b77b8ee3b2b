#!/usr/bin/env python3
"""Write the table of distances to real images in docs/quantisation.md.

    python3 scripts/extractor.py        # once: the feature extractor
    python3 scripts/distance_table.py --model models/emoji32 --reference emoji64.parquet \
        --reference-filter skin_variant=false                             # and with --marker ablations

The files are those that scripts/quantisation_table.py keeps in --folder; images and features are kept there too, so the same
command goes on where it was interrupted. The part of the page between the two markers is replaced.
"""

import argparse
import json
import subprocess
from pathlib import Path

from quantisation_table import ROWS, quantised

# the page's tables: rows, and how many images
TABLES = {
    "distances": (["dynamic-step", "static-mse", "static-minmax", "ptq4dm", "q-diffusion", "tfmq"], 10000),
    "ablations": (
        [
            "dynamic-step", "dynamic-step, residual 8", "dynamic-step, residual 15", "dynamic-step, nearest",
            "dynamic-step, W4/8, 60 %", "dynamic-step, W4", "dynamic-step, W4, layers apart",
        ],
        5000,
    ),
}


def number(figure: dict, digits: int) -> str:
    """Value and its 95 % interval."""
    low, high = figure["interval"]
    sign = "+" if figure.get("signed") else ""
    return f"{figure['value']:{sign}.{digits}f} [{low:{sign}.{digits}f}, {high:{sign}.{digits}f}]"


def signed(figure: dict, digits: int) -> str:
    return number(figure | {"signed": True}, digits)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True, type=Path, help="pipeline folder")
    p.add_argument("--reference", required=True, help="real images, as `diffuser evaluate` takes them")
    p.add_argument("--reference-filter", help="COLUMN=VALUE")
    p.add_argument("--extractor", help="ONNX file [default: where scripts/extractor.py puts it]")
    p.add_argument("--binary", default="target/release/diffuser")
    p.add_argument("--rows", nargs="+", choices=list(ROWS), metavar="ROW", help="the first is compared with the others")
    p.add_argument("--images", type=int)
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--schedule", default="dpmsolver++:20")
    p.add_argument("--folder", type=Path, default=Path("runs/quantisation"))
    p.add_argument("--page", type=Path, default=Path("docs/quantisation.md"))
    p.add_argument("--marker", default="distances", choices=list(TABLES), help="which of the page's tables")
    args = p.parse_args()
    rows, images = TABLES[args.marker]
    args.rows, args.images = args.rows or rows, args.images or images

    files = {row: quantised(args.binary, args.model, args.folder, row) for row in args.rows}
    first, *others = args.rows
    sampler, steps = args.schedule.split(":")
    report = args.folder / f"{args.marker}.json"
    command = [args.binary, "evaluate", str(files[first]), "--against", str(args.model)]
    for row in others:
        command += ["--versus", str(files[row])]
    command += ["--scheduler", sampler, "--steps", steps, "--images", str(args.images), "--step-images", "0", "--seed", "1"]
    command += ["--journal", str(args.folder), "--json", str(report), "--reference", args.reference, "--quiet"]
    for name in ("reference_filter", "extractor", "threads"):
        if getattr(args, name):
            command += ["--" + name.replace("_", "-"), str(getattr(args, name))]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    found = json.loads(report.read_text())

    real, floor = found["reference"], found["reference"]["floor"]["frechet"]
    text = [
        f"{found['images']} images, {sampler}, {steps} steps, seed 1; Fréchet distance to {real['images']} real images of "
        f"{real['size'][0]}x{real['size'][1]}, by {found['extractor']['preprocessing']['name']}. "
        f"Floor, between two halves of the real images ({real['floor']['images'][0]} and {real['floor']['images'][1]}): "
        f"{number(floor, 1)}. Intervals are 95 %, block jackknife, the same block of seeds left out of both sides of a difference.",
        "",
        f"| method | distance | ratio to float | at most (one-sided) | this less {first} |",
        "| --- | --- | --- | --- | --- |",
        f"| float | {number(found['float']['frechet'], 1)} | | | |",
    ]
    rows = [(first, found)] + list(zip(others, found["versus"]))
    for row, one in rows:
        ratio = one["distances_less_float"]["frechet_ratio"]
        less = ""
        if "model_less_this" in one:
            figure = one["model_less_this"]["distances"]["frechet"]
            low, high = figure["interval"]
            less = signed({"value": -figure["value"], "interval": [-high, -low]}, 2)
        text.append(
            f"| {row} | {number(one['distances']['frechet'], 1)} | {number(ratio, 4)} | {ratio['at_most']:.4f} | {less} |"
        )
    text += ["", "Between generated sets: " + "; ".join(
        f"{b['sets'][0]} against {b['sets'][1]}, {b['images']} images, {'the same' if b['same_noise'] else 'other'} noise: {number(b['frechet'], 2)}"
        for b in found["between"]
    ) + "."]
    start, end = f"<!-- table: scripts/distance_table.py {args.marker} -->", "<!-- end of table -->"
    before, rest = args.page.read_text().split(start)
    after = rest.split(end, 1)[1]
    args.page.write_text(before + start + "\n" + "\n".join(text) + "\n" + end + after)
    print("\n".join(text))


if __name__ == "__main__":
    main()
