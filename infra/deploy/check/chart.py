"""Checks what the chart rendered to: schemas of Kubernetes, and what the platform promises of its pods.

    chart.py RENDERED    a file of YAML documents
    chart.py --values CHART [VALUES…]   values against the chart's schema; a wrong key must be refused
"""

import copy
import json
import pathlib
import re
import sys

import jsonschema
import kubernetes_validate
import yaml

# The oldest and the newest release that the chart is checked against.
VERSIONS = ["1.29", "1.35"]
# Paths that the services serve; metrics are looked for in their sources by metrics.py.
PROBES = {"/livez", "/readyz"}


def pods(document):
    """The pod template of a workload, if it is one."""
    if document["kind"] in ("Deployment", "StatefulSet", "Job"):
        return document["spec"]["template"]
    return None


def faults_of(document):
    name = f"{document['kind']} {document['metadata']['name']}"
    template = pods(document)
    if template is None:
        return
    spec = template["spec"]
    if spec.get("automountServiceAccountToken") is not False:
        yield f"{name}: gets a token of the cluster"
    if spec["securityContext"].get("runAsNonRoot") is not True:
        yield f"{name}: may run as root"
    for container in spec["containers"] + spec.get("initContainers", []):
        label = f"{name}, {container['name']}"
        context = container["securityContext"]
        if context.get("allowPrivilegeEscalation") is not False or context["capabilities"]["drop"] != ["ALL"]:
            yield f"{label}: may gain privileges"
        if context.get("readOnlyRootFilesystem") is not True:
            yield f"{label}: root is writable"
        if "memory" not in container["resources"].get("limits", {}):
            yield f"{label}: no limit of memory"
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        there = {volume["name"] for volume in spec.get("volumes", [])}
        there |= {claim["metadata"]["name"] for claim in document["spec"].get("volumeClaimTemplates", [])}
        if mounted - there:
            yield f"{label}: mounts {mounted - there}, which no volume is"
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = container.get(kind, {}).get("httpGet")
            if probe and (probe["path"] not in PROBES or probe["scheme"] != "HTTPS"):
                yield f"{label}: {kind} asks {probe}"
    if document["kind"] != "Job" and not any("readinessProbe" in one for one in spec["containers"]):
        yield f"{name}: nobody asks whether it is ready"
    if document["kind"] == "Job" and (document["spec"]["backoffLimit"] or spec["restartPolicy"] != "Never"):
        yield f"{name}: a room that died would be started again"
    if document["kind"] == "Job" and "kueue.x-k8s.io/queue-name" in document["metadata"]["labels"]:
        if document["spec"].get("suspend") is not True:
            yield f"{name}: does not wait for its queue"


def selected(documents):
    """Services, budgets and policies that select no pod."""
    labels = [pods(one)["metadata"]["labels"] for one in documents if pods(one)]
    for one in documents:
        spec = one.get("spec", {})
        chosen = spec.get("podSelector", spec.get("selector", {}))
        chosen = chosen.get("matchLabels", chosen)
        if one["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy") and chosen:
            if not any(chosen.items() <= known.items() for known in labels):
                yield f"{one['kind']} {one['metadata']['name']}: selects no pod of the chart"


def rendered(path):
    documents = [one for one in yaml.load_all(pathlib.Path(path).read_text(), yaml.CSafeLoader) if one]
    faults = [fault for one in documents for fault in faults_of(one)] + list(selected(documents))
    unknown = set()
    for version in VERSIONS:
        for one in documents:
            try:
                kubernetes_validate.validate(one, version, strict=True)
            except kubernetes_validate.SchemaNotFoundError:
                unknown.add(one["kind"])
            except kubernetes_validate.ValidationError as error:
                faults.append(f"{version} {one['kind']} {one['metadata']['name']}: {error.message}")
    names = [(one["kind"], one["metadata"]["name"]) for one in documents]
    faults += [f"{kind} {name} twice" for kind, name in set(names) if names.count((kind, name)) > 1]
    long = [name for kind, name in names if len(name) > 63 or not re.fullmatch("[a-z0-9-]+", name)]
    faults += [f"{name} is no name" for name in long]
    for kind in unknown:
        print(f"NOT RUN schema of {kind}: it is not of Kubernetes itself")
    return faults, f"{len(documents)} documents, Kubernetes {' and '.join(VERSIONS)}"


def over(base, more):
    for key, value in more.items():
        base[key] = over(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
    return base


def values(chart, paths):
    chart = pathlib.Path(chart)
    schema = json.loads((chart / "values.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    default = yaml.safe_load((chart / "values.yaml").read_text())
    judge = jsonschema.Draft7Validator(schema)
    faults = []
    for path in [None, *paths]:
        merged = over(copy.deepcopy(default), yaml.safe_load(pathlib.Path(path).read_text()) if path else {})
        faults += [f"{path or 'values.yaml'}: {error.json_path} {error.message}" for error in judge.iter_errors(merged)]
    for wrong in ({"colour": 1}, {"contractService": {"replica": 1}}, {"database": {"url": "postgres://me:secret@db/x"}},
                  {"kms": [{"name": "a", "url": "http://plain", "provider": "did:key:z", "tlsSecret": "t"}]}):
        if judge.is_valid(over(copy.deepcopy(default), wrong)):
            faults.append(f"the schema takes {wrong}")
    return faults, f"{len(paths) + 1} sets of values"


if __name__ == "__main__":
    found, said = values(sys.argv[2], sys.argv[3:]) if sys.argv[1] == "--values" else rendered(sys.argv[1])
    print("\n".join(found) or said)
    sys.exit(bool(found))
