"""Judges the container file beyond its form: `containers.py CONTAINERFILE CHART`, with the repository's root as working folder.

Every stage, script, crate and binary that it names is there; every service's image is made from nothing, by one user without
rights, with labels; who serves says by its own binary whether it is well; the chart asks for no image that no target makes.
"""

import functools
import json
import pathlib
import re
import subprocess
import sys

# Images with a shell: they are Debian's, and serve nobody's data.
WITH_SHELL = {"tls-proxy", "init"}
LABELS = {"title", "licenses", "version", "revision"}
BASES = {"debian:12", "debian:12-slim", "scratch"}


def stages(text):
    """Name, base and instructions of every stage, in order."""
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.M)
    found = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found.append((name, base, []))
        elif word and found:
            found[-1][2].append((word, rest.strip()))
    return found


@functools.cache
def binaries():
    said = subprocess.run(["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"], check=True, capture_output=True)
    packages = json.loads(said.stdout)["packages"]
    names = {target["name"] for one in packages for target in one["targets"] if "bin" in target["kind"]}
    return names, {one["name"] for one in packages}


def copies(rest, earlier):
    """Faults of one COPY."""
    *sources, _ = [word for word in rest.split() if not word.startswith("--")]
    origin = re.search(r"--from=(\S+)", rest)
    if origin is None:
        yield from (f"COPY: {one} is not there" for one in sources if not pathlib.Path(one).exists())
        return
    if origin[1] not in earlier:
        yield f"COPY: no stage {origin[1]} stands before it"
        return
    made = " ".join(rest for _, rest in earlier[origin[1]])
    for one in sources:
        if one.startswith("/src/target/production/"):
            continue
        if one.startswith("/src/"):
            if not pathlib.Path(one.removeprefix("/src/")).exists():
                yield f"COPY: {one} is not there"
        # Made by a command of that stage, in a loop over the services at times.
        elif one.strip("/") not in made and not re.match(r"/roots/\w", one):
            yield f"COPY: nothing in {origin[1]} makes {one}"


def runs(rest, crates, names):
    for script in re.findall(r"(?:\bsh|\.) (infra/\S+\.sh)", rest):
        if not pathlib.Path(script).exists():
            yield f"RUN: {script} is not there"
    yield from (f"RUN: no crate {one}" for one in re.findall(r" -p (\S+)", rest) if one not in crates)
    yield from (f"RUN: no binary {one}" for one in re.findall(r" --bin (\S+)", rest) if one not in names)
    for listed in re.findall(r"for service in ([^;]+);", rest):
        yield from (f"RUN: no binary {one}" for one in listed.split() if one not in names)


def of_an_image(name, base, said, names):
    last = dict(said)
    if last.get("USER") != "10001:10001":
        yield "runs as another user than 10001"
    if "STOPSIGNAL" not in last and base == "scratch":
        yield "names no signal to stop"
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", last.get("LABEL", "")))
    if labels != LABELS:
        yield f"labels are {sorted(labels)}"
    try:
        entry = json.loads(last.get("ENTRYPOINT", "null"))
        json.loads(last.get("CMD", "[]"))
    except ValueError:
        entry = None
    if not entry:
        yield "ENTRYPOINT and CMD are no lists: they would need a shell"
        return
    if name in WITH_SHELL:
        return
    if base != "scratch":
        yield f"is made from {base}, with what a service does not need"
    if pathlib.Path(entry[0]).name not in names:
        yield f"{entry[0]} is no binary of the workspace"
    if any(word in ("RUN", "ADD", "SHELL") for word, _ in said):
        yield "runs something in an image without a shell"
    yield from health(said)


def health(said):
    """Who serves is asked by its own binary, about the configuration that it serves; what ends by itself is asked nothing."""
    last = dict(said)
    entry, words = (json.loads(last[one]) for one in ("ENTRYPOINT", "CMD"))
    check = last.get("HEALTHCHECK")
    if words[0] not in ("serve", "witness"):
        if check:
            yield "is asked whether it is well, and serves nothing"
        return
    asked = re.fullmatch(r"((?:--[a-z-]+=\d+s? )+)CMD (\[.*\])", re.sub(r" +", " ", check or ""))
    if asked is None:
        yield "has no HEALTHCHECK without a shell"
        return
    wanted = entry + ["healthy"] + ["--witness"] * (words[0] == "witness") + words[1:]
    if json.loads(asked[2]) != wanted:
        yield f"HEALTHCHECK asks {asked[2]}, not {json.dumps(wanted)}"
    limits = dict(one.split("=") for one in asked[1].split())
    # The command waits two seconds by itself, and says why it gave up.
    if int(limits.get("--timeout", "0s")[:-1]) <= 2:
        yield "HEALTHCHECK ends before the command does"


def faults(text, chart):
    names, crates = binaries()
    earlier = {}
    bases = {base for _, base, _ in stages(text)}
    images = set()
    for name, base, said in stages(text):
        if base not in BASES and base not in earlier:
            yield f"{name}: is made from {base}, which is unknown"
        for word, rest in said:
            found = copies(rest, earlier) if word == "COPY" else runs(rest, crates, names) if word == "RUN" else ()
            yield from (f"{name}: {fault}" for fault in found)
        # What no other stage is made from or copies of is an image.
        if name not in bases and f"--from={name} " not in text:
            images.add(name)
            yield from (f"{name}: {fault}" for fault in of_an_image(name, base, said, names))
        earlier[name] = said
    asked = set(re.findall(r'"of" "([\w-]+)"', chart))
    yield from (f"the chart asks for the image {one}, which no target makes" for one in sorted(asked - images))
    if len(images) < 7:
        yield f"only {len(images)} images"


def main(file, chart):
    text = pathlib.Path(file).read_text()
    charts = "".join(path.read_text() for path in sorted(pathlib.Path(chart).rglob("*")) if path.is_file())
    found = list(faults(text, charts))
    # It notices what is wrong.
    for good, bad in [
        ("USER 10001:10001\nEXPOSE 8090", "USER 0:0\nEXPOSE 8090"),
        ("FROM scratch AS witness", "FROM debian:12-slim AS witness"),
        ("root.sh /roots/ccr", "rot.sh /roots/ccr"),
        ("--bin ccr-trainer", "--bin trainer"),
        ("COPY --from=worker", "COPY --from=workers"),
        ("/src/NOTICE", "/src/NOTES"),
        ("AS tls-proxy", "AS proxy"),
        ('CMD ["witness", ', "CMD witness #"),
        ('"healthy", "--witness"', '"healthy"'),
        ('"healthy", "--config", "/etc/depa/config.toml"', '"healthy", "--config", "/etc/depa/other.toml"'),
        ('CMD ["/usr/bin/kms-adapter", "healthy"', 'CMD ["/usr/bin/contract-service", "healthy"'),
        ("--timeout=5s", "--timeout=2s"),
        ('CMD ["/usr/bin/payment-adapter", "healthy"', 'CMD /usr/bin/payment-adapter healthy #"'),
    ]:
        assert good in text, good
        if not set(faults(text.replace(good, bad), charts)) - set(found):
            found.append(f"nobody notices {bad!r}")
    print("\n".join(found) or f"{len([1 for _, base, _ in stages(text) if base == 'scratch'])} services' images from nothing, all that is named is there")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
