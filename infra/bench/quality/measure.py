"""What the noise leaves of a model, beside Opacus at the same ε: `measure.py DEPA [--json] [--only covid,mnist,credit]
[--splits N] [--draws N]`.

For every scenario and split, `depa train local` trains with the trainer of the clean room, and `peer.py` lets Opacus
train on the same rows. Splits are those of fixed salts (32 equal bytes: 1, 2, …), noise that of fixed seeds, so a
figure comes out again on the same machine. Figures are exact and of the held-out part: only who owns the data may have
them. All settings of a training (steps, sampling rate, clipping norm, learning rate) are public constants that were
chosen on generated data; none is fitted to the tables that are judged here.

The tables of COVID are the published ones where ../shared/data/covid lies, and the generator's besides.
"""

import argparse
import base64
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import logistic
import rows

HERE = pathlib.Path(__file__).parent
PYTHON = pathlib.Path(".build/opacus/bin/python")
PUBLISHED = pathlib.Path("../shared/data/covid")
EPSILONS = ["0.5", "1.0", "1.5"]
# How far below the line without privacy the median may lie, and where it may not fall (decisions.md, 8).
GAP = {"0.5": 0.02, "1.0": 0.01, "1.5": 0.01}
AUC_FLOOR, ACCURACY_FLOOR = 0.85, 0.90
# Pictures: no worse than Opacus by more than this, which is what a split of 800 pictures scatters by.
PICTURE_GAP = 0.03
# The line at the same ε on the credit tables, as good as some tries on other generated borrowers made it.
LINE = {"model": {"kind": "logistic_regression"}, "steps": 60, "clipping_norm": "1", "learning_rate": "8"}


