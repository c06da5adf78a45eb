"""Specs of GlobalDeployments: good ones, and each rule broken once."""

from typing import Any, NamedTuple

Spec = dict[str, Any]

ARTICLE: Spec = {
    "name": "my-cool-website",
    "type": "WEB",
    "routes": [{"port": 3000, "path": "/"}],
    "ports": [{"port": 3000, "protocol": "http"}],
    "docker": {"image": "docker.io/koyeb/demo", "command": "", "args": []},
}
"""The deployment definition of the article, as it stands there."""


class Bad(NamedTuple):
    """A spec that is refused, and what the refusal must name: field, value, what is allowed."""

    id: str
    spec: Spec
    words: tuple[str, ...]


def web(**fields: Any) -> Spec:
    """Make a small valid spec of type WEB, with *fields* changed."""
    return {
        "type": "WEB",
        "docker": {"image": "demo:1"},
        "ports": [{"port": 3000, "protocol": "http"}, {"port": 9000}],
        **fields,
    }


def of_type(kind: str, **fields: Any) -> Spec:
    """Make a small valid spec of another type, with *fields* changed."""
    return {"type": kind, "docker": {"image": "demo:1"}, **fields}


def override(**fields: Any) -> Spec:
    """Make a spec with one override of `was`, with *fields* changed in it."""
    return web(overrides=[{"name": "big", "regions": ["was"], "scaling": {"count": 2}, **fields}])


SELECTOR = {
    "matchLabels": {"tier": "edge"},
    "matchExpressions": [
        {"key": "country", "operator": "In", "values": ["DE", "FR"]},
        {"key": "old", "operator": "DoesNotExist"},
    ],
}
SECRET = {"name": "database", "key": "password"}

GOOD: dict[str, Spec] = {
    "article": ARTICLE,
    "smallest": of_type("WORKER"),
    "everything": web(
        routes=[{"port": 3000, "path": "/"}, {"port": 3000, "path": "/api"}],
        docker={
            "image": "registry.example:5000/a/b@sha256:0123456789abcdef",
            "command": "/bin/app",
            "args": ["--listen=${NOMAD_ADDR_p3000}", "$HOME", "$$"],
            "credentialsSecretRef": {"name": "registry.example"},
        },
        env=[
            {"name": "PORT", "value": "${NOMAD_PORT_p3000}"},
            {"name": "EMPTY", "value": ""},
            {"name": "PASSWORD", "secretRef": SECRET},
        ],
        resources={"cpuMHz": 1, "memoryMB": 10, "memoryMaxMB": 10},
        scaling={"count": 0},
        healthChecks=[
            {"port": 3000, "path": "/healthy?deep=1", "interval": "1s", "timeout": "1000ms"},
            {"port": 9000, "type": "tcp", "gracePeriod": "1m30s"},
        ],
        update={"maxParallel": 2, "canary": 1, "minHealthyTime": "0s", "progressDeadline": "1h"},
        driver="firecracker",
        placement={
            "regionSelector": SELECTOR,
            "continents": ["eu", "na"],
            "excludeRegions": ["par"],
            "dataCenters": {"preferred": ["fra1", "FRA_2"], "spread": False},
        },
        overrides=[
            {"name": "one", "regions": ["was"], "docker": {"image": "demo:2"}},
            {"name": "two", "regionSelector": {}, "env": [{"name": "A", "value": "b"}]},
            {"name": "three", "regionSelector": SELECTOR, "resources": {"memoryMB": 10}},
        ],
        deletionPolicy="Orphan",
        paused=True,
    ),
    "batch": of_type("BATCH", scaling={"count": 3}, ports=[{"port": 1}], routes=[]),
    "system": of_type("SYSTEM", update={"maxParallel": 1}, placement={"regions": ["fra"]}),
    "override-of-a-placed-region": {**override(), "placement": {"regions": ["fra", "was"]}},
    "memory-raised-by-the-override-that-needs-it": {
        **override(resources={"memoryMB": 600, "memoryMaxMB": 700}),
        "resources": {"memoryMB": 300, "memoryMaxMB": 500},
    },
    "empty-lists": web(env=[], routes=[], healthChecks=[], overrides=[]),
}

