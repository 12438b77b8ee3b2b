#!/usr/bin/env python3
"""Draw the plots of docs/quantisation.md from what scripts/quantisation_table.py has kept.

    .venv/bin/python scripts/quantisation_plots.py

Needs matplotlib (training/requirements.txt). Two pictures: the step size that each layer's input has over the
denoising, and the error of one evaluation over the denoising for each method.
"""

import argparse
import json
import subprocess
from pathlib import Path

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "diffuser"  # the same bytes from the same figures
import matplotlib.pyplot as plt  # noqa: E402

METHODS = ["dynamic-step", "static-mse", "static-minmax", "ptq4dm", "q-diffusion", "tfmq"]


def save(figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)


def ranges(binary: str, file: Path, out: Path) -> None:
    """Step size of what each normalisation and attention makes, over the largest that it has at any step."""
    info = json.loads(subprocess.run([binary, "info", str(file), "--json"], check=True, stdout=subprocess.PIPE).stdout)
    centres = [(row["first"] + row["last"]) / 2 for row in info["intervals"]]
    layers = [layer for layer in info["layers"] if layer["kind"].startswith("group norm")]
    if not layers:
        raise SystemExit(f"{file}: no group norm")
    figure, axes = plt.subplots(figsize=(7.5, 3.6))
    colours = plt.get_cmap("viridis")
    for i, layer in enumerate(layers):
        steps = layer["steps"]
        axes.plot(centres, [s / max(steps) for s in steps], color=colours(i / max(1, len(layers) - 1)), linewidth=0.9)
    axes.set_xlabel("training time step (denoising runs from right to left)")
    axes.set_ylabel("step size, of the layer's largest")
    axes.set_ylim(0, 1.03)
    axes.set_title(f"{len(layers)} normalised inputs of products; dark: first layers, light: last", fontsize=9)
    bar = figure.colorbar(plt.cm.ScalarMappable(cmap=colours), ax=axes, ticks=[0, 1])
    bar.ax.set_yticklabels(["input", "output"])
    save(figure, out)


def errors(folder: Path, schedule: str, out: Path) -> None:
    """Relative error of the network's output on the float trajectory."""
    figure, axes = plt.subplots(figsize=(7.5, 3.6))
    for method in METHODS:
        report = json.loads((folder / f"{method}-{schedule}.json").read_text())
        each = report["steps"]["each"]
        width = 1.8 if method == "dynamic-step" else 1.0
        axes.plot(
            [s["timestep"] for s in each],
            [100 * s["output_relative_error"] for s in each],
            label=method, linewidth=width,
        )
    axes.set_yscale("log")
    axes.set_xlabel("training time step (denoising runs from right to left)")
    axes.set_ylabel("error of the output, %")
    axes.legend(fontsize=8)
    images = report["steps"]["images"]
    axes.set_title(f"{schedule.replace('-', ', ')} steps, {images} images, against float on the same input", fontsize=9)
    save(figure, out)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", default="target/release/diffuser")
    p.add_argument("--folder", type=Path, default=Path("runs/quantisation"))
    p.add_argument("--schedule", default="dpmsolver-20", help="of the reports, as in their names")
    p.add_argument("--out", type=Path, default=Path("docs/images"))
    args = p.parse_args()
    ranges(args.binary, args.folder / "dynamic-step.safetensors", args.out / "steps-by-layer.svg")
    errors(args.folder, args.schedule, args.out / "error-by-method.svg")


if __name__ == "__main__":
    main()
