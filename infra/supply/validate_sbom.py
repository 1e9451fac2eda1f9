"""Checks a bill of materials against the schema of CycloneDX 1.6, strictly, that it names itself whole, and binaries, portal
and both clients in it.

    validate_sbom.py FILE [--quick]    with --quick every fortieth component stands for the others, which are made alike
"""

import json
import pathlib
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

bom = json.loads(pathlib.Path(sys.argv[1]).read_text())
step = 40 if "--quick" in sys.argv else 1
some = bom | {"components": bom["components"][::step], "dependencies": bom["dependencies"][::step]}
fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(some))
if fault:
    sys.exit(f"not CycloneDX 1.6: {fault}")
refs = {one["bom-ref"] for one in bom["components"]} | {"depa"}
unknown = {ref for one in bom["dependencies"] for ref in [one["ref"], *one["dependsOn"]]} - refs
if unknown:
    sys.exit(f"depends on what it does not list: {sorted(unknown)[:5]}")
named = {one["ref"]: one["dependsOn"] for one in bom["dependencies"]}
waiting, reached = ["depa"], set()
while waiting:
    if (one := waiting.pop()) not in reached:
        reached.add(one)
        waiting += named.get(one, [])
if stray := refs - reached:
    sys.exit(f"nothing of ours depends on {sorted(stray)[:5]}")
ours = {one.rpartition("@")[0] for one in named["depa"]}
if missing := {"pkg:cargo/contract-service", "pkg:npm/depa-portal", "pkg:npm/depa-client", "pkg:pypi/depa-client"} - ours:
    sys.exit(f"of ours it leaves out {sorted(missing)}")
print(f"bill of materials: {len(bom['components'])} components, {len(some['components'])} judged by CycloneDX 1.6")