BAD = [
    Bad("unknown-field", web(replicas=3), ("spec.replicas", "unknown field")),
    Bad("unknown-nested", web(docker={"image": "a", "tag": "1"}), ("spec.docker.tag", "unknown")),
    Bad("no-type", {"docker": {"image": "a"}}, ("spec.type", "required")),
    Bad("no-docker", {"type": "WORKER"}, ("spec.docker", "required")),
    Bad("unknown-type", of_type("CRON"), ("spec.type", "CRON", "WEB", "WORKER", "BATCH", "SYSTEM")),
    Bad("image-with-space", web(docker={"image": "a b"}), ("spec.docker.image", "a b", "spaces")),
    Bad("empty-image", web(docker={"image": ""}), ("spec.docker.image", "image reference")),
    Bad(
        "variable-in-image",
        web(docker={"image": "a:${attr.x}"}),
        ("spec.docker.image", "${attr.x}", "letters, digits"),
    ),
    Bad(
        "variable-in-command",
        web(docker={"image": "a", "command": "${NOMAD_DC}"}),
        ("spec.docker.command", "${NOMAD_DC}", "without ${"),
    ),
    Bad(
        "machine-attribute-in-args",
        web(docker={"image": "a", "args": ["x", "${attr.unique.hostname}"]}),
        ("spec.docker.args[1]", "${attr.unique.hostname}", "${NOMAD_PORT_p3000}"),
    ),
    Bad(
        "machine-attribute-in-env",
        web(env=[{"name": "A", "value": "${meta.rack}"}]),
        ("spec.env[0].value", "${meta.rack}", "NOMAD_"),
    ),
    Bad(
        "machine-attribute-in-override",
        override(env=[{"name": "A", "value": "${meta.rack}"}]),
        ("spec.overrides[0].env[0].value", "${meta.rack}", "NOMAD_"),
    ),
    Bad("env-name", web(env=[{"name": "A-B", "value": ""}]), ("spec.env[0].name", "A-B", "digits")),
    Bad(
        "env-without-source",
        web(env=[{"name": "A"}]),
        ("spec.env[0]", "A", "neither", "exactly one"),
    ),
    Bad(
        "env-with-two-sources",
        web(env=[{"name": "A", "value": "", "secretRef": SECRET}]),
        ("spec.env[0]", "A", "both", "exactly one of value and secretRef"),
    ),
    Bad("duplicate-env", web(env=[{"name": "A", "value": ""}] * 2), ("spec.env[1]", "A")),
    Bad("port-0", web(ports=[{"port": 0}]), ("spec.ports[0].port", "0", "1")),
    Bad("port-65536", web(ports=[{"port": 65536}]), ("spec.ports[0].port", "65536", "65535")),
    Bad("port-as-text", web(ports=[{"port": "80"}]), ("spec.ports[0].port",)),
    Bad("duplicate-port", web(ports=[{"port": 80}] * 2), ("spec.ports[1]", "80")),
    Bad(
        "protocol",
        web(ports=[{"port": 1, "protocol": "udp"}]),
        ("protocol", "udp", "http2", "grpc"),
    ),
    Bad("web-without-port", of_type("WEB"), ("spec.ports", "WEB", "at least one port")),
    Bad("duplicate-route", web(routes=[{"port": 3000, "path": "/"}] * 2), ("spec.routes[1]", "/")),
    Bad("route-without-path", web(routes=[{"port": 3000}]), ("spec.routes[0].path", "required")),
    Bad(
        "path",
        web(routes=[{"port": 3000, "path": "a"}]),
        ("spec.routes[0].path", "a", "begins with /"),
    ),
    Bad(
        "route-to-unlisted-port",
        web(routes=[{"port": 80, "path": "/"}]),
        ("spec.routes", "80", "not listed", "3000", "9000"),
    ),
    Bad(
        "worker-with-route",
        of_type("WORKER", ports=[{"port": 80}], routes=[{"port": 80, "path": "/"}]),
        ("spec.routes", "WORKER", "only type WEB"),
    ),
    Bad("count--1", web(scaling={"count": -1}), ("spec.scaling.count", "-1", "0")),
    Bad("count-1e9", web(scaling={"count": 10**9}), ("spec.scaling.count", "1000000000", "10000")),
    Bad("memory", web(resources={"memoryMB": 5}), ("spec.resources.memoryMB", "5", "10")),
    Bad(
        "limit-below-reservation",
        web(resources={"memoryMB": 200, "memoryMaxMB": 100}),
        ("spec.resources.memoryMaxMB", "100", "at least memoryMB", "200"),
    ),
    Bad(
        "limit-below-default",
        web(resources={"memoryMaxMB": 100}),
        ("spec.resources.memoryMaxMB", "100", "at least memoryMB", "256"),
    ),
    Bad(
        "limit-below-overridden-reservation",
        {**override(resources={"memoryMB": 600}), "resources": {"memoryMaxMB": 500}},
        ("spec.overrides", "500", "600", "memoryMaxMB"),
    ),
    Bad(
        "check-of-unlisted-port",
        web(healthChecks=[{"port": 80}]),
        ("spec.healthChecks", "80", "not listed", "3000"),
    ),
    Bad(
        "path-of-tcp-check",
        web(healthChecks=[{"port": 3000, "type": "tcp", "path": "/"}]),
        ("spec.healthChecks[0].path", "/", "tcp", "only type http"),
    ),
    Bad(
        "check-by-grpc",
        web(healthChecks=[{"port": 3000, "type": "grpc"}]),
        ("spec.healthChecks[0].type", "grpc", "http", "tcp"),
    ),
    Bad(
        "interval",
        web(healthChecks=[{"port": 3000, "interval": "999ms"}]),
        ("spec.healthChecks[0].interval", "999ms", "at least 1s"),
    ),
    Bad(
        "timeout",
        web(healthChecks=[{"port": 3000, "timeout": "0s"}]),
        ("spec.healthChecks[0].timeout", "0s", "at least 1s"),
    ),
    Bad(
        "no-duration",
        web(healthChecks=[{"port": 3000, "timeout": "10"}]),
        ("spec.healthChecks[0].timeout", "10", "duration"),
    ),
    Bad(
        "healthy-later-than-deadline",
        web(update={"minHealthyTime": "6m"}),
        ("spec.update.minHealthyTime", "6m", "shorter than healthyDeadline", "5m"),
    ),
    Bad(
        "deadline-later-than-progress",
        web(update={"healthyDeadline": "10m"}),
        ("spec.update.healthyDeadline", "10m", "shorter than progressDeadline", "10m"),
    ),
    Bad("max-parallel-0", web(update={"maxParallel": 0}), ("spec.update.maxParallel", "0", "1")),
    Bad("driver", web(driver="Docker!"), ("spec.driver", "Docker!", "lower-case")),
    Bad(
        "batch-with-check",
        of_type("BATCH", ports=[{"port": 1}], healthChecks=[{"port": 1}]),
        ("spec.healthChecks", "BATCH"),
    ),
    Bad("batch-with-update", of_type("BATCH", update={}), ("spec.update", "BATCH")),
    Bad("system-with-scaling", of_type("SYSTEM", scaling={}), ("spec.scaling", "SYSTEM")),
    Bad("system-with-canary", of_type("SYSTEM", update={"canary": 1}), ("spec.update", "SYSTEM")),
    Bad(
        "system-with-data-centers",
        of_type("SYSTEM", placement={"dataCenters": {}}),
        ("spec.placement.dataCenters", "SYSTEM"),
    ),
    Bad(
        "system-with-scaled-override",
        {**override(), "type": "SYSTEM"},
        ("spec.overrides", "SYSTEM", "no"),
    ),
    Bad(
        "named-and-selected",
        web(placement={"regions": ["fra"], "regionSelector": {}}),
        ("spec.placement.regions", "fra", "cannot be combined with regionSelector"),
    ),
    Bad(
        "named-and-by-continent",
        web(placement={"regions": ["fra"], "continents": ["eu"]}),
        ("spec.placement.regions", "fra", "cannot be combined"),
    ),
    Bad("region-name", web(placement={"regions": ["FRA"]}), ("regions[0]", "FRA", "lower-case")),
    Bad("duplicate-region", web(placement={"regions": ["fra"] * 2}), ("regions[1]", "fra")),
    Bad(
        "operator-without-values",
        web(placement={"regionSelector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
        ("matchExpressions[0].values", "In and NotIn need values"),
    ),
    Bad(
        "operator-with-values",
        web(
            placement={
                "regionSelector": {
                    "matchExpressions": [{"key": "a", "operator": "Exists", "values": ["b"]}]
                }
            }
        ),
        ("matchExpressions[0].values", "take none"),
    ),
    Bad(
        "duplicate-override",
        web(overrides=override()["overrides"] * 2),
        ("spec.overrides[1]", "big"),
    ),
    Bad(
        "override-of-unplaced-region",
        {**override(), "placement": {"regions": ["fra", "par"]}},
        ("spec.overrides", "was", "placed", "placement.regions lists", "fra", "par"),
    ),
    Bad(
        "override-of-excluded-region",
        {**override(), "placement": {"excludeRegions": ["was"]}},
        ("spec.overrides", "was", "placement.excludeRegions"),
    ),
    Bad("override-of-nothing", override(regions=[]), ("spec.overrides[0]", "big", "exactly one")),
    Bad("override-of-both", override(regionSelector={}), ("spec.overrides[0]", "big", "both")),
    Bad("empty-override", override(scaling={}), ("spec.overrides[0]", "big", "changes nothing")),
    Bad("name", web(name="other"), ("spec.name", "other", "metadata.name", "shop")),
    Bad(
        "deletion-policy",
        web(deletionPolicy="Keep"),
        ("deletionPolicy", "Keep", "Delete", "Orphan"),
    ),
    Bad("paused", web(paused="yes"), ("spec.paused",)),
]


def document(spec: Spec, name: str = "shop") -> dict[str, Any]:
    """Make the GlobalDeployment of *spec*."""
    return {
        "apiVersion": "orrery.dev/v1alpha1",
        "kind": "GlobalDeployment",
        "metadata": {"name": spec.get("name", name) if spec is ARTICLE else name},
        "spec": spec,
    }
