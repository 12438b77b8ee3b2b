"""Image data sets in the Hugging Face `datasets` Parquet layout, decoded once into memory."""

import io
import json
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image


@dataclass
class ImageSet:
    """All images of a data set as one tensor, with their classes."""

    images: torch.Tensor  # uint8, N x 3 x H x W
    classes: torch.Tensor  # int64, N
    names: list[str]  # one a class

    def balanced_order(self, generator: torch.Generator):
        """Yield image indices for ever: classes evenly, every image of a class before any comes again."""
        pools = [torch.nonzero(self.classes == c).flatten() for c in range(len(self.names))]
        pools = [p for p in pools if len(p)]
        queues: list[list[int]] = [[] for _ in pools]
        while True:
            for c in torch.randperm(len(pools), generator=generator).tolist():
                if not queues[c]:
                    queues[c] = pools[c][torch.randperm(len(pools[c]), generator=generator)].tolist()
                yield queues[c].pop()


def decode(column, size: int) -> torch.Tensor:
    """PNG bytes of a Parquet image column to uint8 N x 3 x size x size (box filter when shrinking)."""
    out = np.empty((len(column), size, size, 3), np.uint8)
    for i, cell in enumerate(column):
        image = Image.open(io.BytesIO(cell["bytes"].as_py())).convert("RGB")
        if image.size != (size, size):
            image = image.resize((size, size), Image.Resampling.BOX)
        out[i] = np.asarray(image)
    return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()


def load_emoji(path: str, size: int) -> ImageSet:
    """Emoji without skin variants; a class is a Unicode category in one drawing style (9 x 3 = 27)."""
    table = pq.read_table(path)
    keep = [not v.as_py() for v in table["skin_variant"]]
    table = table.filter(keep)
    categories = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["label"]["names"]
    styles = ["noto", "twemoji", "fluent-3d"]
    slug = [c.lower().replace(" & ", "-") for c in categories]
    names = [f"{c}/{s}" for c in slug for s in styles]
    classes = [
        label.as_py() * len(styles) + styles.index(style.as_py())
        for label, style in zip(table["label"], table["style"])
    ]
    return ImageSet(decode(table["image"], size), torch.tensor(classes), names)


def load_cifar10(path: str, size: int) -> ImageSet:
    """CIFAR-10 (Krizhevsky 2009), ten classes."""
    table = pq.read_table(path)
    meta = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["label"]
    column = "image" if "image" in table.column_names else "img"
    return ImageSet(decode(table[column], size), torch.tensor(table["label"].to_pylist()), meta["names"])


LOADERS = {"emoji": load_emoji, "cifar10": load_cifar10}
