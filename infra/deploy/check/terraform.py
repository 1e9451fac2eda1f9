"""Reads Terraform files as HCL2 and looks for names that nothing declares: `terraform.py FOLDER`. Not Terraform: no provider's schema."""

import pathlib
import re
import sys

import hcl2


def bare(word):
    return word.strip('"')


def main(folder):
    declared, text = set(), ""
    for path in sorted(pathlib.Path(folder).glob("*.tf")):
        # Comments name things too.
        text += re.sub(r"^\s*#.*$", "", path.read_text(), flags=re.M)
        with path.open() as file:
            parsed = hcl2.load(file)
        for block in parsed.get("variable", []):
            declared |= {f"var.{bare(name)}" for name in block}
        for kind, prefix in (("resource", ""), ("data", "data.")):
            for block in parsed.get(kind, []):
                for of, named in block.items():
                    if isinstance(named, dict):
                        declared |= {f"{prefix}{bare(of)}.{bare(name)}" for name in named if not name.startswith("__")}
    used = set(re.findall(r"\bvar\.\w+", text)) | set(re.findall(r"(?<![\w.\"])(?:data\.)?azurerm_\w+\.\w+", text))
    faults = sorted(used - declared)
    unused = sorted(name for name in declared if name.startswith("var.") and name not in used)
    print("\n".join([f"{name} is declared nowhere" for name in faults] + [f"{name} is used nowhere" for name in unused])
          or f"{len(declared)} declared, every name that is used among them")
    sys.exit(bool(faults or unused))


if __name__ == "__main__":
    main(sys.argv[1])
