"""A scenario's rows as the room makes them, from its documented rules alone: joined by key, one row per principal,
features scaled to [-1, 1] by public bounds (a missing number becomes 0), split by the principal and the public salt.

`depa train local --predictions` tells the held-out rows that the trainer saw; `measure.py` holds them against these.
"""

import csv
import hashlib
import hmac
import math
import struct
import tomllib
import zlib


def trains(salt, ppm, principal):
    """The split: the first eight bytes of HMAC-SHA256(salt, principal) below a share of 2^64."""
    first = hmac.new(salt, principal.encode(), hashlib.sha256).digest()[:8]
    return int.from_bytes(first, "big") < (ppm << 64) // 1_000_000


def scaled(cell, lower, upper):
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return 0.0
    if math.isnan(number):
        return 0.0
    return 2.0 * ((min(max(number, lower), upper) - lower) / (upper - lower)) - 1.0


def pixels(path):
    """A PNG of 8 bits a channel without interlacing, as bytes, and how many channels it has."""
    data = path.read_bytes()
    at, packed, width, height, channels = 8, b"", 0, 0, 0
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        part = data[at + 8:at + 8 + length]
        if kind == b"IHDR":
            width, height, depth, colour, _, _, laced = struct.unpack(">IIBBBBB", part)
            if depth != 8 or laced or colour not in (0, 2):
                raise ValueError(f"{path}: grey or RGB of 8 bits is expected")
            channels = {0: 1, 2: 3}[colour]
        elif kind == b"IDAT":
            packed += part
        at += 12 + length
    raw, size, out = zlib.decompress(packed), width * channels, bytearray()
    before = bytes(size)
    for y in range(height):
        begin = y * (size + 1)
        line = unfiltered(raw[begin], bytearray(raw[begin + 1:begin + 1 + size]), before, channels)
        out += line
        before = line
    return bytes(out), channels


def unfiltered(kind, line, before, step):
    """One line of a PNG without its filter (PNG 1.2, clause 6)."""
    for x in range(len(line)):
        left = line[x - step] if x >= step else 0
        above = before[x]
        corner = before[x - step] if x >= step else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = above
        elif kind == 3:
            guess = (left + above) // 2
        elif kind == 4:
            middle = left + above - corner
            guess = min((left, above, corner), key=lambda value: abs(middle - value))
        else:
            break
        line[x] = (line[x] + guess) & 255
    return line


class Folder:
    """The folder that `depa scenario new` wrote, with all its rows; splits are taken of it."""

    def __init__(self, path):
        self.job = tomllib.loads((path / "job.toml").read_text())
        training = self.job["training"]
        target_table, target = training["target"].split(".")
        principal_table, principal = training["principal"].split(".")
        described = {name: tomllib.loads((path / table["description"]).read_text())
                     for name, table in self.job["tables"].items()}
        words = self.job["sql"].replace("\n", " ").split()
        first = words[words.index("FROM") + 1]
        order = [first] + [after for word, after in zip(words, words[1:]) if word == "JOIN"]
        outer = "LEFT" in words
        tables, places = {}, {}
        for name in order:
            place = path / self.job["tables"][name]["file"]
            places[name] = place if place.is_dir() else place.parent
            with open(place / "index.csv" if place.is_dir() else place, newline="") as file:
                key = described[name]["usage"]["join_keys"][0]
                rows = {}
                for row in csv.DictReader(file):
                    rows.setdefault(row[key], row)
                tables[name] = rows
        features = [(name, column) for name in order for column in described[name]["columns"]
                    if column["name"] in described[name]["usage"]["allowed_columns"] and column["type"] != "text"]
        classes = training.get("labels", {}).get("classes")
        self.principals, self.x, self.y = [], [], []
        for key, row in tables[first].items():
            joined = {name: tables[name].get(key) for name in order}
            if not outer and None in joined.values():
                continue
            self.principals.append(joined[principal_table][principal])
            cells = []
            for name, column in features:
                cell = (joined[name] or {}).get(column["name"])
                if column["type"] == "image":
                    cells += image(places[name] / joined[name]["file"])
                else:
                    cells.append(scaled(cell, float(column["lower"]), float(column["upper"])))
            self.x.append(cells)
            label = joined[target_table][target]
            self.y.append(classes.index(label) if classes else float(label == training["positive"]))
        if principal_table not in order:
            raise ValueError("the principal's table is not joined")

    def split(self, salt):
        """(train x, train y, held-out x, held-out y) under a salt."""
        ppm = self.job["training"]["train_ppm"]
        parts = ([], [], [], [])
        for principal, x, y in zip(self.principals, self.x, self.y):
            place = 0 if trains(salt, ppm, principal) else 2
            parts[place].append(x)
            parts[place + 1].append(y)
        return parts


def image(path):
    """Channel after channel, scaled from 0..255."""
    raw, channels = pixels(path)
    return [2.0 * (value / 255.0) - 1.0 for channel in range(channels) for value in raw[channel::channels]]
