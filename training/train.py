"""Train a class-conditional diffusion U-Net and save it as a Hugging Face `diffusers` pipeline folder.

    python training/train.py --data emoji64.parquet --out runs/emoji32

Run it again with the same --out and it goes on where it stopped: weights, EMA, optimiser, step and the
order of the data come back from `state.pt`. `--images` may be changed on the way: the learning rate
is a function of images seen (warm-up, flat, linear decay over the last --decay of the run).
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DModel

from data import LOADERS
from plots import plot_loss, save_grid


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", required=True, help="Parquet file")
    p.add_argument("--dataset", choices=LOADERS, default="emoji")
    p.add_argument("--out", type=Path, required=True, help="folder for checkpoints, plots and the pipeline")
    p.add_argument("--size", type=int, default=32)
    p.add_argument("--channels", type=int, nargs="+", default=[32, 64, 96])
    p.add_argument("--layers", type=int, default=1)
    p.add_argument("--attention", type=int, nargs="*", default=[8], help="resolutions with self-attention")
    p.add_argument("--groups", type=int, default=8, help="norm_num_groups")
    p.add_argument("--images", type=float, default=1e6, help="training images in all")
    p.add_argument("--batch", type=int, default=64)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--decay", type=float, default=0.25, help="share of the run over which lr falls to 0")
    p.add_argument("--ema", type=float, default=0.999)
    p.add_argument("--drop-class", type=float, default=0.1, help="share trained without a class")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--device", default="cpu")
    p.add_argument("--save-every", type=float, default=300, help="seconds between checkpoints")
    p.add_argument("--compile", action="store_true", help="torch.compile the U-Net")
    return p.parse_args()


def build_unet(args, classes: int) -> UNet2DModel:
    n = len(args.channels)
    attends = [args.size >> i in args.attention for i in range(n)]
    return UNet2DModel(
        sample_size=args.size,
        in_channels=3,
        out_channels=3,
        layers_per_block=args.layers,
        block_out_channels=args.channels,
        down_block_types=[("Attn" if a else "") + "DownBlock2D" for a in attends],
        up_block_types=[("Attn" if a else "") + "UpBlock2D" for a in reversed(attends)],
        norm_num_groups=args.groups,
        attention_head_dim=None,  # one head
        num_class_embeds=classes + 1,  # the last one means "any class"
    )


def learning_rate(args, seen: int) -> float:
    done = seen / args.images
    warm = min(1.0, seen / (200 * args.batch))
    return args.lr * warm * min(1.0, max(0.0, (1 - done) / args.decay))


def loss_weights(alpha_bar: torch.Tensor) -> torch.Tensor:
    """Min-SNR-5 weights for velocity prediction (Hang et al. 2023, eq. 6 divided by SNR + 1)."""
    snr = alpha_bar / (1 - alpha_bar).clamp(min=1e-12)
    return snr.clamp(max=5.0) / (snr + 1)


def save_pipeline(folder: Path, unet: UNet2DModel, scheduler: DDIMScheduler, names: list[str]) -> None:
    """The pipeline folder, weights as f16."""
    half = UNet2DModel.from_config(unet.config)
    half.load_state_dict(unet.state_dict())
    half.half().save_pretrained(folder / "unet")
    scheduler.save_pretrained(folder / "scheduler")
    index = {
        "_class_name": "DDIMPipeline",
        "id2label": {str(i): n for i, n in enumerate(names + ["any"])},
        "scheduler": ["diffusers", "DDIMScheduler"],
        "unet": ["diffusers", "UNet2DModel"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


@torch.no_grad()
def sample(unet, scheduler, classes: torch.Tensor, size: int, steps: int, seed: int) -> torch.Tensor:
    """DDIM images as uint8 N x 3 x H x W."""
    device = next(unet.parameters()).device
    x = torch.randn(len(classes), 3, size, size, generator=torch.Generator().manual_seed(seed)).to(device)
    scheduler.set_timesteps(steps)
    for t in scheduler.timesteps:
        out = unet(x, t.to(device), class_labels=classes.to(device)).sample
        x = scheduler.step(out, t, x).prev_sample
    return ((x / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).cpu()


def main() -> None:
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    device = torch.device(args.device)

    data = LOADERS[args.dataset](args.data, args.size)
    unet = build_unet(args, len(data.names)).to(device, memory_format=torch.channels_last)
    ema = UNet2DModel.from_config(unet.config).to(device)
    ema.load_state_dict(unet.state_dict())
    optimiser = torch.optim.AdamW(unet.parameters(), lr=args.lr, weight_decay=0.01, betas=(0.9, 0.99))
    scheduler = DDIMScheduler(
        beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction", timestep_spacing="trailing"
    )
    alpha_bar = scheduler.alphas_cumprod.to(device)
    weights = loss_weights(alpha_bar)

    step, history = 0, []
    state_file = args.out / "state.pt"
    if state_file.exists():
        state = torch.load(state_file, map_location=device, weights_only=True)
        unet.load_state_dict(state["unet"])
        ema.load_state_dict(state["ema"])
        optimiser.load_state_dict(state["optimiser"])
        step, history = state["step"], state["history"]
        print(f"resumed at step {step} ({step * args.batch} images)", flush=True)
    # a new stream of data and noise after each resume, seeded by the step it starts from
    generator = torch.Generator().manual_seed(args.seed + step)
    order = data.balanced_order(generator)

    def save() -> None:
        state = {
            "unet": unet.state_dict(), "ema": ema.state_dict(), "optimiser": optimiser.state_dict(),
            "step": step, "history": history,
        }
        torch.save(state, state_file.with_suffix(".tmp"))
        os.replace(state_file.with_suffix(".tmp"), state_file)
        save_pipeline(args.out / "pipeline", ema, scheduler, data.names)
        classes = torch.arange(len(data.names)).repeat(2)
        save_grid(sample(ema, scheduler, classes, args.size, 20, 7), args.out / "samples.png", columns=9)
        plot_loss(history, args.out / "loss.png")

    model = torch.compile(unet) if args.compile else unet
    last_save = last_log = time.time()
    recent = []
    while step * args.batch < args.images:
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(args, step * args.batch)
        rows = torch.tensor([next(order) for _ in range(args.batch)])
        x0 = (data.images[rows].float() / 127.5 - 1).to(device, memory_format=torch.channels_last)
        classes = data.classes[rows]
        dropped = torch.rand(args.batch, generator=generator) < args.drop_class
        classes = torch.where(dropped, len(data.names), classes).to(device)
        t = torch.randint(0, 1000, (args.batch,), generator=generator).to(device)
        noise = torch.randn(x0.shape, generator=generator).to(device, memory_format=torch.channels_last)
        a = alpha_bar[t].view(-1, 1, 1, 1)
        xt = a.sqrt() * x0 + (1 - a).sqrt() * noise
        velocity = a.sqrt() * noise - (1 - a).sqrt() * x0
        with torch.autocast(device.type, dtype=torch.bfloat16):
            out = model(xt, t, class_labels=classes).sample
        loss = (F.mse_loss(out.float(), velocity, reduction="none").mean((1, 2, 3)) * weights[t]).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimiser.step()
        step += 1
        decay = min(args.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.parameters()), list(unet.parameters()), 1 - decay)
        recent.append(loss.item())
        if step % 50 == 0:
            mean = sum(recent) / len(recent)
            history.append((step * args.batch, mean))
            rate = len(recent) * args.batch / (time.time() - last_log)
            print(f"{step * args.batch} images  loss {mean:.5f}  {rate:.0f} images/s", flush=True)
            recent, last_log = [], time.time()
        if time.time() - last_save > args.save_every:
            save()
            last_save = last_log = time.time()
            recent = []
    save()


if __name__ == "__main__":
    main()
