"""Private training beside Opacus, in one run: `measure.py TRAINER_BENCH [--json] [--only NAME,…] [--steps N] [--threads 2,1]
[--untuned] [--device cpu|cuda]`.

For every network and thread count, a process for each way of stepping stands ready and they take blocks of steps by
turns, so that what else the machine does falls on all of them alike. Times are medians over the blocks, per step.
Once as a user finds glibc and OpenMP, once with Opacus's processes given the settings that the trainer gives itself
("tuned": the allocator keeps its memory, threads sleep while they wait).
On a card (`--device cuda`) both sides step there, the goals are judged on the clock, and memory is not compared: what the
processes hold on the machine says nothing of it.
A way that fails has no figure and is named on stderr. Figures go to stdout in the form of the other areas.
"""

import argparse
import json
import math
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import threading

import networks

HERE = pathlib.Path(__file__).parent
PYTHON = pathlib.Path(".build/opacus/bin/python")
MODES = ["hooks", "functorch", "ew", "ghost"]
RUN = "covid-run"
ROUNDS = 5
BLOCK_MS = 120  # a block takes about so long at least, for the clock's sake
TUNED = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "2147483647",
         "MALLOC_TOP_PAD_": "67108864", "MALLOC_ARENA_MAX": "2", "OMP_WAIT_POLICY": "passive"}
# A private step over our own plain one: at most 1.5, and 1.25 where little but matrix products is in it.
OVER_PLAIN = {"mlp": 1.25, "lstm": 1.25, "transformer": 1.25}
# With more than this going on besides, spinning threads of torch hold each other up a hundredfold: nothing is judged.
BUSY = 1.0
OVER_OPACUS, OVER_OPACUS_MEAN, LSTM_OVER_FUSED, OF_PEAK = 0.55, 0.35, 2.0, 0.5
# By which clock ways are compared, and its word: processor time, but on a card, where that is not what a step takes.
CLOCKS = {"cpu": ("cpu_ms", "CPU"), "cuda": ("wall_ms", "clock")}


