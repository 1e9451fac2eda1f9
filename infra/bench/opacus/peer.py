"""Steps of one network in torch, without privacy or in one of Opacus's modes, on request.

The first line on stdin is a JSON object {network, batch, classes, threads, mode, device}; mode is `plain`, `hooks`,
`functorch`, `ew` or `ghost`, device `cpu` (where it is left out) or `cuda`. Then every line is a number of steps to take; each is answered by one line of JSON
{cpu_ms, wall_ms} for one step of them. The end of stdin is answered by {peak_kib, start_kib}. The batch is random, fixed and
never leaves memory, so that nothing but the step is measured: forward, backward, clipping, noise, SGD.
"""

import json
import sys
import time
import warnings

warnings.filterwarnings("ignore")

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional  # noqa: E402
from torch.utils.data import DataLoader, TensorDataset  # noqa: E402
from opacus import PrivacyEngine  # noqa: E402
from opacus.layers import DPLSTM  # noqa: E402


def peak_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


class Attention(nn.Module):
    def __init__(self, width, heads, causal):
        super().__init__()
        self.qkv, self.proj, self.heads, self.causal = nn.Linear(width, 3 * width), nn.Linear(width, width), heads, causal

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (part.reshape(batch, length, self.heads, -1).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.proj(y.transpose(1, 2).reshape(batch, length, width))


class Residual(nn.Module):
    def __init__(self, body, shortcut):
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x):
        return self.body(x) + self.shortcut(x)


class States(nn.Module):
    """An LSTM that gives its states only; torch's fused one, or Opacus's own where gradients of samples are asked for."""

    def __init__(self, inputs, hidden, private):
        super().__init__()
        self.lstm = (DPLSTM if private else nn.LSTM)(inputs, hidden, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


class MeanTokens(nn.Module):
    def forward(self, x):
        return x.mean(1)


class LastToken(nn.Module):
    def forward(self, x):
        return x[:, -1]


def module(layers, private):
    return nn.Sequential(*[layer(sizes, private) for sizes in layers])


def layer(s, private):
    match s["op"]:
        case "linear":
            return nn.Linear(s["inputs"], s["outputs"], bias=s["bias"])
        case "conv2d":
            return nn.Conv2d(s["channels_in"], s["channels_out"], s["kernel"], s["stride"], s["padding"], bias=s["bias"])
        case "group_norm":
            return nn.GroupNorm(s["groups"], s["channels"])
        case "layer_norm":
            return nn.LayerNorm(s["width"])
        case "embedding":
            return nn.Embedding(s["count"], s["width"])
        case "attention":
            return Attention(s["width"], s["heads"], s["causal"])
        case "lstm":
            return States(s["inputs"], s["hidden"], private)
        case "residual":
            shortcut = module(s["shortcut"], private) if s["shortcut"] else nn.Identity()
            return Residual(module(s["body"], private), shortcut)
        case "max_pool":
            return nn.MaxPool2d(s["kernel"], s["stride"])
        case "global_average_pool":
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    simple = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "flatten": nn.Flatten, "mean_tokens": MeanTokens,
              "last_token": LastToken}
    return simple[s["op"]]()


def random_batch(shape, batch, classes):
    torch.manual_seed(7)
    if shape["kind"] == "tokens":
        x = torch.randint(0, shape["vocabulary"], (batch, shape["length"]))
    else:
        x = torch.randn(batch, *[shape[size] for size in ("features", "channels", "height", "width") if size in shape])
    return x, torch.randint(0, classes, (batch,))


def stepper(order):
    """What takes one step, as a user writes it."""
    network, mode, device = order["network"], order["mode"], order.get("device", "cpu")
    x, y = random_batch(network["input"], order["batch"], order["classes"])
    torch.manual_seed(1)
    model, criterion = module(network["layers"], mode != "plain").to(device), nn.CrossEntropyLoss()
    x, y = x.to(device), y.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    if mode != "plain":
        parts = PrivacyEngine().make_private(
            module=model, optimizer=optimizer, criterion=criterion, noise_multiplier=1.0, max_grad_norm=1.0,
            data_loader=DataLoader(TensorDataset(x, y), batch_size=order["batch"]), poisson_sampling=False,
            grad_sample_mode=mode)
        model, optimizer = parts[0], parts[1]
        criterion = parts[2] if mode == "ghost" else criterion

    def step():
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()

    return step


def main():
    order = json.loads(sys.stdin.readline())
    torch.set_num_threads(order["threads"])
    start = peak_kib()
    step, card = stepper(order), order.get("device") == "cuda"
    for line in sys.stdin:
        steps = int(line)
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            step()
        if card:
            torch.cuda.synchronize()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        print(json.dumps({"cpu_ms": cpu * 1e3 / steps, "wall_ms": wall * 1e3 / steps}), flush=True)
    print(json.dumps({"peak_kib": peak_kib(), "start_kib": start}), flush=True)


if __name__ == "__main__":
    main()
