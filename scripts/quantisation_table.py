#!/usr/bin/env python3
"""Compare quantisation methods on one model and write the table of docs/quantisation.md.

    python3 scripts/quantisation_table.py --model models/emoji32

Every row is a file made by `diffuser quantize` from the same calibration and measured by `diffuser evaluate`
against the float reference on the same initial noise. Finished images, files and reports are kept in --folder: the
same command goes on where it was interrupted, and scripts/quantisation_plots.py draws what is there. The part of the page between the two markers is replaced.
A file is made again when the command or the model is newer.
"""

import argparse
import json
import math
import random
import statistics
import subprocess
from pathlib import Path

START, END = "<!-- table: scripts/quantisation_table.py -->", "<!-- end of table -->"

# name of a row: what `quantize` is told
ROWS = {
    "dynamic-step": [],
    "static-mse": ["--method", "static-mse"],
    "static-minmax": ["--method", "static-minmax"],
    "ptq4dm": ["--method", "ptq4dm"],
    "q-diffusion": ["--method", "q-diffusion"],
    "tfmq": ["--method", "tfmq"],
    "dynamic-step, 100 rows": ["--steps", "100"],
    "dynamic-step, nearest": ["--rounding", "nearest"],
    "dynamic-step, AdaRound": ["--rounding", "adaround"],
    "dynamic-step, upsampling as it is": ["--upsample", "nearest"],
    "dynamic-step, skips split": ["--skips", "split"],
    "dynamic-step, residual 8": ["--residual", "8"],
    "ptq4dm, residual 8": ["--method", "ptq4dm", "--residual", "8"],
    "tfmq, residual 8": ["--method", "tfmq", "--residual", "8"],
    "dynamic-step, residual 15": ["--residual", "15"],
    "ptq4dm, residual 15": ["--method", "ptq4dm", "--residual", "15"],
    "tfmq, residual 15": ["--method", "tfmq", "--residual", "15"],
    "dynamic-step, W4": ["--weights", "4"],
    "dynamic-step, W4/8, 60 %": ["--weights", "mixed", "--weight-budget", "60%"],
    "dynamic-step, W4, layers apart": ["--weights", "4", "--rounding", "error-feedback"],
    "ptq4dm, W4": ["--method", "ptq4dm", "--weights", "4"],
}

# rows that are measured on every schedule; the others on the first one only
EVERYWHERE = [
    "dynamic-step", "static-mse", "static-minmax", "ptq4dm", "q-diffusion", "tfmq",
]


def most_decibels(values: int) -> float:
    """PSNR of a picture of which one value differs by one, in place of the infinity of equal pictures."""
    return 10 * math.log10(255**2 * values)


def call(binary: str, *arguments: str, json_file: Path | None = None) -> dict:
    """What a command reports as JSON, on stdout or in a file."""
    report = ["--json"] if json_file is None else ["--json", str(json_file)]
    out = subprocess.run([binary, *arguments, *report, "--quiet"], check=True, stdout=subprocess.PIPE).stdout
    return json.loads(out if json_file is None else json_file.read_text())


def stem(row: str) -> str:
    """Name of a row's files."""
    return "".join(c if c.isalnum() else "-" for c in row)


def quantised(binary: str, model: Path, folder: Path, row: str) -> Path:
    """The file of a row; made if it is missing or older than what it is made of."""
    file = folder / f"{stem(row)}.safetensors"
    sources = [Path(binary), *(p for p in model.rglob("*") if p.is_file())]
    newest = max(p.stat().st_mtime for p in sources)
    if not file.exists() or file.stat().st_mtime < newest:
        file.unlink(missing_ok=True)
        call(binary, "quantize", str(model), "-o", str(file), *ROWS[row])
    return file


