"""Golden values for the samplers: diffusers' own schedulers, step by step.

    python make_schedulers.py > schedulers.json          (diffusers 0.35.1)

State, network output and noise are three elements each, cosines of fixed angles, so that the Rust
test makes the same without a file. Every state is stored as diffusers' float32.
"""

import itertools
import json
import math

import diffusers
import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.schedulers import scheduling_ddpm

torch.set_num_threads(1)
assert diffusers.__version__ == "0.35.1"
ELEMENTS = 3
SPACINGS = ("leading", "linspace", "trailing")
PREDICTIONS = ("epsilon", "v_prediction", "sample")
BETAS = ("linear", "scaled_linear", "squaredcos_cap_v2")


def wave(a: float, b: float, step: int) -> torch.Tensor:
    return torch.tensor([math.cos(a * j + b * step + 0.5) for j in range(ELEMENTS)], dtype=torch.float32)


def case(scheduler_class, steps: int, eta: float = 0.0, **options) -> dict:
    scheduler = scheduler_class(**options)
    scheduler.set_timesteps(steps)
    x = wave(2.0, 0.0, 0)
    states = []
    for step, t in enumerate(scheduler.timesteps):
        out, noise = wave(1.3, 0.7, step), wave(2.1, 0.9, step)
        scheduling_ddpm.randn_tensor = lambda *_, noise=noise, **__: noise
        extra = {"eta": eta, "variance_noise": noise if eta else None} if scheduler_class is DDIMScheduler else {}
        # DDPM looks at the channels
        x = scheduler.step(out[None], t, x[None], **extra).prev_sample[0]
        assert torch.isfinite(x).all(), (scheduler_class, steps, options)
        states.append([float(str(np.float32(v))) for v in x])
    config = json.loads(scheduler.to_json_string().replace("-Infinity", '"-Infinity"'))
    return {"config": config, "steps": steps, "eta": eta, "timesteps": scheduler.timesteps.tolist(), "states": states}


def cases():
    grid = list(itertools.product(SPACINGS, PREDICTIONS, BETAS, (7, 13)))
    for i, (spacing, prediction, betas, steps) in enumerate(grid):
        common = {"timestep_spacing": spacing, "prediction_type": prediction, "beta_schedule": betas}
        # seven and thirteen steps alternate; halving i makes both see every setting
        clip = {"clip_sample": i // 2 % 2 == 0, "clip_sample_range": (1.0, 0.7)[i // 4 % 2]}
        yield case(DDIMScheduler, steps, 0.5 * ((i + i // 2) % 2), **common, **clip)
        variance = ("fixed_small", "fixed_large")[(i + i // 2 + i // 18) % 2]
        yield case(DDPMScheduler, steps, variance_type=variance, **common, **clip)
        final = ("zero", "sigma_min")[(i + i // 2) % 2]
        yield case(
            DPMSolverMultistepScheduler, steps, final_sigmas_type=final, lower_order_final=i // 4 % 2 == 0, **common
        )
    for prediction in PREDICTIONS:
        for scheduler_class in (DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler):
            yield case(
                scheduler_class, 100, timestep_spacing="trailing", prediction_type=prediction,
                beta_schedule="squaredcos_cap_v2",
            )
    velocity = {"prediction_type": "v_prediction"}
    zero_snr = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing", "beta_schedule": "scaled_linear"}
    for scheduler_class in (DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler):
        yield case(scheduler_class, 10, **velocity, **zero_snr)
        yield case(scheduler_class, 1, **velocity)
        yield case(scheduler_class, 20, steps_offset=1, timestep_spacing="leading", **velocity)
        yield case(scheduler_class, 4, num_train_timesteps=5, trained_betas=[0.1, 0.2, 0.15, 0.4, 0.5], **velocity)
    for spacing in SPACINGS:
        yield case(DDIMScheduler, 8, 1.0, set_alpha_to_one=False, timestep_spacing=spacing, **velocity)
        yield case(
            DPMSolverMultistepScheduler, 9, lambda_min_clipped=-5.1, beta_schedule="squaredcos_cap_v2",
            timestep_spacing=spacing,
        )
    yield case(DPMSolverMultistepScheduler, 8, solver_order=1)
    yield case(DPMSolverMultistepScheduler, 18, final_sigmas_type="sigma_min", euler_at_final=True)
    yield case(DPMSolverMultistepScheduler, 18, final_sigmas_type="sigma_min", lower_order_final=False)
    yield case(DDPMScheduler, 50, num_train_timesteps=50)


def checksums():
    """Time steps of every possible number of steps, as one number for each scheduler and spacing."""
    for scheduler_class, spacing, train in itertools.product(
        (DDPMScheduler, DDIMScheduler, DPMSolverMultistepScheduler), SPACINGS, (50, 1000)
    ):
        scheduler = scheduler_class(num_train_timesteps=train, timestep_spacing=spacing)
        checksum, refused = 0, 0
        for steps in range(1, train + 1):
            scheduler.set_timesteps(steps)
            timesteps = scheduler.timesteps.tolist()
            if timesteps[-1] == -1:  # numpy's arange was one too long
                timesteps.pop()
            if any(a <= b for a, b in itertools.pairwise(timesteps)):
                refused += 1
                continue
            assert len(timesteps) == steps
            for t in timesteps:
                checksum = (checksum * 31 + t) % 2**32
        config = json.loads(scheduler.to_json_string().replace("-Infinity", '"-Infinity"'))
        yield {"config": config, "checksum": checksum, "refused": refused}


def lines(items) -> str:
    return ",\n".join(json.dumps(item, separators=(",", ":")) for item in items)


print('{"cases":[\n' + lines(cases()) + '\n],"checksums":[\n' + lines(checksums()) + "\n]}")
