"""Loss curve and sample grid."""

from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402


def plot_loss(history: list[tuple[int, float]], path: Path) -> None:
    """Loss over images seen, with a running mean."""
    if not history:
        return
    images, loss = np.array(history).T
    width = max(1, len(loss) // 50)
    smooth = np.convolve(loss, np.ones(width) / width, mode="valid")
    figure, axes = plt.subplots(figsize=(7, 4))
    axes.plot(images, loss, color="0.8", linewidth=0.8, label="mean of 50 steps")
    axes.plot(images[width - 1 :], smooth, label="running mean")
    axes.set_xlabel("training images")
    axes.set_ylabel("weighted velocity error")
    axes.set_yscale("log")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def save_grid(images: torch.Tensor, path: Path, columns: int, scale: int = 2) -> None:
    """uint8 N x 3 x H x W as one PNG, `columns` wide, each pixel `scale` pixels."""
    n, c, h, w = images.shape
    rows = -(-n // columns)
    sheet = np.full((rows * (h + 2) + 2, columns * (w + 2) + 2, c), 200, np.uint8)
    for i, image in enumerate(images.permute(0, 2, 3, 1).numpy()):
        y, x = divmod(i, columns)
        sheet[y * (h + 2) + 2 : y * (h + 2) + 2 + h, x * (w + 2) + 2 : x * (w + 2) + 2 + w] = image
    Image.fromarray(sheet).resize((sheet.shape[1] * scale, sheet.shape[0] * scale), Image.Resampling.NEAREST).save(path)
