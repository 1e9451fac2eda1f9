"""Checks that dashboard and alert rules name metrics that the services export, and writes the dashboard's questions as rules,
for promtool to read: `metrics.py [RULES]`."""

import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parents[1]
ROOT = HERE.parents[1]
SOURCES = [
    "contract-service/src/metrics.rs", "contract-service/src/deliver/count.rs", "kms-adapter/src/metrics.rs",
    "payment-adapter/src/metrics.rs",
]


def exported():
    """Names that stand in a HELP line of a service, histograms with their three."""
    text = "".join((ROOT / source).read_text().split("#[cfg(test)]")[0] for source in SOURCES)
    names = set(re.findall(r'"(depa_[a-z_]+)"', text))
    if len(names) < 40:
        raise SystemExit("the sources name fewer metrics than they did: this check has to follow them")
    return names | {f"{name}_{end}" for name in names if name.endswith("_seconds") for end in ("bucket", "sum", "count")}


def questions():
    for panel in json.loads((HERE / "grafana/depa.json").read_text())["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target["expr"]


def main():
    known = exported()
    asked = [("alerts.yml", (HERE / "prometheus/alerts.yml").read_text()), *questions()]
    faults = [
        f"{where}: {name} is exported by no service"
        for where, text in asked for name in sorted(set(re.findall(r"\bdepa_[a-z_]+", text)) - known)
    ]
    used = {name for _, text in asked for name in re.findall(r"\bdepa_[a-z_]+", text)}
    plain = {name for name in known if not name.endswith(("_bucket", "_sum", "_count"))}
    unused = sorted(name for name in plain if not any(one.startswith(name) for one in used))
    if len(sys.argv) > 1:
        rules = [{"record": f"check:{number}", "expr": expr.replace("$__rate_interval", "5m").replace("$instance", ".*")}
                 for number, (_, expr) in enumerate(questions())]
        pathlib.Path(sys.argv[1]).write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    print("\n".join(faults) or f"{len(used)} metrics asked for, all exported; exported and not shown: {', '.join(unused) or 'none'}")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
