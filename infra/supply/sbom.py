"""Writes the bill of materials of the shipped binaries, the portal and the clients as CycloneDX 1.6 JSON, to standard output.

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


def purl(kind, name, version):
    return f"pkg:{kind}/{name.replace('@', '%40')}@{version}"


def package(kind, name, version, licence, digest):
    """A package of npm or PyPI: their locks have a digest of each file but of our own."""
    about = {"type": "library", "bom-ref": purl(kind, name, version), "name": name, "version": version,
             "licenses": [{"expression": licence}], "purl": purl(kind, name, version)}
    if digest and digest.startswith("sha512-"):
        about["hashes"] = [{"alg": "SHA-512", "content": base64.b64decode(digest[7:]).hex()}]
    elif digest:
        about["hashes"] = [{"alg": "SHA-256", "content": digest}]
    return about


def packages():
    """The portal and the clients with what they take along: what each is, what each names, and which are ours."""
    components, named, own = {}, {}, []
    for kind, listed in [("npm", parts.npm("portal")), ("npm", parts.npm("clients/typescript")), ("pypi", parts.python_client())]:
        own.append(purl(kind, *listed[0][0][:2]))
        for one, names in listed:
            about = package(kind, *one)
            components[about["bom-ref"]] = about
            named.setdefault(about["bom-ref"], set()).update(purl(kind, *name) for name in names)
    dependencies = [{"ref": ref, "dependsOn": sorted(refs)} for ref, refs in sorted(named.items())]
    return [components[ref] for ref in sorted(components)], dependencies, own


def bom():
    crates, digests = parts.crates(), parts.digests()
    refs = {one["id"]: f"pkg:cargo/{one['name']}@{one['version']}" for one, _ in crates}
    components = [crate(one, digests) for one, _ in crates]
    dependencies = [{"ref": refs[one["id"]], "dependsOn": sorted(refs[name] for name in named)} for one, named in crates]
    ours = sorted(refs[one["id"]] for one, _ in crates if one["name"] in parts.SHIPPED)
    others, named, own = packages()
    components, dependencies, ours = components + others, dependencies + named, ours + own
    version = next(one["version"] for one, _ in crates if one["name"] == "contract-service")
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