class Scenario:
    """A folder with a scenario's data, and both ways to train on it."""

    def __init__(self, depa, base, name, more=()):
        self.depa, self.path, self.said = depa, base / "-".join([name, *(["published"] if more else [])]), 0
        done = subprocess.run([depa, "scenario", "new", name, "--dir", self.path, *more], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"bench: {done.stderr.strip()}")
        self.rows = rows.Folder(self.path)

    def ours(self, split, draw, training=None):
        """One rehearsal; checks that the trainer held out the very rows that the others are judged on."""
        self.said += 1
        job = json.loads(json.dumps(self.rows.job))
        job["training"] |= (training or {}) | {"split_salt": base64url(salt(split))}
        form, out, told = (self.path / f"quality-{self.said}.{end}" for end in ("json", "safetensors", "predictions"))
        form.write_text(json.dumps(job))
        done = subprocess.run([self.depa, "train", "local", "--json", "--job", form, "--out", out, "--predictions", told,
                               "--seed", str(1000 * split + draw)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"bench: {done.stderr.strip()}")
        document = json.loads(done.stdout)
        _, _, x, y = self.rows.split(salt(split))
        same_rows(json.loads(told.read_text()), x, y)
        for file in (form, out, told):
            file.unlink()
        return document["held_out_exact_computed_here"] | {
            "noise_multiplier": float(document["plan"]["noise_multiplier"]),
            "factor": max(charge["factor"] for charge in document["plan"]["charges"])}

    def line(self, split):
        """Logistic regression without privacy."""
        train_x, train_y, x, y = self.rows.split(salt(split))
        said = logistic.scores(logistic.fitted(train_x, train_y), x)
        return {"auc": logistic.auc(said, y), "accuracy": logistic.accuracy(said, y)}


class Opacus:
    """The peer, where it is set up."""

    def __init__(self):
        self.process = None
        if PYTHON.exists():
            self.process = subprocess.Popen([PYTHON, "-B", HERE / "peer.py"], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, text=True)

    def train(self, scenario, split, draw, training=None, factor=1, private=True):
        if not self.process:
            return None
        order = {"folder": str(scenario.path), "training": training or {}, "salt": salt(split).hex(),
                 "seed": 1000 * split + draw, "factor": factor, "private": private}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            print("bench: Opacus ended; its columns stay empty", file=sys.stderr)
            self.process = None
            return None
        return json.loads(line)


def salt(split):
    return bytes([split]) * 32


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def same_rows(told, x, y):
    if len(told["labels"]) != len(y) or any(label[0] != wanted for label, wanted in zip(told["labels"], y)):
        sys.exit("bench: the trainer held out other rows than the documented split says")
    for row, wanted in zip(told["inputs"], x):
        if any(abs(a - b) > 1e-5 for a, b in zip(row, wanted)):
            sys.exit("bench: the trainer scales rows in another way than documented")


def median(found, name):
    """The median of a figure; None where nobody gave it."""
    values = [one[name] for one in found if one and one.get(name) is not None]
    return statistics.median(values) if values else None


def row(name, value, goal=None, peer=None):
    """A figure in the form of infra/bench/src/rows.rs; more is better in all that have a goal."""
    def short(number):
        return None if number is None else round(number, 4)

    return {"name": name, "value": short(value), "goal": short(goal), "peer": short(peer),
            "ratio": short(value / peer) if value is not None and peer else None,
            "met": None if goal is None or value is None else value >= goal}


def covid(depa, base, opacus, splits, draws, published):
    which = "COVID, published tables" if published else "COVID, generated tables"
    scenario = Scenario(depa, base, "covid", ["--tables", str(PUBLISHED.resolve())] if published else [])
    plain = [scenario.line(split) for split in splits]
    line = median(plain, "auc")
    found = [row(f"{which}: logistic regression without privacy, median AUC of {len(splits)} splits", line),
             row(f"{which}: its accuracy", median(plain, "accuracy"))]
    for epsilon in EPSILONS:
        print(f"bench: {which}, ε = {epsilon}", file=sys.stderr)
        asked = {"epsilon": epsilon}
        turns = [(split, draw) for split in splits for draw in range(1, draws + 1)]
        ours = [scenario.ours(split, draw, asked) for split, draw in turns]
        theirs = [opacus.train(scenario, split, draw, asked) for split, draw in turns]
        at = f"{which}, ε = {epsilon}"
        above = [one["auc"] - plain[split - 1]["auc"] for one, (split, _) in zip(ours, turns)]
        aucs = sorted(one["auc"] for one in ours)
        found += [
            row(f"{at}: median AUC of {len(splits)} splits, {draws} draws of noise each", median(ours, "auc"),
                max(AUC_FLOOR, line - GAP[epsilon]), median(theirs, "auc")),
            row(f"{at}: AUC above the line without privacy, median of pairs", statistics.median(above), -GAP[epsilon]),
            row(f"{at}: least AUC", aucs[0]),
            row(f"{at}: greatest AUC", aucs[-1]),
            row(f"{at}: median accuracy", median(ours, "accuracy"), ACCURACY_FLOOR, median(theirs, "accuracy")),
            row(f"{at}: noise multiplier", median(ours, "noise_multiplier"), peer=median(theirs, "noise_multiplier")),
        ]
    return found


def credit(depa, base, opacus, splits):
    print("bench: credit risk", file=sys.stderr)
    scenario = Scenario(depa, base, "credit-risk")
    epsilon = scenario.rows.job["training"]["epsilon"]
    trees = [scenario.ours(split, 1) for split in splits]
    lines = [scenario.ours(split, 1, LINE) for split in splits]
    theirs = [opacus.train(scenario, split, 1, LINE, factor=lines[0]["factor"]) for split in splits]
    at, of = f"credit risk, generated tables, ε = {epsilon}", f"median AUC of {len(splits)} splits"
    return [
        row(f"{at}: boosted trees, {of}", median(trees, "auc"), median(lines, "auc"), median(theirs, "auc")),
        row(f"{at}: the linear model, {of}", median(lines, "auc"), peer=median(theirs, "auc")),
        row(f"{at}: logistic regression without privacy, {of}", median([scenario.line(s) for s in splits], "auc")),
        row(f"{at}: noise multiplier of the linear model, doubled by the left joins", median(lines, "noise_multiplier"),
            peer=median(theirs, "noise_multiplier")),
    ]


def mnist(depa, base, opacus, splits):
    print("bench: MNIST", file=sys.stderr)
    scenario = Scenario(depa, base, "mnist")
    training = scenario.rows.job["training"]
    ours = [scenario.ours(split, 1) for split in splits]
    theirs = [opacus.train(scenario, split, 1) for split in splits]
    plain = [opacus.train(scenario, split, 1, private=False) for split in splits]
    at, peer = f"MNIST, generated digits, ε = {training['epsilon']}", median(theirs, "accuracy")
    return [
        row(f"{at}: CNN, median accuracy of {len(splits)} splits", median(ours, "accuracy"),
            None if peer is None else peer - PICTURE_GAP, peer),
        row(f"{at}: macro F1", median(ours, "macro_f1")),
        row(f"{at}: noise multiplier", median(ours, "noise_multiplier"), peer=median(theirs, "noise_multiplier")),
        row("MNIST, generated digits: the same CNN in torch without privacy, as many steps (peer)", None,
            peer=median(plain, "accuracy")),
    ]


def table(found):
    def text(value):
        return "–" if value is None else str(value)

    wide = max(len(one["name"]) for one in found)
    lines = [f"{'figure':<{wide}} {'value':>8} {'goal':>8} {'Opacus':>8} {'ratio':>7}  met"]
    for r in found:
        met = {None: "–", True: "yes", False: "no"}[r["met"]]
        lines.append(f"{r['name']:<{wide}} {text(r['value']):>8} {text(r['goal']):>8} {text(r['peer']):>8} "
                     f"{text(r['ratio']):>7}  {met}")
    return "\n".join(lines)


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("depa", help="the program depa, with ccr-trainer and trainer-evaluate beside it")
    words.add_argument("--json", action="store_true", help="one JSON document on the last line")
    words.add_argument("--only", default="covid,credit,mnist", help="parts by name, separated by commas")
    words.add_argument("--splits", type=int, default=10, help="splits of tables; pictures have at most three")
    words.add_argument("--draws", type=int, default=3, help="draws of noise for each split of COVID")
    asked = words.parse_args()
    parts, known = asked.only.split(","), ["covid", "credit", "mnist"]
    if unknown := [part for part in parts if part not in known]:
        words.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    splits, depa, found = range(1, asked.splits + 1), pathlib.Path(asked.depa).resolve(), []
    opacus = Opacus()
    with tempfile.TemporaryDirectory(prefix="depa-quality-") as folder:
        base = pathlib.Path(folder)
        if "covid" in parts:
            if PUBLISHED.is_dir():
                found += covid(depa, base, opacus, splits, asked.draws, published=True)
            else:
                print(f"NOT RUN COVID, published tables: {PUBLISHED} is absent", file=sys.stderr)
            found += covid(depa, base, opacus, splits, asked.draws, published=False)
        if "credit" in parts:
            found += credit(depa, base, opacus, splits)
        if "mnist" in parts:
            found += mnist(depa, base, opacus, splits[:3])
    print(json.dumps({"area": "quality", "rows": found}) if asked.json else table(found))


if __name__ == "__main__":
    main()
