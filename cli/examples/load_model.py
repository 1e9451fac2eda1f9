"""Load a model of `depa` in Python, and hold it against what the trainer says.

    depa train local --job job.toml --out model.safetensors --predictions predictions.json
    python load_model.py --job job.toml --model model.safetensors --predictions predictions.json

Needs numpy and safetensors (Python 3.11 or later). A model is a safetensors file: named tensors, no code. Inputs are
scaled to [-1, 1] by the public bounds of each column: x = 2 (cell - lower) / (upper - lower) - 1, cells clamped before,
missing ones 0. Prints the largest difference of any output, and ends with 1 where it is above 1e-5.
"""

import argparse
import json
import tomllib

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from safetensors.numpy import load_file


def convolve(x, weight, bias, layer):
    pad, stride, kernel = layer["padding"], layer["stride"], layer["kernel"]
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = sliding_window_view(x, (kernel, kernel), axis=(2, 3))[:, :, ::stride, ::stride]
    y = np.einsum("nchwkl,ockl->nohw", windows, weight, optimize=True)
    return y if bias is None else y + bias[:, None, None]


def normalise(x, weight, bias, groups):
    n, c, h, w = x.shape
    grouped = x.reshape(n, groups, -1)
    grouped = (grouped - grouped.mean(2, keepdims=True)) / np.sqrt(grouped.var(2, keepdims=True) + 1e-5)
    return grouped.reshape(n, c, h, w) * weight[:, None, None] + bias[:, None, None]


def enlarge(x, factor, axis):
    """Linear interpolation along one axis, between the centres of pixels."""
    size = x.shape[axis]
    at = np.clip((np.arange(size * factor) + 0.5) / factor - 0.5, 0, None)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, size - 1)
    part = (at - low).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    return np.take(x, low, axis) * (1 - part) + np.take(x, high, axis) * part


def forward(layers, tensors, x, prefix=""):
    """The output of a network's layers; parameters are named by the path of their layer."""
    for place, layer in enumerate(layers):
        name, op = f"{prefix}{place}", layer["op"]
        weight, bias = tensors.get(f"{name}.weight"), tensors.get(f"{name}.bias")
        if op == "linear":
            x = x @ weight.T + (0 if bias is None else bias)
        elif op == "conv2d":
            x = convolve(x, weight, bias, layer)
        elif op == "group_norm":
            x = normalise(x, weight, bias, layer["groups"])
        elif op == "max_pool":
            size, stride = layer["kernel"], layer["stride"]
            x = sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride].max((4, 5))
        elif op == "upsample" and layer["mode"] == "bilinear":
            x = enlarge(enlarge(x, layer["factor"], 2), layer["factor"], 3)
        elif op == "skip":
            body = forward(layer["body"], tensors, x, f"{name}.body.")
            x = np.concatenate([x, body] if layer["input_first"] else [body, x], axis=1)
        elif op == "leaky_relu":
            x = np.where(x > 0, x, float(layer["slope"]) * x)
        elif op == "flatten":
            x = x.reshape(len(x), -1)
        elif op in ("tanh", "relu", "sigmoid"):
            x = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0), "sigmoid": lambda x: 1 / (1 + np.exp(-x))}[op](x)
        else:
            raise SystemExit(f"this example does not know the layer {op}")
    return x


def trees(tensors, x):
    """The sum of one leaf of each tree; splits lie in heap order."""
    feature, threshold, leaf = (tensors[f"trees.{part}"] for part in ("feature", "threshold", "leaf"))
    logits = np.zeros(len(x))
    for splits, bounds, leaves in zip(feature.astype(int), threshold, leaf):
        at = np.zeros(len(x), dtype=int)
        while (at < len(splits)).all():
            at = 2 * at + 1 + (x[np.arange(len(x)), splits[at]] >= bounds[at])
        logits += leaves[at - len(splits)]
    return logits[:, None]


def predict(model, tensors, x):
    """The outputs of a model of a job's form for rows of scaled inputs."""
    if model["kind"] == "trees":
        return trees(tensors, x.astype(np.float32))
    if model["kind"] == "network":
        shape = model["network"]["input"]
        if shape["kind"] == "image":
            x = x.reshape(len(x), shape["channels"], shape["height"], shape["width"])
        return forward(model["network"]["layers"], tensors, x)
    # Logistic regression and mlp: linear layers at the even places, tanh between.
    layers = sorted(int(name.split(".")[0]) for name in tensors if name.endswith(".weight"))
    for place in layers:
        x = x @ tensors[f"{place}.weight"].T + tensors[f"{place}.bias"]
        x = np.tanh(x) if place != layers[-1] else x
    return x


def main():
    arguments = argparse.ArgumentParser()
    for name in ("job", "model", "predictions"):
        arguments.add_argument(f"--{name}", required=True)
    given = arguments.parse_args()
    with open(given.job, "rb") as file:
        model = tomllib.load(file)["training"]["model"]
    tensors = {name: tensor.astype(np.float64) for name, tensor in load_file(given.model).items()}
    with open(given.predictions, encoding="utf-8") as file:
        said = json.load(file)
    x = np.array(said["inputs"], dtype=np.float64)
    outputs = predict(model, tensors, x).reshape(len(x), -1)
    apart = np.abs(outputs - np.array(said["outputs"])[: len(x)]).max()
    print(f"{len(x)} rows, {sum(t.size for t in tensors.values())} numbers, largest difference {apart:.2e}")
    raise SystemExit(0 if apart <= 1e-5 else 1)


if __name__ == "__main__":
    main()
