"""The steps of the demo: each says what happens, does it, waits for it, and shows it.

Every wait is for a condition of the hub's objects, with a deadline; nothing sleeps for luck.
"""

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from orrery.adapters.kube import HubConnection, HubSource
from orrery.cli.explain import accept, candidates, explain_in
from orrery.cli.hub import HubReader, Target
from orrery.cli.output import rendered, table
from orrery.cli.status import look, planet_text
from orrery.errors import InvalidSpec
from orrery.playground import lifecycle, power, shell
from orrery.playground.failures import NotReady
from orrery.playground.kubeapi import apply_options, object_path
from orrery.playground.lifecycle import Options
from orrery.playground.processes import await_ready
from orrery.playground.state import Layout, State
from orrery.playground.status import status
from orrery.ports import Document, Key, Kind

FIELD_MANAGER: Final = "orrery-demo"
NAMESPACE: Final = "default"

READY_WITHIN: Final = 120.0
"""Seconds for a deployment to become healthy: real instances start and are checked."""
DARK_WITHIN: Final = 60.0
GONE_WITHIN: Final = 90.0

SHOP: Final = "03-many-regions-with-overrides.yaml"
ARTICLE: Final = "01-article-definition.yaml"
SECRETS: Final = "05-secrets-in-env.yaml"

_APPLY: Final = "application/apply-patch+yaml"


