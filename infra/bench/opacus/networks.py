"""The networks that are measured, as the project's own data (schemas::network), and how large their batches are.

Both sides read the same description: `peer.py` makes torch modules of it, `trainer-bench` gives it to the trainer.
"""


def linear(inputs, outputs):
    return {"op": "linear", "inputs": inputs, "outputs": outputs, "bias": True}


def conv(channels_in, channels_out, kernel, stride=1, padding=0, bias=True):
    return {"op": "conv2d", "channels_in": channels_in, "channels_out": channels_out, "kernel": kernel,
            "stride": stride, "padding": padding, "bias": bias}


def norm(channels):
    return {"op": "group_norm", "groups": 8, "channels": channels}


def op(name, **sizes):
    return {"op": name, **sizes}


RELU, TANH, GELU, FLATTEN = op("relu"), op("tanh"), op("gelu"), op("flatten")


def image(channels, side):
    return {"kind": "image", "channels": channels, "height": side, "width": side}


def mnist_cnn():
    """26,010 parameters: two strided convolutions with overlapping pools, two linear layers."""
    pool = op("max_pool", kernel=2, stride=1)
    layers = [conv(1, 16, 8, 2, 3), RELU, pool, conv(16, 32, 4, 2), RELU, pool, FLATTEN, linear(512, 32), RELU,
              linear(32, 10)]
    return {"input": image(1, 28), "layers": layers}


def cifar_cnn():
    """550,570 parameters: three pairs of 3 × 3 convolutions with tanh."""
    layers = []
    for inner, outer in [(3, 32), (32, 64), (64, 128)]:
        layers += [conv(inner, outer, 3, 1, 1), TANH, conv(outer, outer, 3, 1, 1), TANH,
                   op("max_pool", kernel=2, stride=2)]
    return {"input": image(3, 32), "layers": layers + [FLATTEN, linear(2048, 128), TANH, linear(128, 10)]}


def resnet20():
    """ResNet-20 for images of 32 × 32, with GroupNorm of 8 groups in place of BatchNorm."""
    layers, inner = [conv(3, 16, 3, 1, 1, bias=False), norm(16), RELU], 16
    for outer in (16, 32, 64):
        for block in range(3):
            stride = 2 if block == 0 and outer != inner else 1
            body = [conv(inner, outer, 3, stride, 1, bias=False), norm(outer), RELU,
                    conv(outer, outer, 3, 1, 1, bias=False), norm(outer)]
            shortcut = [] if inner == outer else [conv(inner, outer, 1, stride, 0, bias=False), norm(outer)]
            layers += [op("residual", body=body, shortcut=shortcut), RELU]
            inner = outer
    return {"input": image(3, 32), "layers": layers + [op("global_average_pool"), linear(64, 10)]}


def transformer():
    """Two blocks of width 128 with four heads over 64 tokens of 5,000."""
    block = [op("residual", body=[op("layer_norm", width=128), op("attention", width=128, heads=4, causal=False)],
                shortcut=[]),
             op("residual", body=[op("layer_norm", width=128), linear(128, 512), GELU, linear(512, 128)], shortcut=[])]
    layers = [op("embedding", count=5000, width=128), *block, *block, op("layer_norm", width=128), op("mean_tokens"),
              linear(128, 2)]
    return {"input": {"kind": "tokens", "length": 64, "vocabulary": 5000}, "layers": layers}


def lstm():
    """One LSTM layer 64 → 128 over 32 tokens of 2,000."""
    layers = [op("embedding", count=2000, width=64), op("lstm", inputs=64, hidden=128), op("last_token"),
              linear(128, 2)]
    return {"input": {"kind": "tokens", "length": 32, "vocabulary": 2000}, "layers": layers}


def mlp():
    """28-256-256-2, as for tables."""
    return {"input": {"kind": "vector", "features": 28},
            "layers": [linear(28, 256), TANH, linear(256, 256), TANH, linear(256, 2)]}


def logistic():
    """28 → 2."""
    return {"input": {"kind": "vector", "features": 28}, "layers": [linear(28, 2)]}


# name: (the network, its batch, how many classes the last layer tells apart)
ALL = {
    "mnist-cnn-256": (mnist_cnn(), 256, 10),
    "mnist-cnn-1024": (mnist_cnn(), 1024, 10),
    "cifar-cnn-256": (cifar_cnn(), 256, 10),
    "resnet20-256": (resnet20(), 256, 10),
    "transformer-64": (transformer(), 64, 2),
    "lstm-64": (lstm(), 64, 2),
    "mlp-256": (mlp(), 256, 2),
    "mlp-1024": (mlp(), 1024, 2),
    "logistic-256": (logistic(), 256, 2),
}
