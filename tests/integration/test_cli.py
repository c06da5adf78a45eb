"""The verbs as users run them: processes, on a real hub, with regions that answer."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml
from tests.builders import a_deployment
from tests.lab.requirements import require_nomad
from tests.lab.rest import Rest, connected
from tests.lab.verbs import Said, orrery

from orrery.adapters.clock import SystemClock
from orrery.adapters.kube import HubConnection, HubSource, KubeHub
from orrery.adapters.nomad import NomadClientFactory
from orrery.api.validation import validate_deployment, validate_region_class
from orrery.cli.output import WIDTH
from orrery.names import nomad_namespace
from orrery.planning.placement import RegionCandidate
from orrery.planning.split import split
from orrery.playground import lifecycle, power
from orrery.playground.lifecycle import Options
from orrery.playground.state import Layout, NomadKind
from orrery.ports import Credentials, Document, HubEvent, Key, Kind, RegionNomad
from orrery.reconcile.assignment import assignment_of
from orrery.reconcile.fleet import drivers_of
from orrery.telemetry import Telemetry

pytestmark = pytest.mark.asyncio(loop_scope="module")

SMALL = {"cpuMHz": 50, "memoryMB": 32}


@dataclass(frozen=True, slots=True)
class Lab:
    """A hub and regions, without an operator: what its status says is written by hand."""

    directory: Path
    hub: Rest

    async def orrery(self, *words: str, stdin: str = "") -> Said:
        """Run a verb in namespace default, as a user does."""
        return await orrery(*words, kubeconfig=Layout.of(self.directory).kubeconfig, stdin=stdin)

    def nomad(self, region: str) -> RegionNomad:
        """Connect to a region with the operator's own client."""
        entries = json.loads(Layout.of(self.directory).regions_file.read_text(encoding="utf-8"))
        entry = next(e for e in entries if e["name"] == region)
        files = ("tokenFile", "caFile", "certFile", "keyFile")
        texts = [Path(entry[file]).read_text(encoding="utf-8").strip() for file in files]
        return NomadClientFactory().connect(Credentials(entry["nomadAddress"], *texts))

    async def register(self, manifest: Document, region: str, **fields: Any) -> None:
        """Bring one region to *manifest*, as the operator does; *fields* are changed by hand."""
        classes = self.hub.get("/apis/orrery.dev/v1alpha1/regionclasses/playground").body
        deployment = validate_deployment(manifest)
        metadata = deployment.metadata
        regional = split(
            deployment.spec,
            namespace=metadata.namespace,
            name=metadata.name,
            regions=[RegionCandidate(name, "") for name in ("fra", "was", "par")],
        )[region]
        assignment = assignment_of(
            regional,
            deployment,
            install="orrery",
            drivers=drivers_of(validate_region_class(classes)),
            region_class="playground",
            secrets={},
        )
        assert assignment.document
        assert assignment.submission
        nomad = self.nomad(region)
        try:
            await nomad.create_namespace(nomad_namespace("orrery", metadata.namespace), "a tenant")
            await nomad.register_job(
                {**assignment.document, **fields},
                expected_index=0,
                submission=assignment.submission,
            )
        finally:
            await nomad.close()

    async def jobs(self, region: str) -> list[tuple[str, str, int]]:
        """Name all jobs of a region, with what changes when one is written."""
        nomad = self.nomad(region)
        try:
            found = await nomad.list_jobs()
        finally:
            await nomad.close()
        return sorted((job.namespace, job.id, job.job_modify_index) for job in found.jobs)


@pytest_asyncio.fixture(
    scope="module", loop_scope="module", params=[NomadKind.SIMULATED, NomadKind.REAL]
)
async def directory(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Path]:
    kind: NomadKind = request.param
    if kind is NomadKind.REAL:
        require_nomad()
    folder = tmp_path_factory.mktemp(f"cli-{kind}")
    await lifecycle.up(Options(directory=folder, regions=3, nomad=kind, operator=False), print)
    try:
        yield folder
    finally:
        await lifecycle.down(folder)


once = pytest.mark.parametrize("directory", [NomadKind.SIMULATED], indirect=True)
"""For verbs that ask the hub only: it is the same whatever the regions are made of."""


@pytest.fixture(scope="module")
def lab(directory: Path) -> Iterator[Lab]:
    with connected(Layout.of(directory).kubeconfig) as hub:
        yield Lab(directory, hub)


def the_shop(name: str = "shop", **spec: Any) -> dict[str, Any]:
    """Make a small deployment for all three regions, in namespace default."""
    return a_deployment(
        name, namespace="default", **{"scaling": {"count": 1}, "resources": SMALL, **spec}
    )


