"""What is compiled into the shipped binaries, put into the portal and named by the clients, as cargo, npm and pip have it locked."""

import json
import pathlib
import re
import subprocess
import tomllib

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


def npm(folder):
    """What a package of ours takes along, without what builds and tests it: itself first, then others:
    [((name, version, licence, integrity), [(name, version) it names])]."""
    lock = json.loads((ROOT / folder / "package-lock.json").read_text())["packages"]
    taken = {path: about for path, about in sorted(lock.items()) if not about.get("dev") and not about.get("optional")}
    called = lambda path: (path.rsplit("node_modules/", 1)[-1] or taken[path]["name"], taken[path]["version"])

    def found(path, name):
        """Where node looks: beside, then in every folder above."""
        while True:
            place = f"{path}/node_modules/{name}" if path else f"node_modules/{name}"
            if place in taken or not path:
                return place if place in taken else None
            path = path.rpartition("node_modules/")[0].rstrip("/")

    def named(path):
        names = {**taken[path].get("dependencies", {}), **taken[path].get("peerDependencies", {})}
        return sorted(called(place) for name in names if (place := found(path, name)))

    return [((*called(path), about.get("license", "NOASSERTION"), about.get("integrity")), named(path))
            for path, about in taken.items()]


def portal():
    """The portal's npm packages that reach a browser: [(name, version, licence, integrity)]."""
    return [one for one, _ in npm("portal")[1:]]


def python_client():
    """The same of the Python client, as its lock has it: [((name, version, licence, sha256), [(name, version) it names])]."""
    project = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text())["project"]
    line = re.compile(r"([\w-]+)==(\S+) --hash=sha256:(\w+)  # (.+); via (.+)")
    rows = [found.groups() for text in (ROOT / "clients/python/requirements.txt").read_text().splitlines()
            if (found := line.fullmatch(text))]
    called = lambda name: re.sub(r"[-_.]+", "-", name).lower()
    versions = {called(name): version for name, version, *_ in rows} | {project["name"]: project["version"]}
    names = lambda one: sorted((called(name), version) for name, version, _, _, via in rows if one in via.split(", "))
    wanted = sorted(called(re.split(r"[<>=!~ \[;]", text)[0]) for text in project["dependencies"])
    if [name for name, _ in names(project["name"])] != wanted:
        raise SystemExit(f"clients/python/requirements.txt: of {wanted} each must stand there, via {project['name']}")
    if unknown := {via for *_, some in rows for via in some.split(", ")} - set(versions) - {name for name, *_ in rows}:
        raise SystemExit(f"clients/python/requirements.txt: via {sorted(unknown)}, which is not there")
    own = ((project["name"], project["version"], project["license"], None), names(project["name"]))
    return [own] + [((called(name), version, licence, digest), names(name)) for name, version, digest, licence, _ in rows]
