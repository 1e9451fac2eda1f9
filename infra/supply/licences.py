"""Judges the licence of every crate of the workspace, tests included, by the list in deny.toml, where each comes from, and
whether what Cargo.lock names is as new as deny.toml asks.

cargo-deny does the same and more; this needs nothing but Python 3.11 and cargo.
"""

import re
import sys
import tomllib

import parts


def allowed(expression, known):
    """Whether an SPDX expression can be met by what is known: OR offers a choice, AND asks for both."""
    words = re.findall(r"\(|\)|[^\s()]+(?: WITH \S+)?", expression)

    def either(at):
        good, at = both(at)
        while at < len(words) and words[at] == "OR":
            more, at = both(at + 1)
            good = good or more
        return good, at

    def both(at):
        good, at = one(at)
        while at < len(words) and words[at] == "AND":
            more, at = one(at + 1)
            good = good and more
        return good, at

    def one(at):
        if words[at] == "(":
            good, at = either(at + 1)
            return good, at + 1
        return words[at] in known, at + 1

    good, end = either(0)
    return good and end == len(words)


def number(version):
    """A version as it is compared; what comes before a release counts as that release."""
    return tuple(int(part) for part in re.split(r"[-+]", version)[0].split("."))


def too_old(locked, rules):
    """What of these (crate, version) is below a least version: a rule NAME:<VERSION."""
    faults = []
    for rule in rules:
        name, _, least = rule["crate"].partition(":<")
        # cargo-deny takes NAME@<VERSION for that very version.
        if not re.fullmatch(r"[\w-]+", name):
            raise SystemExit(f"deny.toml: {rule['crate']}: NAME or NAME:<VERSION is expected")
        if least:
            old = (version for crate, version in locked if crate == name and number(version) < number(least))
            faults += [f"{name} {version}: {least} is the least version: {rule['reason']}" for version in sorted(old)]
    return faults


def main():
    rules = tomllib.loads((parts.ROOT / "deny.toml").read_text())
    known, faults = set(rules["licenses"]["allow"]), []
    special = {one["crate"]: set(one["allow"]) for one in rules["licenses"].get("exceptions", [])}
    banned = {one["crate"] for one in rules["bans"]["deny"]}
    faults += too_old(parts.digests(), rules["bans"]["deny"])
    count = 0
    for package in parts.metadata()["packages"]:
        if package["source"] is None:
            continue
        count += 1
        if not allowed(parts.licence(package["license"]), known | special.get(package["name"], set())):
            faults.append(f"{package['name']} {package['version']}: licence {package['license']} is not allowed")
        if not (package["source"] or "").startswith("registry+https://"):
            faults.append(f"{package['name']} {package['version']}: not from the Rust registry")
        if package["name"] in banned:
            faults.append(f"{package['name']} {package['version']}: banned by deny.toml")
    for name, version, licence, _ in parts.portal():
        count += 1
        # The licence of fonts asks that they are not sold by themselves.
        if not allowed(licence, known | ({"OFL-1.1"} if name.startswith("@fontsource/") else set())):
            faults.append(f"{name} {version} (npm): licence {licence} is not allowed")
    for kind, listed in [("npm", parts.npm("clients/typescript")), ("PyPI", parts.python_client())]:
        for (name, version, licence, _), _ in listed[1:]:
            count += 1
            # Of Python's own authors, and MIT without its one duty.
            if not allowed(licence, known | {"PSF-2.0", "MIT-0"}):
                faults.append(f"{name} {version} ({kind}): licence {licence} is not allowed")
    print("\n".join(faults) or f"{count} crates and packages, all licences allowed")
    return bool(faults)


if __name__ == "__main__":
    assert allowed("(MIT OR X) AND Y", {"MIT", "Y"}) and not allowed("MIT AND X", {"MIT"}) and not allowed("X", {"MIT"})
    assert allowed("Apache-2.0 WITH LLVM-exception OR X", {"Apache-2.0 WITH LLVM-exception"})
    LEAST = [{"crate": "one:<2.3.10", "reason": "it leaks"}, {"crate": "other", "reason": "banned whatever its version"}]
    assert too_old([("one", "2.3.9"), ("one", "2.3.10"), ("one", "2.10.0"), ("other", "0.1.0"), ("two", "1.0.0")], LEAST) == [
        "one 2.3.9: 2.3.10 is the least version: it leaks"
    ]
    assert len(too_old([("one", "0.9.0-rc.19"), ("one", "2.3.10+patch")], LEAST)) == 1
    sys.exit(main())
