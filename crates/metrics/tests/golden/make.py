#!/usr/bin/env python3
"""Writes golden.json: what numpy, scipy, scikit-image, torchmetrics and prdc make of sets that tests/golden.rs builds too.

    pip install numpy scipy scikit-image torchmetrics torch-fidelity torchvision prdc
    python crates/metrics/tests/golden/make.py

The sets are made of SplitMix64 numbers by integer arithmetic, so both sides hold the same bits and no features
need be stored.
"""

import json
from pathlib import Path

import numpy as np
import scipy.linalg
import torch
from prdc import compute_prdc
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.image.fid import _compute_fid
from torchmetrics.image.kid import poly_mmd

CASES = [
    # name, dim, rows and shift of either side
    ("dim16", 16, (300, 0), (250, 3)),
    ("dim64", 64, (400, 0), (400, 1)),
    ("rank_deficient", 64, (40, 0), (300, 2)),
    ("both_rank_deficient", 64, (40, 0), (30, 2)),
]


def numbers(seed, count):
    """The first `count` numbers of SplitMix64."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def features(seed, rows, dim, shift):
    """Correlated features: own noise, three factors that columns share in turn, an offset by column; exact in float32."""
    own = (numbers(seed, rows * dim) >> np.uint64(48)).astype(np.int64).reshape(rows, dim)
    common = (numbers(seed + 1000, rows * 3) >> np.uint64(48)).astype(np.int64).reshape(rows, 3)
    column = np.arange(dim)
    return ((own + (1 + column % 5) * common[:, column % 3] + 512 * shift * (column % 8)) / 65536).astype(np.float32)


def image(seed, height, width):
    """A ramp with noise, and the same with a little more noise; bytes."""
    noise = (numbers(seed, height * width * 3) >> np.uint64(58)).astype(np.int64).reshape(height, width, 3)
    more = (numbers(seed + 1000, height * width * 3) >> np.uint64(60)).astype(np.int64).reshape(height, width, 3)
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    clean = 3 * y + 2 * x + 20 * c + noise
    return clean.astype(np.uint8), (clean + more - 8).clip(0, 255).astype(np.uint8)


def frechet(a, b):
    """By the data, which is exact for any rank; by scipy's sqrtm as pytorch-fid; by torchmetrics."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    mean = np.sum((a.mean(0) - b.mean(0)) ** 2)
    x = (a - a.mean(0)) / np.sqrt(len(a) - 1)
    y = (b - b.mean(0)) / np.sqrt(len(b) - 1)
    # the trace of sqrt(C1 C2) is the sum of the singular values of x y^T, as C1 = x^T x and C2 = y^T y
    nuclear = np.linalg.svd(x @ y.T, compute_uv=False).sum()
    c1, c2 = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(c1 @ c2)
    torch_fid = _compute_fid(
        torch.from_numpy(a.mean(0)), torch.from_numpy(c1), torch.from_numpy(b.mean(0)), torch.from_numpy(c2)
    )
    return {
        "mean_term": mean,
        "by_data": mean + np.trace(c1) + np.trace(c2) - 2 * nuclear,
        "scipy_sqrtm": mean + np.trace(c1) + np.trace(c2) - 2 * np.trace(root.real),
        "torchmetrics": float(torch_fid),
    }


def inception_score(logits, splits):
    """As torch-fidelity and the paper's code, without its shuffle."""
    p = torch.from_numpy(logits).double().softmax(1).numpy()
    scores = []
    for s in range(splits):
        part = p[s * len(p) // splits : (s + 1) * len(p) // splits]
        kl = part * (np.log(part) - np.log(part.mean(0, keepdims=True)))
        scores.append(np.exp(kl.sum(1).mean()))
    return {"mean": np.mean(scores), "std": np.std(scores)}


def case(name, dim, left, right):
    a, b = features(1, left[0], dim, left[1]), features(2, right[0], dim, right[1])
    tensors = torch.from_numpy(a).double(), torch.from_numpy(b).double()
    k_xx, k_yy, k_xy = [(x @ y.T / dim + 1) ** 3 for x, y in [(tensors[0],) * 2, (tensors[1],) * 2, tensors]]
    n, m = len(a), len(b)
    kid = (
        (k_xx.sum() - k_xx.diagonal().sum()) / (n * (n - 1))
        + (k_yy.sum() - k_yy.diagonal().sum()) / (m * (m - 1))
        - 2 * k_xy.mean()
    )
    if n == m:  # torchmetrics takes sets of one size only
        assert abs(poly_mmd(*tensors, degree=3, gamma=None, coef=1.0) - kid) < 1e-9 * abs(kid)
    return {
        "name": name,
        "dim": dim,
        "left": {"rows": left[0], "shift": left[1]},
        "right": {"rows": right[0], "shift": right[1]},
        "frechet": frechet(a, b),
        "kernel_distance": float(kid),
        "prdc": {k: float(v) for k, v in compute_prdc(a, b, nearest_k=3).items()},
        "inception": inception_score(4 * a, 10),
        "covariance_0": np.cov(a.astype(np.float64), rowvar=False)[0].tolist(),
    }


def pair(seed, height, width):
    a, b = image(seed, height, width)
    return {
        "seed": seed,
        "height": height,
        "width": width,
        "psnr": peak_signal_noise_ratio(a, b, data_range=255),
        "ssim": structural_similarity(
            a,
            b,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=255,
            channel_axis=2,
        ),
    }


out = {
    "sets": [case(*c) for c in CASES],
    "images": [pair(5, 32, 32), pair(6, 11, 17)],
}
Path(__file__).with_name("golden.json").write_text(json.dumps(out, indent=1) + "\n")
