"""Writes which other people's work is in the binaries and the portal, under which licence.

    python3 infra/supply/third_party.py           the list, to infra/supply/THIRD_PARTY.md
    python3 infra/supply/third_party.py --check   exit 1 where that file is not as the locks are
    python3 infra/supply/third_party.py --texts   the list with the licences' texts, to standard output: for packages
"""

import pathlib
import sys

import parts

FILE = pathlib.Path(__file__).with_name("THIRD_PARTY.md")
HEAD = """# Other people's work in the binaries and the portal

Made by `python3 infra/supply/third_party.py` from the lock files; `infra/deploy/check.sh` says when it is stale. libtorch and two
NVIDIA files are in no package: see NOTICE. The texts of the licences: `--texts`, and `THIRD_PARTY.md.gz` of each Debian package.
"""


def listed():
    lines = [HEAD, "## Crates", "", "| crate | version | licence |", "|---|---|---|"]
    others = [package for package, _ in parts.crates() if package["source"]]
    lines += [f"| {p['name']} | {p['version']} | {parts.licence(p['license'])} |" for p in others]
    lines += ["", "## Packages of the portal", "", "| package | version | licence |", "|---|---|---|"]
    lines += [f"| {name} | {version} | {licence} |" for name, version, licence, _ in sorted(set(parts.portal()))]
    return "\n".join(lines) + "\n"


def folders():
    for package, _ in parts.crates():
        if package["source"]:
            yield f"{package['name']} {package['version']}", pathlib.Path(package["manifest_path"]).parent
    for name, version, _, _ in sorted(set(parts.portal())):
        yield f"{name} {version}", parts.ROOT / "portal/node_modules" / name


def texts():
    """Each text once, with those that it belongs to."""
    found = {}
    for label, folder in folders():
        for pattern in ("LICEN[CS]E*", "COPYING*", "NOTICE*", "COPYRIGHT*", "license*", "UNLICENSE*"):
            for path in sorted(folder.glob(pattern)):
                if path.is_file() and path.stat().st_size < 200_000:
                    text = path.read_text(errors="replace").strip()
                    labels = found.setdefault(text, [])
                    if label not in labels:
                        labels.append(label)
    for text, labels in sorted(found.items(), key=lambda item: item[1]):
        yield "\n## Licence of " + ", ".join(labels) + "\n\n```text\n" + text.replace("```", "'''") + "\n```\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if FILE.exists() and FILE.read_text() == listed() else f"{FILE.name} is stale: python3 infra/supply/third_party.py")
    if "--texts" in sys.argv:
        sys.stdout.write(listed() + "".join(texts()))
    else:
        FILE.write_text(listed())
