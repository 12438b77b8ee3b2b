#!/usr/bin/env python3
"""Writes what the tests of this folder read: a tiny extractor, a small data set, and what others make of both.

    pip install numpy pillow onnx onnxruntime pyarrow
    python crates/evaluate/tests/data/make.py

tiny.onnx        two convolutions, a mean and a linear layer; `feat` of 12 values, `logits` of 5; weights by a seed.
                 Its convolutions state no kernel_shape, as the format allows.
images.parquet   48 pictures of 16 x 16 pixels as Hugging Face packs them, every fourth a skin variant
picture.jpg      one of them
golden.json      Pillow's and ONNX Runtime's figures: resized pictures, shrunk pictures, features
"""

import io
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

HERE = Path(__file__).parent
rng = np.random.default_rng(7)


def extractor() -> onnx.ModelProto:
    def weights(name, *shape):
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 4
        return numpy_helper.from_array((rng.normal(size=shape) / np.sqrt(fan_in)).astype(np.float32), name)

    initializers = [
        weights("w0", 8, 3, 3, 3),
        weights("b0", 8),
        weights("w1", 12, 8, 1, 1),
        weights("b1", 12),
        weights("w2", 5, 12),
        weights("b2", 5),
        numpy_helper.from_array(np.float32(0), "zero"),
        numpy_helper.from_array(np.float32(6), "six"),
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["c0"], auto_pad="SAME_UPPER", strides=[2, 2]),
        helper.make_node("Clip", ["c0", "zero", "six"], ["r0"]),
        helper.make_node("Conv", ["r0", "w1", "b1"], ["c1"]),
        helper.make_node("Sigmoid", ["c1"], ["r1"]),
        helper.make_node("GlobalAveragePool", ["r1"], ["gap"]),
        helper.make_node("Flatten", ["gap"], ["feat"]),
        helper.make_node("Gemm", ["feat", "w2", "b2"], ["logits"], transB=1),
    ]
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [value("x", ["n", 3, "h", "w"])],
        [value("feat", ["n", 12]), value("logits", ["n", 5])],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def picture() -> np.ndarray:
    """A disc of one colour over another: 16 x 16."""
    y, x = np.mgrid[:16, :16]
    cy, cx, r = rng.uniform(4, 12), rng.uniform(4, 12), rng.uniform(2, 7)
    inside = ((y - cy) ** 2 + (x - cx) ** 2 < r * r)[..., None]
    return np.where(inside, rng.integers(0, 256, 3), rng.integers(0, 256, 3)).astype(np.uint8)


def png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def pillow(pixels: np.ndarray, size: list[int], kind: Image.Resampling) -> np.ndarray:
    """Resized in floating point, as clean-fid: 3 x height x width."""
    planes = [Image.fromarray(pixels[..., c].astype(np.float32), mode="F") for c in range(3)]
    return np.stack([np.asarray(p.resize(size[::-1], kind)) for p in planes])


def runtime(pixels: np.ndarray, size: list[int], places: str) -> np.ndarray:
    """Resized by ONNX Runtime; `places` is half_pixel for PyTorch's grid and asymmetric for TensorFlow's first."""
    sizes = numpy_helper.from_array(np.array([1, 3, *size], np.int64), "sizes")
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear", coordinate_transformation_mode=places)
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, "h", "w"])
    graph = helper.make_graph([node], "resize", [value("x")], [value("y")], [sizes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": pixels.transpose(2, 0, 1)[None].astype(np.float32)})[0][0]


model = extractor()
(HERE / "tiny.onnx").write_bytes(model.SerializeToString())
session = onnxruntime.InferenceSession(model.SerializeToString())

pictures = [picture() for _ in range(48)]
table = pa.table(
    {
        "image": [{"bytes": png(p), "path": f"{i}.png"} for i, p in enumerate(pictures)],
        "label": [i % 3 for i in range(48)],
        "style": ["noto" if i % 2 else "twemoji" for i in range(48)],
        "skin_variant": [i % 4 == 3 for i in range(48)],
    }
)
pq.write_table(table, HERE / "images.parquet", compression="zstd", row_group_size=20)
Image.fromarray(pictures[0]).save(HERE / "picture.jpg", quality=95, subsampling=0)

noise = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
resized = []
for size in [[11, 13], [3, 4], [5, 9]]:
    ways = {
        "bicubic": pillow(noise, size, Image.Resampling.BICUBIC).clip(0, 255),
        "bilinear": pillow(noise, size, Image.Resampling.BILINEAR),
        "bilinear-torch": runtime(noise, size, "half_pixel"),
        "bilinear-tensorflow1": runtime(noise, size, "asymmetric"),
    }
    resized += [{"size": size, "resize": k, "planes": v.round(4).flatten().tolist()} for k, v in ways.items()]

large = rng.integers(0, 256, (12, 18, 3)).astype(np.uint8)
shrunk = [
    {
        "factor": f,
        "pixels": np.asarray(Image.fromarray(large).resize((18 // f, 12 // f), Image.Resampling.BOX)).flatten().tolist(),
    }
    for f in [2, 3, 6]
]

features = []
for p in pictures[:3]:
    x = (pillow(p, [24, 24], Image.Resampling.BICUBIC).clip(0, 255) - 127) / 128
    feat, logits = session.run(["feat", "logits"], {"x": x[None].astype(np.float32)})
    features.append({"features": feat[0].tolist(), "logits": logits[0].tolist()})

golden = {
    "noise": noise.flatten().tolist(),
    "resized": resized,
    "large": large.flatten().tolist(),
    "shrunk": shrunk,
    "pixels": [p.flatten().tolist() for p in pictures[:2]],
    "features": features,
}
(HERE / "golden.json").write_text(json.dumps(golden) + "\n")
