"""Opacus's model of one split of a scenario, on request: the same rows, network, optimiser, clipping norm, sampling rate
and steps; its own noise multiplier for the same (ε, δ), its own gradients, clipping and noise.

Every line on stdin is a JSON object {folder, training, salt, seed, factor, private}; `training` goes before that of the
folder's job, `salt` is in hexadecimal, `factor` multiplies the noise (2 where a principal's leaving changes a row). It is
answered by one line {auc or accuracy, noise_multiplier}.
"""

import json
import pathlib
import sys
import warnings

warnings.filterwarnings("ignore")
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "opacus"))

import torch  # noqa: E402
from opacus import GradSampleModule  # noqa: E402
from opacus.accountants.utils import get_noise_multiplier  # noqa: E402
from opacus.optimizers import DPOptimizer  # noqa: E402
from opacus.utils.uniform_sampler import UniformWithReplacementSampler  # noqa: E402
from peer import module  # noqa: E402
from torch import nn  # noqa: E402

import logistic  # noqa: E402
import rows  # noqa: E402


def network(training, features):
    """The model as torch has it; a line starts at 0, as ours does."""
    model = training["model"]
    if model["kind"] == "network":
        return module(model["network"]["layers"], private=True)
    line = nn.Linear(features, 1)
    nn.init.zeros_(line.weight)
    nn.init.zeros_(line.bias)
    return line


def optimiser(training, parameters):
    rate, asked = float(training["learning_rate"]), training.get("recipe", {}).get("optimizer", {"kind": "sgd"})
    if asked["kind"] == "adam":
        return torch.optim.Adam(parameters, lr=rate, betas=(float(asked["beta1"]), float(asked["beta2"])),
                                eps=float(asked["epsilon"]))
    return torch.optim.SGD(parameters, lr=rate)


def answer(order, folder):
    training = folder.job["training"] | order["training"]
    classes = "labels" in training
    torch.manual_seed(order["seed"])
    train_x, train_y, x, y = folder.split(bytes.fromhex(order["salt"]))
    shape = training["model"].get("network", {}).get("input")
    size = [-1, *[shape[part] for part in ("channels", "height", "width")]] if shape else [-1, len(x[0])]
    tensor = lambda values: torch.tensor(values, dtype=torch.float32).reshape(size)  # noqa: E731
    train_x, x = tensor(train_x), tensor(x)
    train_y = torch.tensor(train_y, dtype=torch.long if classes else torch.float32)
    rate, steps = float(training["sample_rate"]), training["steps"]
    model = network(training, len(x[0]))
    criterion = nn.CrossEntropyLoss() if classes else lambda said, is_: nn.functional.binary_cross_entropy_with_logits(
        said.squeeze(1), is_)
    optimizer, noise = optimiser(training, model.parameters()), None
    if order["private"]:
        noise = order["factor"] * get_noise_multiplier(
            target_epsilon=float(training["epsilon"]), target_delta=float(training["delta"]), sample_rate=rate,
            steps=steps, accountant="rdp")
        model = GradSampleModule(model)
        optimizer = DPOptimizer(optimizer, noise_multiplier=noise, max_grad_norm=float(training["clipping_norm"]),
                                expected_batch_size=rate * len(train_x))
    sampler = UniformWithReplacementSampler(num_samples=len(train_x), sample_rate=rate, steps=steps)
    for chosen in sampler:
        optimizer.zero_grad()
        criterion(model(train_x[chosen]), train_y[chosen]).backward()
        optimizer.step()
    with torch.no_grad():
        said = model(x)
    if classes:
        return {"accuracy": (said.argmax(1) == torch.tensor(y)).double().mean().item(), "noise_multiplier": noise}
    said = said.squeeze(1).tolist()
    return {"auc": logistic.auc(said, y), "accuracy": logistic.accuracy(said, y), "noise_multiplier": noise}


def main():
    # Waiting threads spin, and on a busy machine hold each other up a hundredfold; nothing is timed here.
    torch.set_num_threads(1)
    folders = {}
    for line in sys.stdin:
        order = json.loads(line)
        path = order["folder"]
        if path not in folders:
            folders[path] = rows.Folder(pathlib.Path(path))
        print(json.dumps(answer(order, folders[path])), flush=True)


if __name__ == "__main__":
    main()
