"""Write the golden models: tiny random U-Nets as `diffusers` saves them, with inputs and outputs.

    pip install diffusers==0.35.1 torch numpy safetensors
    python crates/reference/tests/golden/make.py

For a wider check, make random networks elsewhere and let the same test read them:

    python crates/reference/tests/golden/make.py --random 60 --out /tmp/networks
    DIFFUSER_GOLDEN=/tmp/networks cargo test -p diffuser-reference --test golden

Each folder holds a model in one of the layouts that `diffusers` writes, and `golden.safetensors` with

- `sample`: 1 x channels x height x width;
- `timesteps`: n;
- `classes`: n (only with class embeddings);
- `outputs`: n x channels x height x width.

Every parameter is random, those that `diffusers` starts at 0 or 1 too, so that no term can hide.
"""

import argparse
import json
import random
import shutil
from pathlib import Path

import diffusers
import torch
from diffusers import DDIMScheduler, UNet2DModel
from safetensors.torch import load_file, save_file

BASE = dict(
    sample_size=8, in_channels=3, out_channels=3, layers_per_block=1, block_out_channels=[8, 12],
    down_block_types=["DownBlock2D", "AttnDownBlock2D"], up_block_types=["AttnUpBlock2D", "UpBlock2D"],
    norm_num_groups=4, attention_head_dim=None,
)
RESNET_ENDS = dict(
    down_block_types=["ResnetDownsampleBlock2D", "DownBlock2D"],
    up_block_types=["UpBlock2D", "ResnetUpsampleBlock2D"],
)
# the options are mixed so that each pair of values of interest meets somewhere
CASES = {
    "default": dict(),
    "classes": dict(num_class_embeds=5, layers_per_block=2, block_out_channels=[8, 8]),
    "ddpm": dict(  # as google/ddpm-cifar10-32
        downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6,
        down_block_types=["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
        block_out_channels=[8, 8, 8, 12], sample_size=16,
    ),
    "scale_shift": dict(resnet_time_scale_shift="scale_shift", time_embedding_dim=20),
    "scale_shift_attention_norm": dict(
        resnet_time_scale_shift="scale_shift", attn_norm_num_groups=2, num_class_embeds=3, act_fn="swish"
    ),
    "heads": dict(attention_head_dim=4, layers_per_block=2, in_channels=1, out_channels=2),
    "heads_uneven": dict(attention_head_dim=5, block_out_channels=[6, 12], norm_num_groups=3),
    "resnet_resampling": dict(
        downsample_type="resnet", upsample_type="resnet",
        down_block_types=["AttnDownBlock2D", "AttnDownBlock2D"], up_block_types=["AttnUpBlock2D", "AttnUpBlock2D"],
    ),
    "resnet_blocks": dict(**RESNET_ENDS, resnet_time_scale_shift="scale_shift", mid_block_type=None),
    "wide": dict(sample_size=[4, 12], add_attention=False, downsample_padding=0),
    "one_level": dict(
        sample_size=[5, 7], block_out_channels=[9], norm_num_groups=3, norm_eps=0.02,
        down_block_types=["AttnDownBlock2D"], up_block_types=["AttnUpBlock2D"],
    ),
    "odd_channels": dict(block_out_channels=[7, 14], norm_num_groups=7, freq_shift=0.5, attention_head_dim=7),
    "old_names": dict(attention_head_dim=6, norm_eps=1e-3),
    "bfloat": dict(block_out_channels=[8, 16], add_attention=False),
    "float": dict(block_out_channels=[4, 8], num_class_embeds=2, num_train_timesteps=1000),
}
OLD_NAMES = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
DTYPES = {"bfloat": torch.bfloat16, "float": torch.float32}


def randomise(unet: UNet2DModel, generator: torch.Generator) -> None:
    """Values that keep activations near 1: matrices by fan-in, vectors around their usual start."""
    for name, p in unet.named_parameters():
        noise = torch.randn(p.shape, generator=generator)
        if p.dim() > 1:
            scale = 1.0 if name.startswith("class_embedding") else (p.numel() / p.shape[0]) ** -0.5
            p.data = noise * scale
        else:
            is_scale = "norm" in name and name.endswith("weight")
            p.data = 0.3 * noise + (1.0 if is_scale else 0.0)


def random_options(r: random.Random) -> dict:
    """Any configuration that `diffusers` can run and the import does not refuse."""
    levels, groups = r.randint(1, 4), r.choice([1, 2, 4])
    channels = [groups * r.randint(4 // groups, 6) for _ in range(levels)]
    kinds = ["{}Block2D", "Attn{}Block2D", "Resnet{}sampleBlock2D"]
    return dict(
        block_out_channels=channels, norm_num_groups=groups, layers_per_block=r.randint(1, 3),
        down_block_types=[r.choice(kinds).format("Down") for _ in channels],
        up_block_types=[r.choice(kinds).format("Up") for _ in channels],
        sample_size=[r.randint(1, 3) << (levels - 1), r.randint(1, 3) << (levels - 1)],
        in_channels=r.randint(1, 4), out_channels=r.randint(1, 6),
        downsample_padding=r.randint(0, 1),
        downsample_type=r.choice(["conv", "resnet"]), upsample_type=r.choice(["conv", "resnet"]),
        attention_head_dim=r.choice([None, 1, 2, 3, 4]),
        mid_block_type=r.choice(["UNetMidBlock2D", "UNetMidBlock2D", None]), add_attention=r.random() < 0.7,
        attn_norm_num_groups=r.choice([None, None, groups]), norm_eps=10 ** r.uniform(-6, -1),
        resnet_time_scale_shift=r.choice(["default", "scale_shift"]),
        flip_sin_to_cos=r.random() < 0.5, freq_shift=r.choice([0, 1, 0.25]),
        num_class_embeds=r.choice([None, 4]), time_embedding_dim=r.choice([None, 13]),
    )


@torch.no_grad()
def make(root: Path, name: str, options: dict, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    unet = UNet2DModel(**{**BASE, **options}).eval()
    randomise(unet, generator)
    unet.to(DTYPES.get(name, torch.float16))

    folder = root / name
    shutil.rmtree(folder, ignore_errors=True)
    bare = name in ("heads", "wide")
    flat = name == "ddpm"
    unet.save_pretrained(folder if bare or flat else folder / "unet")
    if not bare:
        scheduler = DDIMScheduler()
        scheduler.save_pretrained(folder if flat else folder / "scheduler")
        index = {
            "_class_name": "DDIMPipeline",
            "_diffusers_version": diffusers.__version__,
            "scheduler": ["diffusers", "DDIMScheduler"],
            "unet": ["diffusers", "UNet2DModel"],
        }
        if name == "classes":
            index["id2label"] = {str(i): f"class {i}" for i in range(4)}
        (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")
    if name == "old_names":
        file = folder / "unet/diffusion_pytorch_model.safetensors"
        tensors = {}
        for key, value in load_file(file).items():
            for new, old in OLD_NAMES.items():
                key = key.replace(f".{new}.", f".{old}.")
            tensors[key] = value
        save_file(tensors, file, metadata={"format": "pt"})

    unet.float()
    size = unet.config.sample_size
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    sample = torch.randn(1, unet.config.in_channels, height, width, generator=generator)
    timesteps = torch.tensor([0, 37, 999])
    golden = {"sample": sample, "timesteps": timesteps}
    classes = None
    if unet.config.num_class_embeds:
        classes = golden["classes"] = timesteps % unet.config.num_class_embeds
    outputs = [
        unet(sample, t, class_labels=None if classes is None else classes[i : i + 1]).sample
        for i, t in enumerate(timesteps)
    ]
    golden["outputs"] = torch.cat(outputs)
    save_file(golden, folder / "golden.safetensors")
    print(f"{name}: outputs within {golden['outputs'].abs().max():.2f}")


if __name__ == "__main__":
    assert diffusers.__version__ == "0.35.1", diffusers.__version__
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, help="make so many random networks instead")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    args = parser.parse_args()
    r = random.Random(1)
    cases = CASES if args.random is None else {f"random{i}": random_options(r) for i in range(args.random)}
    for seed, (name, options) in enumerate(cases.items()):
        make(args.out, name, options, seed)
