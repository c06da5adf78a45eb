"""What is rendered, held to a real Nomad: what it accepts, restarts, leaves alone and reverts."""

import copy
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.contract.job_probe import NAMESPACE, JobProbe
from tests.lab.nomad import NomadAgent
from tests.lab.polling import until_blocking
from tests.unit.render.deployments import a_regional, a_spec

from orrery.api.regionclass import Driver
from orrery.planning.drift import differences
from orrery.ports import Document, Secret, Submission
from orrery.render.digest import job_digest
from orrery.render.nomad_job import describe_job, render_job
from orrery.render.submission import parse_submission, render_submission
from orrery.render.variables import render_items


def a_driver(*args: str, command: str = sys.executable) -> Driver:
    config = {"command": command, "args": list(args)}
    return Driver(name="host", nomad_driver="raw_exec", port_mapping=False, config=config)


PROCESS = a_driver(
    "-c", "case $0 in *bad) exit 1;; esac; exec sleep 3600", "{image}", "{args}", command="/bin/sh"
)
SERVER = a_driver(
    "-c",
    "import http.server as h; h.test(h.SimpleHTTPRequestHandler, port={port}, bind='127.0.0.1')",
)
REVEALING = a_driver(
    "-c",
    "import json, os, sys, time; print(json.dumps([dict(os.environ), sys.argv[1:]]), flush=True)\n"
    "time.sleep(3600)",
    "{args}",
)

QUICK: dict[str, Any] = {
    "minHealthyTime": "500ms",
    "healthyDeadline": "30s",
    "progressDeadline": "60s",
}
"""For versions that become healthy, be the machine slow or not."""
HASTY = QUICK | {"healthyDeadline": "4s", "progressDeadline": "5s"}
"""For versions that never do; Nomad takes no deadline below the time to kill a task."""
WEB: dict[str, Any] = {
    "type": "WEB",
    "ports": [{"port": 3000, "protocol": "http"}],
    "routes": [{"port": 3000, "path": "/"}],
    "healthChecks": [{"port": 3000, "interval": "1s", "timeout": "1s"}],
    "update": QUICK,
}
TYPES: dict[str, tuple[Driver, dict[str, Any]]] = {
    "web": (SERVER, WEB),
    "worker": (
        PROCESS,
        {
            "type": "WORKER",
            "scaling": {"count": 2},
            "update": QUICK | {"canary": 1},
            "placement": {"dataCenters": {"preferred": ["dc1", "dc2"]}},
            "resources": {"memoryMB": 100, "memoryMaxMB": 200},
            "env": [{"name": "EMPTY", "value": ""}],
        },
    ),
    "batch": (PROCESS, {"type": "BATCH"}),
    "system": (PROCESS, {"type": "SYSTEM", "update": QUICK}),
}
TWO: dict[str, Any] = {"scaling": {"count": 2}, "update": QUICK}
REPLACING: dict[str, dict[str, Any]] = {
    "image": {"docker": {"image": "demo:2"}},
    "args": {"docker": {"image": "demo:1", "args": ["-v"]}},
    "env": {"env": [{"name": "LOG", "value": "debug"}]},
    "memory": {"resources": {"memoryMB": 128}},
    "port": {"ports": [{"port": 90}]},
}


@pytest.fixture(scope="module")
def nomad(any_agent: NomadAgent) -> Iterator[JobProbe]:
    """An agent where the first versions run that several tests begin with.

    Nomad takes seconds until a job is found healthy, and no more for a dozen of them. When a test
    registers the same once more, nothing happens.
    """
    probe = JobProbe(any_agent)
    probe.call("PUT", f"/v1/namespace/{NAMESPACE}", {"Name": NAMESPACE})
    for name, (driver, spec) in TYPES.items():
        probe.register(render(f"type-{name}", driver, **spec))
    for name in REPLACING:
        probe.register(render(f"replace-{name}", PROCESS, **TWO))
    probe.register(the_bad("first"))
    probe.register(the_good("revert"), note_of("revert", the_good("revert")))
    yield probe
    probe.stop_everything()


def the_good(name: str, **spec: Any) -> Document:
    return render(name, PROCESS, **{"update": QUICK, "docker": {"image": "demo:good"}, **spec})


def the_bad(name: str, **spec: Any) -> Document:
    bad = {"update": HASTY, "docker": {"image": "demo:bad"}, "revision": "b"}
    return render(name, PROCESS, **{**bad, **spec})


def render(name: str, driver: Driver, *, revision: str = "a", **spec: Any) -> Document:
    return render_job(
        a_regional(name, **spec),
        install="orrery",
        driver=driver,
        region_class="standard",
        description=describe_job("team-a", name, revision),
    )


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_runs_as_rendered_and_reads_back_without_drift(
    nomad: JobProbe, kind: str
) -> None:
    driver, spec = TYPES[kind]
    name = f"type-{kind}"
    job = render(name, driver, **spec)

    nomad.register(job)

    assert nomad.running(name, count=spec.get("scaling", {}).get("count", 1))
    if spec["type"] != "BATCH":
        assert nomad.settled(name)["Status"] == "successful"
    seen = nomad.job(name)
    assert differences(job, seen) == []
    assert seen["Region"] == nomad.agent.region