def applied(lab: Lab, manifest: Document, status: Document) -> Document:
    """Apply an object and write its status, as the operator would."""
    assert lab.hub.apply(manifest).ok
    reply = lab.hub.write_status(manifest, status)
    assert reply.ok, reply.message
    return reply.body


def a_status(**regions: dict[str, Any]) -> dict[str, Any]:
    """Make the status of a deployment whose regions are all in one continent."""
    return {
        "observedGeneration": 1,
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Succeeded",
                "message": "healthy in 2 regions; was does not answer",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-03-01T11:55:00Z",
            }
        ],
        "display": {"regions": "2/3", "status": "was does not answer"},
        "continents": [{"name": "eu", "regions": regions}],
    }


HEALTHY = {"phase": "Healthy", "ready": "1/1", "revision": "aa11", "index": 12}
SILENT = {**HEALTHY, "phase": "Unreachable", "reason": "RegionUnreachable"}


@once
async def test_status_shows_what_the_operator_wrote(lab: Lab) -> None:
    applied(lab, the_shop("seen"), a_status(fra=HEALTHY, par=HEALTHY, was=SILENT))

    said = await lab.orrery("status")

    assert said.code == 0
    assert said.out.startswith("whether an operator runs is not known: there is no lease ")
    assert "\n2 continents, 3 regions: 3 Pending\n" in said.out
    assert "default    seen  2/3      True   was does not answer\n" in said.out
    assert said.out.isascii()
    assert max(map(len, said.out.splitlines())) <= WIDTH


@once
async def test_status_as_json(lab: Lab) -> None:
    applied(lab, the_shop("seen"), a_status(fra=HEALTHY, par=HEALTHY, was=SILENT))

    said = (await lab.orrery("status", "-A", "-o", "json")).json

    assert [c["name"] for c in said["continents"]] == ["eu", "na"]
    (seen,) = [d for d in said["deployments"] if d["name"] == "seen"]
    assert (seen["namespace"], seen["regions"], seen["ready"]) == ("default", "2/3", "True")


@once
async def test_describe_folds_regions_and_shows_events(lab: Lab) -> None:
    body = applied(lab, the_shop("seen"), a_status(fra=HEALTHY, par=HEALTHY, was=SILENT))
    key = Key(Kind.GLOBAL_DEPLOYMENT, "default", "seen")
    source = HubSource(str(Layout.of(lab.directory).kubeconfig))
    async with HubConnection(source) as connection:
        hub = KubeHub(connection, clock=SystemClock(), telemetry=Telemetry(), instance="test")
        event = HubEvent(key, body["metadata"]["uid"], "Warning", "RegionLost", "was is silent")
        await hub.emit_event(event)

    said = await lab.orrery("describe", "gd/seen")

    assert said.code == 0
    assert "    was unreachable 1/1 at aa11\n" in said.out
    assert "    2 regions healthy 1/1 at aa11: fra, par\n" in said.out
    assert "Warning  RegionLost  was is silent" in said.out


@once
async def test_describe_region(lab: Lab) -> None:
    said = await lab.orrery("describe", "rgn/fra")

    assert said.code == 0
    assert said.out.startswith(
        "Region fra (Frankfurt): Pending\n"
        "  continent eu (Europe), class playground, Frankfurt, DE\n"
    )


@once
async def test_near_name_is_suggested(lab: Lab) -> None:
    applied(lab, the_shop("seen"), a_status(fra=HEALTHY))

    said = await lab.orrery("describe", "gd/sen")

    assert said.code == 1
    assert said.error == (
        'Error: GlobalDeployment "sen" does not exist in namespace "default";'
        ' did you mean "seen"?\n'
    )


@once
async def test_explain_knows_the_labels_of_live_regions(lab: Lab) -> None:
    edge = {"matchLabels": {"tier": "edge"}}
    override = {"name": "small-at-the-edge", "regionSelector": edge, "scaling": {"count": 2}}
    applied(lab, the_shop("seen", overrides=[override]), a_status(fra=HEALTHY))

    at_the_edge = (await lab.orrery("explain", "gd/seen", "--region", "par", "-o", "json")).json
    elsewhere = (await lab.orrery("explain", "gd/seen", "--region", "fra", "-o", "json")).json

    expected = {"field": "scaling.count", "value": "2", "setBy": "override small-at-the-edge"}
    assert expected in at_the_edge["fields"]
    assert {"field": "scaling.count", "value": "1", "setBy": "spec"} in elsewhere["fields"]


async def test_plan_of_something_new_writes_nothing(lab: Lab) -> None:
    manifest = the_shop("new")
    before = {region: await lab.jobs(region) for region in ("fra", "was", "par")}

    said = await lab.orrery("plan", "-f", "-", stdin=yaml.safe_dump(manifest))

    assert said.code == 1
    assert said.out == (
        "GlobalDeployment default/new\n"
        "  create in 3 regions: fra, par, was\n"
        "    instances in each: 1 to start\n"
    )
    assert {region: await lab.jobs(region) for region in before} == before
    assert lab.hub.read(manifest).status == 404