def interval(differences: list[float]) -> str:
    """Mean of paired differences and its 95 % percentile-bootstrap interval, seeded."""
    rng = random.Random(0)
    n = len(differences)
    means = sorted(statistics.fmean(rng.choices(differences, k=n)) for _ in range(2000))
    return f"{statistics.fmean(differences):+.2f} [{means[49]:+.2f}, {means[1949]:+.2f}]"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True, type=Path, help="pipeline folder")
    p.add_argument("--binary", default="target/release/diffuser")
    p.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS), metavar="ROW")
    p.add_argument("--images", type=int, default=512)
    p.add_argument("--step-images", type=int, default=32)
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--folder", type=Path, default=Path("runs/quantisation"), help="files and finished images")
    p.add_argument("--page", type=Path, default=Path("docs/quantisation.md"))
    p.add_argument("--schedules", nargs="+", default=["dpmsolver++:20", "ddim:100"])
    args = p.parse_args()
    threads = ["--threads", str(args.threads)] if args.threads else []

    args.folder.mkdir(parents=True, exist_ok=True)
    values = math.prod(call(args.binary, "info", str(args.model))["sample"].values())
    text = [
        f"{args.images} images, seed 1, against the float reference on the same noise. *Output error* is that of the",
        f"network's output on {args.step_images} float trajectories, relative to its size (root mean square), as a mean over the",
        "steps and at the worst one. *Better than* is the mean difference of the paired PSNR in dB, with its 95 % bootstrap",
        "interval. *Tables* are the bytes that the time steps add, in per cent of the weights' bytes; *cycles* those of an evaluation on",
        "the accelerator, by its simulator's model (`diffuser compile --target zu9eg`).",
    ]
    for schedule in args.schedules:
        sampler, steps = schedule.split(":")
        text += [
            "",
            f"**{sampler}, {steps} steps**",
            "",
            "| method | PSNR, median | of the mean error | worst image | output error, mean | worst step | better than ptq4dm "
            "| better than q-diffusion | weights | tables | cycles |",
            "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        ]
        measured = {}
        for row in args.rows if schedule == args.schedules[0] else [r for r in args.rows if r in EVERYWHERE]:
            file = quantised(args.binary, args.model, args.folder, row)
            report = call(
                args.binary, "evaluate", str(file), "--against", str(args.model), "--scheduler", sampler,
                "--steps", steps, "--images", str(args.images), "--step-images", str(args.step_images),
                "--seed", "1", "--journal", str(args.folder), *threads,
                json_file=args.folder / f"{stem(row)}-{sampler.rstrip('+')}-{steps}.json",
            )
            each = [most_decibels(values) if d is None else d for d in report["psnr_db"]["each"]]
            info = call(args.binary, "info", str(file))
            info["cycles"] = call(args.binary, "compile", str(file), "--target", "zu9eg", "--steps", "2")["cycles_per_step"]
            measured[row] = (each, report, info)
            print(f"{schedule} {row}: {report['psnr_db']['median']:.2f} dB", flush=True)
        for row, (each, report, info) in measured.items():
            others = []
            for other in ("ptq4dm", "q-diffusion"):
                same = other == row or other not in measured
                others.append("" if same else interval([a - b for a, b in zip(each, measured[other][0])]))
            db, error = report["psnr_db"], report["steps"]
            text.append(
                f"| {row} | {db['median']:.2f} dB | {db['of_mean_squared_error']:.2f} dB | {db['worst']:.2f} dB "
                f"| {100 * error['output_relative_error_mean']:.2f} % | {100 * error['output_relative_error_worst']:.2f} % "
                f"| {others[0]} | {others[1]} | {info['weight_bytes'] / 1e6:.2f} MB | {100 * info['table_share']:.2f} % "
                f"| {info['cycles']:,} |"
            )
    page = args.page.read_text()
    before, rest = page.split(START)
    after = rest.split(END, 1)[1]
    args.page.write_text(before + START + "\n" + "\n".join(text) + "\n" + END + after)


if __name__ == "__main__":
    main()
