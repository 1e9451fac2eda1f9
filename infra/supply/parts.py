"""What is compiled into the shipped binaries and put into the portal, as cargo and npm have it locked."""

import json
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]

# The packages whose binaries are shipped.
SHIPPED = ["contract-service", "kms-adapter", "payment-adapter", "ccr-runtime", "ccr-trainer", "depa"]


def metadata():
    """What `cargo metadata` says of the workspace with every feature, for x86-64 Linux."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--all-features",
               "--filter-platform", "x86_64-unknown-linux-gnu"]
    for more in (["--offline"], []):
        done = subprocess.run(command + more, cwd=ROOT, capture_output=True, check=False)
        if done.returncode == 0:
            return json.loads(done.stdout)
    raise SystemExit(done.stderr.decode())


def licence(text):
    """An SPDX expression; older crates write a slash for OR."""
    return re.sub(r"\s*/\s*", " OR ", text).replace("MPL-2.0+", "MPL-2.0") if text else "NOASSERTION"


def digests():
    """SHA-256 of each crate's file, from the lock file."""
    blocks = (ROOT / "Cargo.lock").read_text().split("[[package]]")[1:]
    field = lambda block, name: (re.search(rf'^{name} = "(.*)"$', block, re.M) or [None, None])[1]
    return {(field(b, "name"), field(b, "version")): field(b, "checksum") for b in blocks}


def crates():
    """The shipped crates and what they name, without those for tests and builds alone: [(package, ids named)]."""
    told = metadata()
    packages = {package["id"]: package for package in told["packages"]}
    nodes = {node["id"]: node for node in told["resolve"]["nodes"]}
    waiting = [p["id"] for p in told["packages"] if p["source"] is None and p["name"] in SHIPPED]
    found = {}
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        named = [d["pkg"] for d in nodes[one]["deps"] if any(k["kind"] is None for k in d["dep_kinds"])]
        found[one] = named
        waiting += named
    order = sorted(found, key=lambda one: (packages[one]["name"], packages[one]["version"]))
    return [(packages[one], sorted(found[one])) for one in order]


def portal():
    """The portal's npm packages that reach a browser: [(name, version, licence, integrity)]."""
    lock = json.loads((ROOT / "portal/package-lock.json").read_text())["packages"]
    return [
        (path.rsplit("node_modules/", 1)[1], about["version"], about.get("license", "NOASSERTION"), about.get("integrity"))
        for path, about in sorted(lock.items()) if path and not about.get("dev") and not about.get("optional")
    ]