@pytest.fixture(scope="module")
def shop(nomad: JobProbe) -> list[str]:
    nomad.register(render("shop", SERVER, **WEB))
    return nomad.running("shop")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"scaling": {"count": 2}}, id="scaling"),
        pytest.param({"routes": [{"port": 3000, "path": "/other"}]}, id="route"),
        pytest.param({"ports": [{"port": 3000, "protocol": "http2"}]}, id="protocol"),
        pytest.param({"update": {**WEB["update"], "maxParallel": 5, "canary": 1}}, id="update"),
        pytest.param(
            {
                "healthChecks": [
                    {"port": 3000, "interval": "2s", "path": "/?up", "gracePeriod": "9s"}
                ]
            },
            id="health-check",
        ),
        pytest.param({"healthChecks": []}, id="no-health-check"),
        pytest.param({"placement": {"dataCenters": {"spread": False}}}, id="no-spread"),
        pytest.param({"placement": {"dataCenters": {"preferred": ["dc1"]}}}, id="preferred"),
        pytest.param({"revision": "b"}, id="description"),
    ],
)
def test_what_need_not_restart_instances_does_not(
    nomad: JobProbe, shop: list[str], change: dict[str, Any]
) -> None:
    job = render("shop", SERVER, **WEB | change)
    version = nomad.job("shop")["Version"]

    nomad.register(job)

    seen = nomad.job("shop")
    assert seen["Version"] > version
    assert differences(job, seen) == []
    count = job["TaskGroups"][0]["Count"]
    assert set(shop) & set(nomad.running("shop", count=count)) == set(shop)


def test_a_submission_restarts_nothing_and_is_kept_with_its_version(
    nomad: JobProbe, shop: list[str]
) -> None:
    job = render("shop", SERVER, **WEB | {"routes": []})
    note = note_of("shop", job)

    nomad.register(job, note)

    assert set(shop) & set(nomad.running("shop")) == set(shop)
    version = nomad.job("shop")["Version"]
    assert submitted_digest(nomad, "shop", version) == job_digest(job)


@dataclass
class Replaced:
    """What was seen of a job while its instances were replaced."""

    before: list[str]
    fewest: int = 2
    """How many of the wanted instances ran at the worst moment."""


@pytest.fixture(scope="module")
def replaced(nomad: JobProbe) -> dict[str, Replaced]:
    """Make all changes at once, and look on."""
    seen = {}
    for change in REPLACING:
        seen[change] = Replaced(nomad.running(f"replace-{change}", count=2))
        assert nomad.settled(f"replace-{change}")["Status"] == "successful"
    for change, fields in REPLACING.items():
        nomad.register(render(f"replace-{change}", PROCESS, **TWO | fields))

    def is_over(change: str) -> bool:
        name = f"replace-{change}"
        alive = [a for a in nomad.allocations(name) if a["DesiredStatus"] == "run"]
        running = sum(a["ClientStatus"] == "running" for a in alive)
        seen[change].fewest = min(seen[change].fewest, running)
        deployments = nomad.job(name, "/deployments")
        return all(d["Status"] == "successful" for d in deployments) and len(deployments) == 2

    # Each is looked at each time, be the others over or not.
    until_blocking(lambda: not [change for change in REPLACING if not is_over(change)])
    return seen


@pytest.mark.parametrize("change", REPLACING)
def test_what_needs_other_instances_replaces_them_by_the_update_rules(
    nomad: JobProbe, replaced: dict[str, Replaced], change: str
) -> None:
    after = nomad.running(f"replace-{change}", count=2)

    assert set(replaced[change].before).isdisjoint(after)
    assert replaced[change].fewest >= 1


NASTY = {
    "EMPTY": "",
    "SPACES": "  two  spaces \t",
    "NEWLINES": "\n-----BEGIN-----\r\nabc\n-----END-----\n",
    "QUOTES": "\"double\" 'single' `back`",
    "HASH": "# no comment # at all",
    "DOLLAR": "$HOME ${HOME} $${x} ${env.X} ${attr.unique.hostname} %{x}",
    "TEMPLATE": '{{ env "HOME" }} }} {{',
    "BACKSLASH": "\\ \\n \\\\ \\u0041 C:\\x",
    "UNICODE": "é 中 \U0001f30d \u2028 \u2029 \ufeff \u200b",
    "CONTROL": "".join(chr(c) for c in range(1, 32)) + "\x7f\x85\xa0",
    "HTML": "<a href='x'>&amp;</a>",
    "EQUALS": "a=b=c",
    "EXPORT": "export A=b",
    "JSON": json.dumps({"a": ["\n", '"']}),
    "_lower1": "v",
    "LONG": "é" * 10_000,
}


