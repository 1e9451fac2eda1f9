"""Load a model of `depa` in Python: what it is made of and, beside a rehearsal, whether it says what the trainer says.

    python load_model.py --job job.toml --model model.safetensors
    depa train local --job job.toml --out model.safetensors --predictions predictions.json
    python load_model.py --job job.toml --model model.safetensors --predictions predictions.json

Needs numpy and safetensors (Python 3.11 or later). A model is a safetensors file: named tensors, no code; the form of
its job says what they mean. Prints each layer with its tensors and how many numbers they hold. With `--predictions`,
which only `depa train local` writes, it also works out the model's outputs for those rows, prints the largest
difference of any output, and ends with 1 where it is above 1e-5. For rows of your own call `predict`.

Inputs are scaled to [-1, 1] by the public bounds of each column: x = 2 (cell - lower) / (upper - lower) - 1, cells
clamped before, missing ones 0. Tokens are not scaled: they are clamped and rounded, missing ones the lower bound.
"""

import argparse
import json
import math
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


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gelu(x):
    return x * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2))) / 2


def normalise_last(x, weight, bias):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * weight + bias


def embed(x, table):
    """Rows of a table; a token outside it counts as 0."""
    return table[np.where((x >= 0) & (x < len(table)), x, 0).astype(int)]


