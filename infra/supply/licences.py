"""Judges the licence of every crate of the workspace, tests included, by the list in deny.toml, and where each comes from.

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


def main():
    rules = tomllib.loads((parts.ROOT / "deny.toml").read_text())
    known, faults = set(rules["licenses"]["allow"]), []
    special = {one["crate"]: set(one["allow"]) for one in rules["licenses"].get("exceptions", [])}
    banned = {one["crate"] for one in rules["bans"]["deny"]}
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
    print("\n".join(faults) or f"{count} crates and packages, all licences allowed")
    return bool(faults)


if __name__ == "__main__":
    assert allowed("(MIT OR X) AND Y", {"MIT", "Y"}) and not allowed("MIT AND X", {"MIT"}) and not allowed("X", {"MIT"})
    assert allowed("Apache-2.0 WITH LLVM-exception OR X", {"Apache-2.0 WITH LLVM-exception"})
    sys.exit(main())
