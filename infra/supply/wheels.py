"""Compares what the lock of the Python client says of its packages with what they say themselves: licence, and what each names.

    .build/clients/python/bin/python infra/supply/wheels.py     the Python into which the lock was installed (clients/check.sh)
"""

import importlib.metadata
import re
import sys

import parts
from packaging.requirements import Requirement

# What older packages write in the place of an SPDX expression.
CLASSIFIED = {"License :: OSI Approved :: Apache Software License": "Apache-2.0"}


def licence(about):
    words = about.get("License-Expression") or about.get("License")
    return words or next((CLASSIFIED[one] for one in about.get_all("Classifier") or [] if one in CLASSIFIED), None)


def named(package):
    """What it needs here, without its extras."""
    wanted = [Requirement(text) for text in package.requires or []]
    here = [one.name for one in wanted if not one.marker or one.marker.evaluate({"extra": ""})]
    return sorted(re.sub(r"[-_.]+", "-", name).lower() for name in here)


def main():
    faults = []
    for (name, version, said, _), names in parts.python_client()[1:]:
        package = importlib.metadata.distribution(name)
        if package.version != version:
            faults.append(f"{name}: the lock has {version}, installed is {package.version}")
        if licence(package.metadata) != said:
            faults.append(f"{name}: the lock says {said}, the package {licence(package.metadata)}")
        if named(package) != [one for one, _ in names]:
            faults.append(f"{name} names {named(package)}; by the lock {[one for one, _ in names]}")
    print("\n".join(faults) or f"{len(parts.python_client()) - 1} packages of the Python client are as their lock says")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
