"""Whether mlcroissant takes a Croissant document: says its errors and ends with 1 where there are any.

    python check_croissant.py FILE
"""

import json
import sys
import types

# Only reading data of a JSON file needs it, no data is read here, and the registry has it as source alone.
for name in ("jsonpath_rw", "jsonpath_rw.lexer"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["jsonpath_rw"].lexer = sys.modules["jsonpath_rw.lexer"]

import mlcroissant  # noqa: E402


def main() -> int:
    with open(sys.argv[1], encoding="utf-8") as file:
        document = json.load(file)
    try:
        metadata = mlcroissant.Dataset(jsonld=document).metadata
    except mlcroissant.ValidationError as error:
        print(error)
        return 1
    for warning in metadata.ctx.issues.warnings:
        print(f"warning: {warning}")
    fields = [field.name for table in metadata.record_sets for field in table.fields]
    print(f"{metadata.name}: {len(metadata.distribution)} files, {len(fields)} fields")
    return 0 if fields else 1


if __name__ == "__main__":
    sys.exit(main())