async def test_plan_groups_regions_and_names_fields(lab: Lab) -> None:
    manifest = the_shop("planned")
    for region in ("fra", "was", "par"):
        await lab.register(manifest, region)
    before = {region: await lab.jobs(region) for region in ("fra", "was", "par")}
    override = {"name": "big", "regions": ["was"], "resources": {"memoryMB": 48}}
    changed = the_shop("planned", overrides=[override])

    same = await lab.orrery("plan", "-f", "-", stdin=yaml.safe_dump(manifest))
    other = await lab.orrery("plan", "-f", "-", stdin=yaml.safe_dump(changed))

    assert (same.code, same.out) == (
        0,
        "GlobalDeployment default/planned\n  no change in 3 regions: fra, par, was\n",
    )
    assert other.code == 1
    assert other.out == (
        "GlobalDeployment default/planned\n"
        "  update in 1 region: was\n"
        "    resources.memoryMB: 32 -> 48\n"
        "    instances: 1 to replace\n"
        "  no change in 2 regions: fra, par\n"
    )
    assert {region: await lab.jobs(region) for region in before} == before


async def test_plan_says_where_there_is_no_room(lab: Lab) -> None:
    manifest = the_shop("huge", resources={"memoryMB": 9_000_000}, placement={"regions": ["fra"]})

    said = await lab.orrery("plan", "-f", "-", stdin=yaml.safe_dump(manifest))

    assert said.code == 1
    assert "no room: 1 machine looked at, 1 full (1 out of memory)" in said.out


async def test_plan_leaves_the_job_of_somebody_else_alone(lab: Lab) -> None:
    manifest = the_shop("theirs", placement={"regions": ["fra"]})
    await lab.register(the_shop("theirs"), "fra", Meta={"owner": "somebody"})

    said = await lab.orrery("plan", "-f", "-", stdin=yaml.safe_dump(manifest))

    assert said.code == 255
    assert "  blocked in 1 region: fra\n" in said.out
    assert "is there and is not managed by Orrery; it is left alone" in " ".join(said.out.split())


async def test_plan_names_a_region_that_does_not_answer(lab: Lab) -> None:
    await power.kill(lab.directory, "par")
    try:
        said = await lab.orrery("plan", "-f", "-", stdin=yaml.safe_dump(the_shop("new")))
        only = the_shop("new", placement={"regions": ["par"]})
        blind = await lab.orrery("plan", "-f", "-", stdin=yaml.safe_dump(only))
    finally:
        await power.revive(lab.directory, "par")

    assert said.code == 1
    assert "  create in 2 regions: fra, was\n" in said.out
    assert "  later in 1 region: par\n" in said.out
    assert "    will be brought to this spec when it answers\n" in said.out
    assert blind.code == 255


@once
async def test_plan_without_credentials_says_which_secret_is_missing(lab: Lab) -> None:
    manifest = yaml.safe_dump(the_shop("new", placement={"regions": ["fra"]}))

    said = await lab.orrery("plan", "-f", "-", "--operator-namespace", "none", stdin=manifest)

    assert said.code == 255
    assert 'Secret "fra-nomad" in namespace "none" does not exist' in " ".join(said.out.split())


async def test_secret_values_are_never_printed(lab: Lab, tmp_path: Path) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "default"},
        "stringData": {"password": "hunter2"},
    }
    env = [{"name": "PASSWORD", "secretRef": {"name": "db", "key": "password"}}]
    file = tmp_path / "all.yaml"
    file.write_text(yaml.safe_dump_all([secret, the_shop("new", env=env)]))

    texts = await lab.orrery("plan", "-f", str(file))
    document = await lab.orrery("plan", "-f", str(tmp_path), "-o", "json")

    assert texts.code == document.code == 1
    assert "skipped: Secret db in" in texts.out
    token = Layout.of(lab.directory).files_of("fra").token.read_text(encoding="utf-8").strip()
    for said in (texts, document):
        assert not any(value in said.out + said.error for value in ("hunter2", token))


@once
async def test_hub_that_does_not_answer_is_a_problem_in_one_sentence(lab: Lab) -> None:
    config = yaml.safe_load(Layout.of(lab.directory).kubeconfig.read_text(encoding="utf-8"))
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    dead = lab.directory / "logs" / "dead"
    dead.write_text(yaml.safe_dump(config), encoding="utf-8")

    said = await orrery("status", kubeconfig=dead)

    assert said.code == 1
    assert said.error.startswith("Error: ")
    assert said.error.count("\n") == 1
    assert "127.0.0.1" in said.error
