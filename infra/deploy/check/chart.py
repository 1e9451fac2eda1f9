"""Checks what the chart rendered to: schemas of Kubernetes, and what the platform promises of its pods.

    chart.py RENDERED [FOLDER]   a file of YAML documents; configurations of nginx in it are written into a folder
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
# The rules tell services by their job.
ALERTS = pathlib.Path(__file__).resolve().parents[1] / "prometheus/alerts.yml"


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


def chosen_by(selector, labels):
    return bool(selector) and selector.items() <= labels.items()


def ports_of(service):
    return {one["name"]: one["targetPort"] for one in service["spec"]["ports"]}


def counted(documents):
    """Who serves is counted: its counts, on loopback, reach one port of the pod, one Service that stays inside, one job."""
    of = lambda kind: [one for one in documents if one["kind"] == kind]
    configs = {one["metadata"]["name"]: one["data"] for one in of("ConfigMap")}
    rules = re.findall(r'up\{job=~"([^"]+)"\}', ALERTS.read_text())
    jobs = []
    for one in documents:
        template = pods(one)
        serving = [it for it in template["spec"]["containers"] if it.get("args", [""])[0] == "serve"] if template else []
        for container in serving:
            name, labels = f"{one['kind']} {one['metadata']['name']}", template["metadata"]["labels"]
            at = [env["value"] for env in container.get("env", []) if env["name"].endswith("__METRICS_BIND")]
            mounted = {it["configMap"]["name"] for it in template["spec"]["volumes"] if "configMap" in it}
            passed = "".join(text for config in mounted for text in configs.get(config, {}).values())
            if len(at) != 1 or f"location = /metrics {{ proxy_pass http://{at[0]}; }}" not in passed:
                yield f"{name}: nothing passes its counts on"
            ports = {p["name"]: p["containerPort"] for it in template["spec"]["containers"] for p in it.get("ports", [])}
            if ports.get("metrics") != 9101 or "listen 9101;" not in passed:
                yield f"{name}: no port has its counts"
            services = [it for it in of("Service") if chosen_by(it["spec"].get("selector", {}), labels) and "metrics" in ports_of(it)]
            if [it["spec"]["type"] for it in services] != ["ClusterIP"]:
                yield f"{name}: its counts are not at one Service that stays inside"
                continue
            inward = [rule for it in of("NetworkPolicy") if chosen_by(it["spec"]["podSelector"].get("matchLabels"), labels)
                      for rule in it["spec"].get("ingress", []) if {"port": 9101} in rule["ports"]]
            if not inward or not all("namespaceSelector" in peer for rule in inward for peer in rule.get("from", [{}])):
                yield f"{name}: the network policy does not let the monitoring alone ask for its counts"
            meta = services[0]["metadata"]["labels"]
            found = [it["spec"] for it in of("ServiceMonitor") if chosen_by(it["spec"]["selector"]["matchLabels"], meta)]
            if of("ServiceMonitor") and [[e["port"] for e in it["endpoints"]] for it in found] != [["metrics"]]:
                yield f"{name}: no ServiceMonitor asks for its counts"
            jobs += [meta.get(it.get("jobLabel")) for it in found]
    for job in jobs:
        if len([rule for rule in rules if job and re.fullmatch(rule, job)]) != 1:
            yield f"job {job} is not told by one of the alert rules {rules}"
    if len(set(jobs)) != len(jobs):
        yield f"jobs are not told apart: {jobs}"


def first(documents, kind, name):
    return next((one for one in documents if one["kind"] == kind and one["metadata"]["name"].endswith(name)), None)


# What must be noticed where it is there: kind, end of the name, and how it is spoiled.
SPOILS = [
    ("StatefulSet", "kms-lab-a", lambda one: one["spec"]["template"]["spec"]["containers"][0].pop("env")),
    ("ConfigMap", "kms-lab-a", lambda one: one["data"].update({"metrics.conf": one["data"]["metrics.conf"].replace(":9100", ":9102")})),
    ("ConfigMap", "payment-adapter", lambda one: one["data"].pop("metrics.conf")),
    ("Service", "kms-lab-a-metrics", lambda one: one["spec"].update({"type": "LoadBalancer"})),
    ("Service", "kms-lab-b-metrics", lambda one: one["metadata"]["labels"].update({"app.kubernetes.io/component": "lab-b"})),
    ("Service", "contract-service", lambda one: one["spec"]["ports"].append({"name": "metrics", "port": 1, "targetPort": "metrics"})),
    ("ServiceMonitor", "payment-adapter", lambda one: one["spec"].pop("jobLabel")),
    ("NetworkPolicy", "kms-lab-a", lambda one: [rule.pop("from", None) for rule in one["spec"]["ingress"]]),
]


def unnoticed(documents):
    for kind, name, spoil in SPOILS:
        spoiled = copy.deepcopy(documents)
        target = first(spoiled, kind, name)
        if target:
            spoil(target)
            if not list(counted(spoiled)):
                yield f"nobody notices that {kind} {name} is spoiled"


def rendered(path, folder=None):
    documents = [one for one in yaml.load_all(pathlib.Path(path).read_text(), yaml.CSafeLoader) if one]
    faults = [fault for one in documents for fault in faults_of(one)] + list(selected(documents))
    faults += list(counted(documents)) or list(unnoticed(documents))
    for one in documents:
        for name, text in one.get("data", {}).items() if folder and one["kind"] == "ConfigMap" else ():
            if name.endswith(".conf"):
                place = pathlib.Path(folder) / one["metadata"]["name"]
                place.mkdir(parents=True, exist_ok=True)
                (place / name).write_text(text)
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
    found, said = values(sys.argv[2], sys.argv[3:]) if sys.argv[1] == "--values" else rendered(*sys.argv[1:])
    print("\n".join(found) or said)
    sys.exit(bool(found))