def attend(x, tensors, name, heads, causal):
    """softmax(Q K^T / sqrt(d)) V by head, between two linear layers; the first gives Q, K and V side by side."""
    rows, length, width = x.shape
    qkv = x @ tensors[f"{name}.qkv.weight"].T + tensors[f"{name}.qkv.bias"]
    q, k, v = qkv.reshape(rows, length, 3, heads, width // heads).transpose(2, 0, 3, 1, 4)
    scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(width // heads)
    if causal:
        scores = np.where(np.tri(length, dtype=bool), scores, -np.inf)
    shares = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = shares / shares.sum(-1, keepdims=True) @ v
    mixed = mixed.transpose(0, 2, 1, 3).reshape(rows, length, width)
    return mixed @ tensors[f"{name}.proj.weight"].T + tensors[f"{name}.proj.bias"]


def remember(x, tensors, name, hidden):
    """All hidden states of an LSTM from zero states; gates in the order i, f, g, o."""
    h = c = np.zeros((len(x), hidden))
    states = []
    for t in range(x.shape[1]):
        gates = x[:, t] @ tensors[f"{name}.ih.weight"].T + tensors[f"{name}.ih.bias"]
        gates = gates + h @ tensors[f"{name}.hh.weight"].T + tensors[f"{name}.hh.bias"]
        i, f, g, o = np.split(gates, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        states.append(h)
    return np.stack(states, axis=1)


def windows(x, size, stride):
    return sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]


SIMPLE = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "gelu": gelu,
    "sigmoid": sigmoid,
    "silu": lambda x: x * sigmoid(x),
    "flatten": lambda x: x.reshape(len(x), -1),
    "global_average_pool": lambda x: x.mean((2, 3)),
    "mean_tokens": lambda x: x.mean(1),
    "last_token": lambda x: x[:, -1],
}
OTHERS = ("linear", "conv2d", "group_norm", "layer_norm", "embedding", "positions", "attention", "lstm", "leaky_relu",
          "max_pool", "avg_pool", "upsample", "residual", "skip")


def paths(layers, prefix=""):
    """Each layer's path and operation, a body after the layer that holds it; an unknown operation ends the program."""
    for place, layer in enumerate(layers):
        name, op = f"{prefix}{place}", layer["op"]
        if op not in SIMPLE and op not in OTHERS:
            raise SystemExit(f"this example does not know the layer {op} (at {name})")
        yield name, op
        for part in ("body", "shortcut"):
            yield from paths(layer.get(part, []), f"{name}.{part}.")


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
        elif op == "layer_norm":
            x = normalise_last(x, weight, bias)
        elif op == "embedding":
            x = embed(x, weight)
        elif op == "positions":
            x = x + weight
        elif op == "attention":
            x = attend(x, tensors, name, layer["heads"], layer["causal"])
        elif op == "lstm":
            x = remember(x, tensors, name, layer["hidden"])
        elif op == "max_pool":
            x = windows(x, layer["kernel"], layer["stride"]).max((4, 5))
        elif op == "avg_pool":
            x = windows(x, layer["kernel"], layer["stride"]).mean((4, 5))
        elif op == "upsample" and layer["mode"] == "nearest":
            x = x.repeat(layer["factor"], axis=2).repeat(layer["factor"], axis=3)
        elif op == "upsample" and layer["mode"] == "bilinear":
            x = enlarge(enlarge(x, layer["factor"], 2), layer["factor"], 3)
        elif op == "residual":
            body = forward(layer["body"], tensors, x, f"{name}.body.")
            x = body + forward(layer["shortcut"], tensors, x, f"{name}.shortcut.")
        elif op == "skip":
            body = forward(layer["body"], tensors, x, f"{name}.body.")
            x = np.concatenate([x, body] if layer["input_first"] else [body, x], axis=1)
        elif op == "leaky_relu":
            x = np.where(x > 0, x, float(layer["slope"]) * x)
        elif op in SIMPLE:
            x = SIMPLE[op](x)
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
        elif shape["kind"] == "sequence":
            x = x.reshape(len(x), shape["length"], shape["width"])
        return forward(model["network"]["layers"], tensors, x)
    # Logistic regression and mlp: linear layers at the even places, tanh between.
    layers = sorted(int(name.split(".")[0]) for name in tensors if name.endswith(".weight"))
    for place in layers:
        x = x @ tensors[f"{place}.weight"].T + tensors[f"{place}.bias"]
        x = np.tanh(x) if place != layers[-1] else x
    return x


def load(job, path):
    """A model's description and its tensors, in double precision, low-rank adapters added to what they adapt."""
    with open(job, "rb") as file:
        training = tomllib.load(file)["training"]
    tensors = {name: tensor.astype(np.float64) for name, tensor in load_file(path).items()}
    for name in [name for name in tensors if name.endswith(".lora_a")]:
        target, adapters = name.removesuffix(".lora_a"), training["recipe"]["adapters"]
        low, high = tensors.pop(name), tensors.pop(f"{target}.lora_b")
        tensors[f"{target}.weight"] += float(adapters["alpha"]) / adapters["rank"] * (high @ low)
    return training["model"], tensors


def describe(model, tensors):
    """Prints the layers, their tensors and how many numbers these hold."""
    kind, left = model["kind"], dict(tensors)
    print(kind)
    for name, op in paths(model["network"]["layers"]) if kind == "network" else []:
        parts = ("weight", "bias", "qkv.weight", "qkv.bias", "proj.weight", "proj.bias", "ih.weight", "ih.bias",
                 "hh.weight", "hh.bias")
        own = {part: left.pop(f"{name}.{part}").shape for part in parts if f"{name}.{part}" in left}
        print(f"  {name} {op}", ", ".join(f"{part} {list(shape)}" for part, shape in own.items()))
    if kind == "network" and left:
        raise SystemExit(f"the job's network has no layer for {', '.join(sorted(left))}")
    for name, tensor in left.items():
        print(f"  {name} {list(tensor.shape)}")
    print(f"{sum(t.size for t in tensors.values())} numbers in {len(tensors)} tensors")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--job", required=True, help="the job's form")
    arguments.add_argument("--model", required=True, help="the model as `depa` wrote it")
    arguments.add_argument("--predictions", help="what `depa train local` wrote: rows to predict, and what was said")
    given = arguments.parse_args()
    model, tensors = load(given.job, given.model)
    describe(model, tensors)
    if given.predictions is None:
        return
    with open(given.predictions, encoding="utf-8") as file:
        said = json.load(file)
    x = np.array(said["inputs"], dtype=np.float64)
    outputs = predict(model, tensors, x).reshape(len(x), -1)
    apart = np.abs(outputs - np.array(said["outputs"])[: len(x)]).max()
    print(f"{len(x)} rows, largest difference {apart:.2e}")
    raise SystemExit(0 if apart <= 1e-5 else 1)


if __name__ == "__main__":
    main()
