"""Writes the bill of materials of the shipped binaries and the portal as CycloneDX 1.6 JSON, to standard output.

    python3 infra/supply/sbom.py >depa.cdx.json

The same locks and the same SOURCE_DATE_EPOCH (0 without it) give the same bytes.
"""

import base64
import datetime
import hashlib
import json
import os
import sys
import uuid

import parts


def crate(package, digests):
    name, version = package["name"], package["version"]
    about = {"type": "library", "bom-ref": f"pkg:cargo/{name}@{version}", "name": name, "version": version,
             "licenses": [{"expression": parts.licence(package["license"])}], "purl": f"pkg:cargo/{name}@{version}"}
    if digest := digests.get((name, version)):
        about["hashes"] = [{"alg": "SHA-256", "content": digest}]
    if package.get("repository"):
        about["externalReferences"] = [{"type": "vcs", "url": package["repository"]}]
    return about


def npm(name, version, licence, integrity):
    purl = f"pkg:npm/{name.replace('@', '%40')}@{version}"
    about = {"type": "library", "bom-ref": purl, "name": name, "version": version,
             "licenses": [{"expression": licence}], "purl": purl}
    if integrity and integrity.startswith("sha512-"):
        about["hashes"] = [{"alg": "SHA-512", "content": base64.b64decode(integrity[7:]).hex()}]
    return about


def bom():
    crates, digests = parts.crates(), parts.digests()
    refs = {package["id"]: f"pkg:cargo/{package['name']}@{package['version']}" for package, _ in crates}
    components = [crate(package, digests) for package, _ in crates]
    components += [npm(*one) for one in sorted(set(parts.portal()), key=str)]
    dependencies = [{"ref": refs[package["id"]], "dependsOn": sorted(refs[one] for one in named)} for package, named in crates]
    ours = sorted(refs[package["id"]] for package, _ in crates if package["name"] in parts.SHIPPED)
    version = next(package["version"] for package, _ in crates if package["name"] == "contract-service")
    made = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
    digest = hashlib.sha256(json.dumps(components, sort_keys=True).encode()).hexdigest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}", "version": 1,
        "metadata": {"timestamp": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
                     "component": {"type": "application", "bom-ref": "depa", "name": "depa", "version": version,
                                   "licenses": [{"license": {"id": "Apache-2.0"}}]}},
        "components": components,
        "dependencies": [{"ref": "depa", "dependsOn": ours}] + dependencies,
    }


if __name__ == "__main__":
    json.dump(bom(), sys.stdout, indent=1)
    sys.stdout.write("\n")
