#!/usr/bin/env python3
"""Time per step and peak memory: integers, float reference, and PyTorch, on one model, in one run.

    python3 scripts/benchmark.py --model models/emoji32 --threads 1 2

Each row is a process of its own. Its time per step is what it reports for sampling alone (loading and
writing apart), the median of --runs runs taken in turn; its memory is the peak resident size that the
system reports. PyTorch runs `UNet2DModel` of `diffusers` in f32 and in bf16 (channels last, inference
mode) and is left out with a note where those are not installed. Writes a Markdown table to stdout.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile

TORCH = r"""
import sys, time, json, torch
from diffusers import UNet2DModel, DDIMScheduler
folder, threads, steps, batch, kind = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
torch.set_num_threads(threads)
dtype = torch.bfloat16 if kind == "bf16" else torch.float32
unet = UNet2DModel.from_pretrained(folder, subfolder="unet").eval().to(dtype, memory_format=torch.channels_last)
scheduler = DDIMScheduler.from_pretrained(folder, subfolder="scheduler")
scheduler.set_timesteps(steps)
h = unet.config.sample_size
h, w = (h, h) if isinstance(h, int) else h
x = torch.randn(batch, unet.config.in_channels, h, w).to(memory_format=torch.channels_last)
n = unet.config.num_class_embeds
labels = torch.arange(batch) % n if n else None
with torch.inference_mode():
    unet(x.to(dtype), 1, class_labels=labels)
    start = time.perf_counter()
    for t in scheduler.timesteps:
        out = unet(x.to(dtype), t, class_labels=labels).sample.float()
        x = scheduler.step(out, t, x).prev_sample
print(json.dumps({"seconds": time.perf_counter() - start}))
"""


def run(command: list[str]) -> tuple[dict, float]:
    """Run to the end; what it printed as JSON, and its peak memory in MB."""
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            sys.exit(f"benchmark: `{' '.join(command[:2])}` failed")
        out.seek(0)
        return json.loads(out.read()), usage.ru_maxrss / 1024


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", required=True, help="pipeline folder")
    p.add_argument("--quantised", help="its quantised file [default: quantised for this run]")
    p.add_argument("--binary", default="target/release/diffuser")
    p.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    p.add_argument("--steps", type=int, default=20)
    p.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--python", default=sys.executable, help="Python with torch and diffusers")
    args = p.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        quantised = args.quantised
        if not quantised:
            quantised = f"{folder}/model.safetensors"
            subprocess.run([args.binary, "quantize", args.model, "-o", quantised, "--quiet"], check=True)
        probe = subprocess.run([args.python, "-c", "import torch, diffusers"], capture_output=True)
        if probe.returncode:
            print("benchmark: torch and diffusers are not installed, their rows are left out", file=sys.stderr)

        print(f"{cpu()}, {os.cpu_count()} cores, {args.steps} steps of DDIM, median of {args.runs} runs\n")
        print("| threads | images at once | what | ms a step and image | peak memory, MB |")
        print("| --- | --- | --- | --- | --- |")
        for threads in args.threads:
            for batch in args.batch:
                rows = {}
                common = ["--count", str(batch), "--steps", str(args.steps), "--threads", str(threads)]
                common += ["--scheduler", "ddim", "--json", "--quiet", "-o", f"{folder}/out.png"]
                rows["integers, 8 bit"] = [args.binary, "generate", "--model", quantised, *common]
                rows["float reference, f32"] = [args.binary, "generate", "--model", args.model, "--float", *common]
                if not probe.returncode:
                    tail = [args.model, str(threads), str(args.steps), str(batch)]
                    for kind in ("f32", "bf16"):
                        rows[f"PyTorch, {kind}"] = [args.python, "-c", TORCH, *tail, kind]
                results = {name: [] for name in rows}
                for _ in range(args.runs):  # in turn, so that a slow moment of the machine hits all
                    for name, command in rows.items():
                        results[name].append(run(command))
                for name, got in results.items():
                    seconds = statistics.median(sampling_seconds(r) for r, _ in got)
                    memory = statistics.median(m for _, m in got)
                    ms = 1000 * seconds / args.steps / batch
                    print(f"| {threads} | {batch} | {name} | {ms:.2f} | {memory:.0f} |", flush=True)


def sampling_seconds(report: dict) -> float:
    return report["seconds"]["sampling"] if isinstance(report["seconds"], dict) else report["seconds"]


def cpu() -> str:
    try:
        with open("/proc/cpuinfo") as f:
            return next(line.split(":")[1].strip() for line in f if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