class Way:
    """One process that takes steps in one way."""

    def __init__(self, command, order, tuned=False):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "OMP_", "MKL_"))}
        kept |= {"OMP_NUM_THREADS": str(order["threads"])} | (TUNED if tuned else {})
        self.mode, self.blocks, self.failed, self.errors = order["mode"], [], None, []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, env=kept)
        threading.Thread(target=lambda: self.errors.extend(self.process.stderr), daemon=True).start()
        self.say(json.dumps(order))

    def say(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except OSError:
            self.fail()

    def fail(self):
        self.process.wait()
        self.failed = self.failed or (self.errors[-1].strip() if self.errors else "it ended")

    def take(self, steps):
        """One block; its figures, or None."""
        if self.failed:
            return None
        self.say(str(steps))
        line = self.process.stdout.readline()
        if not line:
            self.fail()
            return None
        return json.loads(line)

    def warm_up(self, steps):
        self.take(2)
        first = self.take(1)
        if first:
            self.steps = max(1, math.ceil(steps / ROUNDS), min(2000, math.ceil(BLOCK_MS / max(first["wall_ms"], 1e-3))))
            self.take(self.steps)

    def measure(self):
        if block := self.take(self.steps) if not self.failed else None:
            self.blocks.append(block)

    def end(self):
        """The medians of a step and the memory, as a dict; None where it failed."""
        if self.failed:
            return None
        self.process.stdin.close()
        figures = json.loads(self.process.stdout.readline())
        self.process.wait()
        for key in ("cpu_ms", "wall_ms"):
            figures[key] = statistics.median(block[key] for block in self.blocks)
        return figures | {"steps": self.steps * len(self.blocks)}


def side_by_side(name, threads, bench, tuned, steps, device):
    """Figures by way of one network: `dp` and `own` are ours, the rest torch's and Opacus's."""
    network, batch, classes = networks.ALL[name]
    order = {"network": network, "batch": batch, "classes": classes, "threads": threads, "device": device}
    ours = {"dp": "private"} if tuned else {"own": "plain", "dp": "private"}
    ways = {key: Way([bench], order | {"mode": mode}) for key, mode in ours.items()}
    peer = [str(PYTHON), str(HERE / "peer.py")]
    if PYTHON.exists():
        ways |= {mode: Way(peer, order | {"mode": mode}, tuned) for mode in ["plain", *MODES]}
    for way in ways.values():
        way.warm_up(steps)
    for _ in range(ROUNDS):
        for way in ways.values():
            way.measure()
    figures = {key: way.end() for key, way in ways.items()}
    for key, way in ways.items():
        if way.failed:
            print(f"bench: {name}, {threads} threads: {key} failed: {way.failed}", file=sys.stderr)
    return {key: found for key, found in figures.items() if found}


def rounded(value):
    return None if value is None else round(value) if abs(value) >= 100 else round(value, 3)


def row(name, value, goal=None, peer=None):
    """A figure in the form of infra/bench/src/rows.rs; less is better in all of them."""
    return {"name": name, "value": rounded(value), "goal": goal, "peer": rounded(peer),
            "ratio": rounded(value / peer) if peer else None, "met": value <= goal if goal else None}


def best(figures, clock):
    """Opacus's fastest mode, by this clock."""
    return min((mode for mode in MODES if mode in figures), key=lambda mode: figures[mode][clock], default=None)


def rows_of(name, threads, figures, tuned, device):
    """The rows of one network."""
    at, rows = f"{name}, {threads} thread{'s' if threads > 1 else ''}", []
    judged, by = CLOCKS[device]
    if device == "cuda":
        at = f"{name}, card"
    for key, words in [("own", "our step without privacy"), ("dp", "our private step")]:
        if key in figures:
            for clock, unit in [("cpu_ms", "CPU ms"), ("wall_ms", "ms")]:
                peer = figures.get("plain" if key == "own" else best(figures, judged), {}).get(clock)
                rows.append(row(f"{at}: {words}, {unit}", figures[key][clock], peer=peer))
    for mode in ["plain", *MODES]:
        for kind, found in [("", figures.get(mode)), (", tuned", tuned.get(mode))]:
            if found:
                who = "torch without privacy" if mode == "plain" else f"Opacus {mode}"
                rows.append(row(f"{at}: {who}{kind}, {by} ms", found[judged]))
    if "dp" not in figures:
        return rows
    ours = figures["dp"]
    if "own" in figures:
        goal = OVER_PLAIN.get(name.split("-")[0], 1.5) if threads == 2 else None
        rows.append(row(f"{at}: private over our plain step, {by}", ours[judged] / figures["own"][judged], goal))
    if mode := best(figures, judged):
        goal = OVER_OPACUS if threads == 2 else None
        rows.append(row(f"{at}: over Opacus's best mode ({mode}), {by}", ours[judged] / figures[mode][judged], goal))
        if judged != "wall_ms":
            rows.append(row(f"{at}: the same on the clock", ours["wall_ms"] / figures[mode]["wall_ms"]))
    if mode := best(tuned, judged):
        rows.append(row(f"{at}: over Opacus's best mode, tuned ({mode}), CPU",
                        tuned["dp"]["cpu_ms"] / tuned[mode]["cpu_ms"]))
    if name.startswith("lstm") and "plain" in figures:
        goal = LSTM_OVER_FUSED if threads == 2 else None
        rows.append(row(f"{at}: over torch's fused step without privacy, {by}",
                        ours[judged] / figures["plain"][judged], goal))
    return rows if device == "cuda" else rows + memory(at, threads, figures)


def memory(at, threads, figures):
    modes = [mode for mode in MODES if mode in figures]
    if not modes:
        return []
    least = min(modes, key=lambda mode: figures[mode]["peak_kib"])
    ours, theirs = figures["dp"], figures[least]
    grown = [figure["peak_kib"] - figure["start_kib"] for figure in (ours, theirs)]
    return [row(f"{at}: peak memory, MB", ours["peak_kib"] / 1024, peer=theirs["peak_kib"] / 1024),
            row(f"{at}: peak memory over Opacus's least ({least})", ours["peak_kib"] / theirs["peak_kib"],
                OF_PEAK if threads == 2 else None),
            row(f"{at}: growth over start-up, MB", grown[0] / 1024, peer=grown[1] / 1024)]


def geometric_mean(threads, found, device):
    judged, by = CLOCKS[device]
    ratios = [f["dp"][judged] / f[best(f, judged)][judged] for f in found if "dp" in f and best(f, judged)]
    if not ratios:
        return []
    mean = math.exp(statistics.fmean(map(math.log, ratios)))
    name = f"geometric mean over Opacus's best mode, {len(ratios)} networks, {threads} threads, {by}"
    return [row(name, mean, OVER_OPACUS_MEAN if threads == 2 else None)]


COVID = pathlib.Path("../shared/data/covid")


def covid_run(demo):
    """Seconds of one whole run on the COVID tables, every role a process of its own, and each part's share of them: attest,
    decrypt, join, train, seal, as the demo's report has them."""
    tables = ["--data", str(COVID.resolve())] if COVID.is_dir() else []
    try:
        done = subprocess.run([demo, "run", "--json", *tables], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except OSError as missing:
        print(f"bench: no run: {missing}", file=sys.stderr)
        return []
    if done.returncode:
        print(f"bench: the run failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return []
    room = json.loads(done.stdout)["room"]
    which = "COVID run" if tables else "run on generated tables"
    rows = [row(f"{which}: from the order taken to the entry of completion, s", room["seconds"])]
    return rows + [row(f"{which}: {part['part']}, s (ratio: its share)", part["seconds"], peer=room["seconds"])
                   for part in room["parts"]]


def table(rows):
    def text(value):
        return "–" if value is None else str(value)

    lines = [f"{'figure':<78} {'value':>9} {'goal':>6} {'peer':>9} {'ratio':>7}  met"]
    for r in rows:
        met = {None: "–", True: "yes", False: "no"}[r["met"]]
        lines.append(f"{r['name']:<78} {text(r['value']):>9} {text(r['goal']):>6} {text(r['peer']):>9} "
                     f"{text(r['ratio']):>7}  {met}")
    judged = [r for r in rows if r["met"] is not None]
    missed = [f"{r['name']}: {text(r['value'])} against {text(r['goal'])}" for r in judged if not r["met"]]
    return "\n".join(lines + ["", f"goals met: {len(judged) - len(missed)} of {len(judged)}", *missed])


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("bench", help="the program trainer-bench; for the whole run, beside the other programs")
    words.add_argument("--json", action="store_true", help="one JSON document on the last line")
    words.add_argument("--only", help="networks by name, separated by commas: " + ", ".join([*networks.ALL, RUN]))
    words.add_argument("--steps", type=int, default=10, help="steps of each way at least")
    words.add_argument("--threads", default="2,1", help="thread counts; goals stand for two")
    words.add_argument("--untuned", action="store_true", help="nothing tuned on Opacus's side")
    words.add_argument("--device", choices=list(CLOCKS), default="cpu", help="where both sides step")
    asked = words.parse_args()
    known = [*networks.ALL, RUN]
    card = asked.device == "cuda"  # nothing is tuned there, and the room's run is none of its business
    names = asked.only.split(",") if asked.only else [*networks.ALL] if card else known
    if unknown := [name for name in names if name not in known]:
        words.error(f"unknown: {', '.join(unknown)}; known: {', '.join(known)}")
    rows, found, before = [], {}, os.getloadavg()[0]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for name in names:
            if name == RUN:
                print(f"bench: {name}", file=sys.stderr)
                rows += covid_run(pathlib.Path(asked.bench).with_name("demo"))
                continue
            for threads in [2] if card else map(int, asked.threads.split(",")):
                print(f"bench: {name}, {threads} threads", file=sys.stderr)
                figures = side_by_side(name, threads, asked.bench, False, asked.steps, asked.device)
                again = not (asked.untuned or card)
                tuned = side_by_side(name, threads, asked.bench, True, asked.steps, asked.device) if again else {}
                rows += rows_of(name, threads, figures, tuned, asked.device)
                found.setdefault(threads, []).append(figures)
    except KeyboardInterrupt:
        print("bench: interrupted; what was measured so far follows", file=sys.stderr)
    for threads, figures in found.items():
        rows += geometric_mean(threads, figures, asked.device)
    if before > BUSY:
        print(f"bench: the machine was busy (load {before:.1f}): no goal is judged; times on one thread still compare",
              file=sys.stderr)
        rows = [found | {"met": None} for found in rows]
    rows += [row("load of the machine before", before), row("load of the machine after", os.getloadavg()[0])]
    print(json.dumps({"rows": rows}) if asked.json else table(rows))


if __name__ == "__main__":
    main()