def test_secrets_of_any_content_arrive_in_the_environment(nomad: JobProbe) -> None:
    env = [{"name": name, "secretRef": {"name": "s", "key": name}} for name in NASTY]
    regional = a_regional("secrets", env=env)
    data = {name: value.encode() for name, value in NASTY.items()}
    items = render_items(regional, {"s": Secret("team-a", "s", "Opaque", {}, data)})
    nomad.put_variable("secrets", items)

    nomad.register(render("secrets", REVEALING, env=env, update=QUICK))

    seen = environment(nomad, nomad.running("secrets")[0])
    assert {name: seen.get(name) for name in NASTY} == NASTY
    assert (
        differences(render("secrets", REVEALING, env=env, update=QUICK), nomad.job("secrets")) == []
    )


def test_a_changed_secret_restarts_the_instance_with_the_new_value(nomad: JobProbe) -> None:
    env = [{"name": "TOKEN", "secretRef": {"name": "s", "key": "token"}}]
    nomad.put_variable("rotate", {"env_TOKEN": "old"})
    nomad.register(render("rotate", REVEALING, env=env))
    (allocation,) = nomad.running("rotate")
    assert environment(nomad, allocation)["TOKEN"] == "old"

    nomad.put_variable("rotate", {"env_TOKEN": "new"})

    until_blocking(lambda: environment(nomad, allocation)["TOKEN"] == "new")
    assert nomad.running("rotate") == [allocation]


def test_an_instance_that_loses_a_secret_fails(nomad: JobProbe) -> None:
    env = [{"name": name, "secretRef": {"name": "s", "key": name}} for name in ("KEPT", "LOST")]
    nomad.put_variable("loses", {"env_KEPT": "1", "env_LOST": "2"})
    nomad.register(render("loses", REVEALING, env=env))
    (allocation,) = nomad.running("loses")

    nomad.put_variable("loses", {"env_KEPT": "1"})

    until_blocking(lambda: allocation in nomad.ended("loses", "failed"))


def test_arguments_arrive_as_they_are_written(nomad: JobProbe) -> None:
    args = [
        "%{ if true }",
        "%%{x}",
        "a%{",
        "$HOME",
        "{image}",
        "{{ x }}",
        "\"q\" 'q'",
        "\\n\n",
        "é",
    ]

    nomad.register(render("arguments", REVEALING, docker={"image": "demo:1", "args": args}))

    assert printed(nomad, nomad.running("arguments")[0])[1] == args


def test_a_bad_version_is_reverted_and_leaves_its_trace(nomad: JobProbe) -> None:
    good, bad = the_good("revert"), the_bad("revert")
    nomad.register(good, note_of("revert", good))
    nomad.running("revert")
    nomad.settled("revert")

    nomad.register(bad, note_of("revert", bad))
    until_blocking(lambda: nomad.job("revert")["Version"] == 2)
    nomad.settled("revert")

    seen = nomad.job("revert")
    deployments = {d["JobVersion"]: d for d in nomad.job("revert", "/deployments")}
    assert differences(good, seen) == []
    assert differences(the_bad("revert", update=QUICK), seen) == [
        "TaskGroups[instances].Tasks[app].Config.args: changed",
    ]
    assert [deployments[version]["Status"] for version in (0, 1, 2)] == [
        "successful",
        "failed",
        "successful",
    ]
    why, _, then = deployments[1]["StatusDescription"].partition(" - ")
    assert why in {"Failed due to progress deadline", "Failed due to unhealthy allocations"}
    assert then == "rolling back to job version 0"
    assert [submitted_digest(nomad, "revert", version) for version in (0, 1, 2)] == [
        job_digest(good),
        job_digest(bad),
        job_digest(good),
    ]


def test_a_first_version_that_is_bad_has_nothing_to_go_back_to(nomad: JobProbe) -> None:
    nomad.register(the_bad("first"))

    deployment = nomad.settled("first")

    assert deployment["Status"] == "failed"
    assert deployment["StatusDescription"].endswith(" - no stable job version to auto revert to")
    assert nomad.job("first")["Version"] == 0


def test_nomad_itself_runs_no_grpc_checks(nomad: JobProbe) -> None:
    job = copy.deepcopy(dict(render("grpc", SERVER, **WEB)))
    job["TaskGroups"][0]["Services"][0]["Checks"][0]["Type"] = "grpc"

    with pytest.raises(AssertionError, match=r'invalid check type \("grpc"\)'):
        nomad.register(job)


def note_of(name: str, job: Document) -> Submission:
    return render_submission(
        a_spec(),
        install="orrery",
        namespace="team-a",
        name=name,
        generation=1,
        revision="a",
        digest=job_digest(job),
    )


def submitted_digest(nomad: JobProbe, name: str, version: int) -> str:
    kept = nomad.job(name, "/submission", version=version)
    note = parse_submission(Submission(kept["Source"], kept["Format"]))
    assert note is not None
    return note.digest


def environment(nomad: JobProbe, allocation: str) -> dict[str, str]:
    seen: dict[str, str] = printed(nomad, allocation)[0]
    return seen


def printed(nomad: JobProbe, allocation: str) -> Any:
    """Return what the newest process of an allocation has printed."""
    return json.loads(until_blocking(lambda: nomad.log(allocation).splitlines())[-1])