class Tour:
    """One tour over one planet."""

    def __init__(self, options: Options, say: Callable[[str], None], *, hints: bool) -> None:
        """Tell the tour by *say*; *hints*: the planet stays, so say how to look at it, too."""
        self._options = options
        self._say = say
        self._hints = hints
        self._layout = Layout.of(options.directory)
        self._state: State | None = None
        self._connection = HubConnection(HubSource(str(self._layout.kubeconfig)))
        self._reader = HubReader(self._connection)

    @property
    def is_up(self) -> bool:
        """Whether there is a planet to take down."""
        return self._state is not None

    async def take(self) -> None:
        """Take all steps; raises `OrreryError` when one fails."""
        steps: Sequence[tuple[str, Callable[[], Awaitable[None]]]] = (
            ("A planet: a hub, the operator, and regions", self.start),
            ("One application in many regions", self.deploy),
            ("More applications, one with a Secret", self.deploy_more),
            ("One region differs: only that region is written to", self.override),
            ("A region dies: the status says what is known, no more", self.lose_region),
            ("The region comes back with what it ran", self.revive_region),
            ("Deleting stops the jobs in every region first", self.delete),
        )
        try:
            for number, (title, step) in enumerate(steps, start=1):
                self._say(f"\n[{number}/{len(steps)}] {title}")
                await step()
        finally:
            await self._connection.close()
        self._say("\nThat was the tour.")

    async def start(self) -> None:
        """Bring the playground up."""
        self._say(f"directory: {self._layout.root}")
        self._state = await lifecycle.up(self._options, self._say)
        await self._show_planet()
        self._hint("get regions")

    async def deploy(self) -> None:
        """Apply the example with overrides."""
        (shop,) = self._example(SHOP)
        await self._apply(shop)
        await self._await_healthy("shop")
        await self._show_deployments()
        self._hint("get gd")

    async def deploy_more(self) -> None:
        """Apply two more examples; a Secret's value stands in no job."""
        for name in (ARTICLE, SECRETS):
            for manifest in self._example(name):
                await self._apply(manifest)
        await asyncio.gather(*map(self._await_healthy, ("my-cool-website", "billing")))
        await self._show_deployments()
        self._hint("describe gd billing")

    async def override(self) -> None:
        """Change the override of one region, and prove that no other was written to."""
        (shop,) = self._example(SHOP)
        changed = copy.deepcopy(shop)
        override = changed["spec"]["overrides"][0]
        region, count = override["regions"][0], override["scaling"]["count"]
        override["scaling"]["count"] = count + 1
        before = _indexes(await self._shop())

        name = override["name"]
        self._say(f"changing override {name} of {region}: scaling.count: {count} -> {count + 1}")
        await self._apply(changed)
        await self._await_healthy("shop")

        after = _indexes(await self._shop())
        written = sorted(name for name in after if after[name] != before.get(name))
        if written != [region]:
            message = f"only {region} should have been written to, but {written} were"
            raise NotReady(message)
        deployment = accept(await self._shop(), "gd/shop")
        regions = candidates(await self._reader.list_in(Kind.REGION, ""))
        rows = [
            (row.field, row.source, row.value)
            for row in explain_in(deployment, regions, region).rows
            if row.source.startswith("override")
        ]
        self._say(f"written to: {', '.join(written)}; what its override sets there:")
        self._say(rendered(table(("FIELD", "SET BY", "VALUE"), rows)).rstrip())
        kubeconfig = self._layout.kubeconfig
        words = ("explain", "gd/shop", "--region", region, "--kubeconfig", kubeconfig)
        self._look(shell.orrery(*words))

    async def lose_region(self) -> None:
        """Kill a region as a power failure would."""
        region = await self._victim()
        await power.kill(self._layout.root, region, self._say)
        began = time.monotonic()
        await self._await(
            Kind.GLOBAL_DEPLOYMENT,
            "shop",
            lambda body: _regional(body).get(region, {}).get("phase") == "Unreachable",
            what=f"the status of shop says that {region} does not answer",
            within=DARK_WITHIN,
        )
        await self._await_phase(region, "Unreachable")
        self._say(f"noticed after {time.monotonic() - began:.1f} s")
        await self._show_planet()
        self._hint("get gd shop", f"get region {region}")

    async def revive_region(self) -> None:
        """Bring the region back."""
        region = await self._victim()
        await power.revive(self._layout.root, region, self._say)
        await self._await_phase(region, "Open")
        await self._await_healthy("shop")
        await self._show_planet()
        self._hint("get gd shop")

    async def delete(self) -> None:
        """Delete one deployment and wait until it is gone everywhere."""
        (shop,) = self._example(SHOP)
        regions = ", ".join(sorted(_regional(await self._shop())))
        self._say(f"deleting GlobalDeployment shop, which runs in {regions}")
        began = time.monotonic()
        await self._connection.demand("DELETE", object_path(shop))
        await self._await(
            Kind.GLOBAL_DEPLOYMENT,
            "shop",
            lambda body: not body,
            what="shop is gone, and its jobs in all regions before it",
            within=GONE_WITHIN,
        )
        seconds = time.monotonic() - began
        self._say(f"shop is gone, and its jobs in {regions} before it, after {seconds:.1f} s")
        await self._show_deployments()
        self._hint("get gd")

    async def _apply(self, manifest: Document) -> None:
        """Apply as `kubectl apply --server-side` does."""
        name = manifest["metadata"]["name"]
        self._say(f"applying {manifest['kind']} {name}")
        await self._connection.demand(
            "PATCH",
            object_path(manifest),
            body=manifest,
            content_type=_APPLY,
            query=apply_options(FIELD_MANAGER),
        )

    async def _await_phase(self, region: str, phase: str) -> None:
        await self._await(
            Kind.REGION,
            region,
            lambda body: (body.get("status") or {}).get("phase") == phase,
            what=f"Region {region} is {phase}",
            within=DARK_WITHIN,
        )

    async def _await_healthy(self, name: str) -> None:
        self._say(f"{name}: waiting until it is healthy everywhere; this takes up to 20 seconds")
        began = time.monotonic()
        body = await self._await(
            Kind.GLOBAL_DEPLOYMENT,
            name,
            _is_healthy,
            what=f"{name} is healthy in all its regions",
            within=READY_WITHIN,
        )
        said = body["status"]["display"]["status"]
        self._say(f"{name}: {said}, after {time.monotonic() - began:.1f} s")

    async def _await(
        self,
        kind: Kind,
        name: str,
        holds: Callable[[Mapping[str, Any]], bool],
        *,
        what: str,
        within: float,
    ) -> Mapping[str, Any]:
        """Wait until an object is as it should be; the failure says how it was last seen."""
        assert self._state
        key = Key(kind, NAMESPACE if kind is Kind.GLOBAL_DEPLOYMENT else "", name)
        seen: Document = {}

        async def probe() -> bool:
            nonlocal seen
            seen = await self._reader.read(key) or {}
            return holds(seen)

        operator = self._state.operator
        watched = [operator] if operator else []
        try:
            await await_ready(probe, what=what, deadline=within, watched=watched)
        except NotReady as error:
            report = await status(self._layout.root)
            last = yaml.safe_dump(seen.get("status") or {}, sort_keys=False).rstrip()
            problems = "".join(f"\n{problem}" for problem in report.problems)
            message = f"{error.message}\nlast status of {kind} {name}:\n{last}{problems}"
            raise NotReady(message) from error
        return seen

    async def _shop(self) -> Document:
        return await self._reader.read(Key(Kind.GLOBAL_DEPLOYMENT, NAMESPACE, "shop")) or {}

    async def _victim(self) -> str:
        """Choose the last region of shop that no override names."""
        shop = await self._shop()
        special = {r for o in shop["spec"].get("overrides", ()) for r in o.get("regions", ())}
        return str([r for r in shop["spec"]["placement"]["regions"] if r not in special][-1])

    def _example(self, name: str) -> list[dict[str, Any]]:
        """Load an example, cut down to the regions that this planet has."""
        assert self._state
        regions = {region.name for region in self._state.regions}
        text = (example_folder() / name).read_text(encoding="utf-8")
        manifests = [document for document in yaml.safe_load_all(text) if document]
        for manifest in manifests:
            manifest["metadata"].setdefault("namespace", NAMESPACE)
            placement = manifest.get("spec", {}).get("placement", {})
            if "regions" in placement:
                placement["regions"] = [r for r in placement["regions"] if r in regions]
        return manifests

    async def _show_planet(self) -> None:
        target = Target(given_namespace=NAMESPACE)
        planet = await look(self._reader, target)
        text = planet_text(planet, datetime.now(UTC), place=f'namespace "{NAMESPACE}"')
        self._say(f"\n{text.rstrip()}")

    async def _show_deployments(self) -> None:
        planet = await look(self._reader, Target(given_namespace=NAMESPACE))
        rows = [(d.name, d.regions, d.ready, d.status) for d in planet.deployments]
        text = rendered(table(("NAME", "REGIONS", "READY", "STATUS"), rows))
        self._say(f"\n{text.rstrip()}")

    def _hint(self, *calls: str) -> None:
        if self._hints:
            self._say("")
        for words in calls:
            self._look(shell.kubectl(self._layout.kubeconfig, *words.split()))

    def _look(self, line: str) -> None:
        if self._hints:
            self._say(f"  look: {line}")


def example_folder() -> Path:
    """Return the folder of the examples: of the checkout, else of the installed package."""
    here = Path(__file__).resolve()
    for folder in (here.parents[3] / "examples", here.parents[1] / "examples"):
        if (folder / SHOP).is_file():
            return folder
    raise InvalidSpec("NoExamples", "the examples are missing: reinstall orrery")


def _is_healthy(body: Mapping[str, Any]) -> bool:
    """Tell whether all regions run the spec that the object has now."""
    told = body.get("status") or {}
    summary = told.get("summary") or {}
    current = told.get("observedGeneration") == body.get("metadata", {}).get("generation")
    whole = summary.get("ready") == summary.get("desired") != 0
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in told.get("conditions", ()))
    return bool(body) and current and whole and ready


def _regional(body: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    continents = (body.get("status") or {}).get("continents") or ()
    return {name: state for c in continents for name, state in c["regions"].items()}


def _indexes(body: Mapping[str, Any]) -> dict[str, int]:
    return {name: state.get("index", 0) for name, state in _regional(body).items()}
