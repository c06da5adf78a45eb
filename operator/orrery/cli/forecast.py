"""Foresee what applying GlobalDeployments would do, with the operator's own decisions.

Gather (objects, Secrets, credentials), choose regions, split, render, then ask every region.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from orrery.api.conditions import Reason
from orrery.api.globaldeployment import GlobalDeployment
from orrery.api.region import Region
from orrery.api.regionclass import RegionClass
from orrery.api.validation import ValidationFailure, validate_region, validate_region_class
from orrery.cli.dryrun import Action, Outcome, Wanted, ask_regions, not_allowed_to_ask
from orrery.cli.hub import Reader
from orrery.cli.transitions import refused_changes
from orrery.errors import InvalidSpec, NotYet, OrreryError, Refused
from orrery.names import nomad_namespace
from orrery.planning.placement import RegionCandidate, choose, describe_unknown
from orrery.planning.protocol import Memory, Owner
from orrery.planning.split import split
from orrery.ports import Document, Key, Kind, NomadFactory, RegionNomad, Secret
from orrery.reconcile.assignment import assignment_of
from orrery.reconcile.credentials import credentials
from orrery.reconcile.fleet import drivers_of
from orrery.regional import RegionalDeployment
from orrery.render.digest import spec_document, spec_revision
from orrery.render.registry import DOCKER_CONFIG_KEY, registry_host
from orrery.render.variables import secret_references

REGION_IS_PAUSED: Final = (
    "spec.paused of the region is true: nothing is written there until it is false"
)
BEING_DELETED: Final = (
    "it is being deleted, and its jobs are being stopped: apply it again when it is gone"
)

_NOT_ASKED: Final = frozenset({Action.LATER, Action.NOT_ASKED, Action.UNREACHABLE})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a forecast must know beside the manifests."""

    install: str
    operator_namespace: str
    secrets: Mapping[tuple[str, str], Secret] = field(default_factory=dict, repr=False)
    """Secrets that would be applied together with the deployments, by namespace and name."""
    namespaces: frozenset[str] = frozenset()
    """Namespaces that would be created together with them."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What applying one deployment would do."""

    namespace: str
    name: str
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    """By region."""
    problems: tuple[str, ...] = ()
    """Why nothing would be registered anywhere."""
    notes: tuple[str, ...] = ()

    @property
    def fails(self) -> bool:
        """Whether something is in the way, or nothing can be known."""
        actions = {outcome.action for outcome in self.outcomes.values()}
        blind = bool(actions) and actions <= _NOT_ASKED
        return bool(self.problems) or blind or Action.BLOCKED in actions

    @property
    def changes(self) -> bool:
        """Whether something would change."""
        idle = {Action.NOTHING, Action.UNREACHABLE, Action.BLOCKED}
        return any(outcome.action not in idle for outcome in self.outcomes.values())


@dataclass(slots=True)
class _Draft:
    """One deployment before its regions were asked."""

    namespace: str
    name: str
    wanted: dict[str, Wanted] = field(default_factory=dict)
    known: dict[str, Outcome] = field(default_factory=dict)
    """Outcomes that need no question."""
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _World:
    """The hub's regions and classes."""

    regions: Mapping[str, Region]
    classes: Mapping[str, RegionClass | str]
    """A class that is not valid is what is wrong with it."""

    @property
    def candidates(self) -> list[RegionCandidate]:
        return [
            RegionCandidate(name, region.spec.continent, dict(region.metadata.labels))
            for name, region in sorted(self.regions.items())
        ]


async def foresee(
    reader: Reader,
    factory: NomadFactory,
    deployments: Sequence[GlobalDeployment],
    settings: Settings,
) -> list[Forecast]:
    """Foresee what applying *deployments* would do; raises what reading the hub raises."""
    world = await _world(reader)
    drafts = await asyncio.gather(*(_draft(reader, world, d, settings) for d in deployments))
    needed = sorted({region for draft in drafts for region in draft.wanted})
    clients, failures = await _connect(reader, factory, world, needed, settings)
    try:
        asked = await asyncio.gather(*(ask_regions(clients, draft.wanted) for draft in drafts))
    finally:
        await asyncio.gather(*(client.close() for client in clients.values()))
    return [
        Forecast(
            namespace=draft.namespace,
            name=draft.name,
            outcomes=draft.known
            | {r: _without_address(outcome, world.regions[r]) for r, outcome in found.items()}
            | {
                region: not_allowed_to_ask(wanted, failures[region])
                for region, wanted in draft.wanted.items()
                if region in failures
            },
            problems=tuple(draft.problems),
            notes=tuple(draft.notes),
        )
        for draft, found in zip(drafts, asked, strict=True)
    ]


def _without_address(outcome: Outcome, region: Region) -> Outcome:
    """Leave the region's address out of *outcome*: regions that are dark alike are one group."""
    prefix = f"{region.nomad_address}: "
    return replace(outcome, notes=tuple(n.removeprefix(prefix) for n in outcome.notes))


async def _world(reader: Reader) -> _World:
    regions, classes = await asyncio.gather(
        reader.list_in(Kind.REGION, ""), reader.list_in(Kind.REGION_CLASS, "")
    )
    try:
        accepted = {body["metadata"]["name"]: validate_region(body) for body in regions}
    except ValidationFailure as failure:
        message = f"the hub holds a region that this orrery cannot read: {failure}"
        raise InvalidSpec(Reason.INVALID_SPEC, message) from failure
    return _World(accepted, {body["metadata"]["name"]: _class(body) for body in classes})


def _class(body: Document) -> RegionClass | str:
    """Read a class; one that is not valid concerns its own regions only."""
    try:
        return validate_region_class(body)
    except ValidationFailure as failure:
        return f'RegionClass "{body["metadata"]["name"]}": {failure}'


async def _draft(
    reader: Reader, world: _World, deployment: GlobalDeployment, settings: Settings
) -> _Draft:
    """Derive what each region should run, and what regions would not run any more."""
    metadata, spec = deployment.metadata, deployment.spec
    draft = _Draft(metadata.namespace, metadata.name)
    live = await reader.read(Key(Kind.GLOBAL_DEPLOYMENT, metadata.namespace, metadata.name))
    await _will_be_taken(reader, draft, deployment, live=live, settings=settings)
    if draft.problems:
        return draft
    memories, generation = _memories(live), _generation(live, spec_revision(spec))
    choice = choose(spec.placement, world.candidates)
    unknown = describe_unknown(choice)
    if not choice.selected:
        draft.problems += unknown or ["spec.placement selects no region"]
        return draft
    draft.notes += unknown
    selected = [c for c in world.candidates if c.name in choice.selected]
    try:
        regionals = split(spec, namespace=metadata.namespace, name=metadata.name, regions=selected)
    except InvalidSpec as error:
        draft.problems.append(error.message)
        return draft
    secrets = await _secrets(reader, draft, regionals, settings)
    for region, regional in regionals.items():
        name = world.regions[region].spec.class_
        outcome = _want(
            deployment, regional, name, world=world, install=settings.install, found=secrets
        )
        if isinstance(outcome, Wanted):
            memory = memories.get(region, Memory())
            known = generation if region in memories else 0
            draft.wanted[region] = replace(outcome, memory=memory, generation=known)
        else:
            draft.known[region] = outcome
    refusals = {note for outcome in draft.known.values() for note in outcome.notes}
    if not draft.wanted and len(refusals) == 1:
        draft.problems += refusals
        draft.known.clear()
        return draft
    owner = Owner(settings.install, metadata.namespace, metadata.name)
    namespace = nomad_namespace(settings.install, metadata.namespace)
    for region in sorted(memories.keys() & world.regions.keys() - set(choice.selected)):
        draft.wanted[region] = Wanted(owner, namespace)
    _hold_what_is_paused(draft, world, paused=spec.paused)
    return draft


def _want(
    deployment: GlobalDeployment,
    regional: RegionalDeployment,
    name: str,
    *,
    world: _World,
    install: str,
    found: Mapping[str, Secret],
) -> Wanted | Outcome:
    """Render the job of a region of class *name*, as the operator does, or say why not."""
    region_class = world.classes.get(name)
    if isinstance(region_class, str):
        return Outcome(Action.BLOCKED, notes=(region_class,))
    try:
        assignment = assignment_of(
            regional,
            deployment,
            install=install,
            drivers=drivers_of(region_class),
            region_class=name,
            secrets=found,
        )
    except (InvalidSpec, NotYet) as error:
        return Outcome(Action.BLOCKED, notes=(error.message,))
    namespace = nomad_namespace(install, regional.namespace)
    return Wanted(assignment.owner, namespace, assignment.document, assignment.digest)


def _hold_what_is_paused(draft: _Draft, world: _World, *, paused: bool) -> None:
    """Ask nothing of regions that would not be written to."""
    if paused:
        draft.notes.append("spec.paused is true: nothing is written until it is false")
    for region in [r for r in draft.wanted if paused or world.regions[r].spec.paused]:
        notes = () if paused else (REGION_IS_PAUSED,)
        draft.known[region] = Outcome(Action.NOTHING, notes=notes)
        del draft.wanted[region]


async def _will_be_taken(
    reader: Reader,
    draft: _Draft,
    deployment: GlobalDeployment,
    *,
    live: Document | None,
    settings: Settings,
) -> None:
    """Say what keeps the hub, which holds *live*, from taking *deployment*."""
    if live is None:
        place = draft.namespace
        if place not in settings.namespaces and await reader.namespace_exists(place) is False:
            draft.notes.append(f'namespace "{place}" does not exist: create it before you apply')
    elif live["metadata"].get("deletionTimestamp"):
        draft.problems.append(BEING_DELETED)
    else:
        document = {"spec": spec_document(deployment.spec)}
        draft.problems += refused_changes(Kind.GLOBAL_DEPLOYMENT, live, document)


async def _secrets(
    reader: Reader, draft: _Draft, regionals: Mapping[str, RegionalDeployment], settings: Settings
) -> dict[str, Secret]:
    """Read the Secrets that the operator would read; their values stay here."""
    found: dict[str, Secret] = {}
    for name in sorted({ref.secret for r in regionals.values() for ref in secret_references(r)}):
        secret = settings.secrets.get((draft.namespace, name))
        try:
            secret = secret or await reader.read_secret(draft.namespace, name)
        except Refused as error:
            draft.notes.append(f'Secret "{name}" was not checked: {error.message}')
            secret = _unread(name, regionals)
        if secret is not None:
            found[name] = secret
    return found


def _unread(name: str, regionals: Mapping[str, RegionalDeployment]) -> Secret:
    """Stand in for a Secret that only the operator may read: no job holds a value of it."""
    keys = {ref.key for r in regionals.values() for ref in secret_references(r)}
    auths = {registry_host(regional.image): {"auth": ""} for regional in regionals.values()}
    config = {DOCKER_CONFIG_KEY: json.dumps({"auths": auths}).encode()}
    return Secret("", name, "Opaque", {}, dict.fromkeys(keys, b"") | config)


async def _connect(
    reader: Reader,
    factory: NomadFactory,
    world: _World,
    regions: Sequence[str],
    settings: Settings,
) -> tuple[dict[str, RegionNomad], dict[str, str]]:
    """Connect to *regions*; say of those without usable credentials what is wrong with them."""

    async def connect(name: str) -> RegionNomad | str:
        region, namespace = world.regions[name], settings.operator_namespace
        try:
            secret = await reader.read_secret(namespace, region.credentials_secret)
            return factory.connect(credentials(region, secret, namespace=namespace))
        except OrreryError as error:
            return f"no usable credentials: {error.message}"

    made = await asyncio.gather(*map(connect, regions))
    clients: dict[str, RegionNomad] = {}
    failures: dict[str, str] = {}
    for name, result in zip(regions, made, strict=True):
        if isinstance(result, str):
            failures[name] = result
        else:
            clients[name] = result
    return clients, failures


def _memories(body: Document | None) -> dict[str, Memory]:
    """Read from the live object what was last left in each region."""
    told: Mapping[str, Any] = (body or {}).get("status") or {}
    return {
        region: Memory(str(state.get("revision") or ""), int(state.get("index") or 0))
        for continent in told.get("continents") or ()
        for region, state in (continent.get("regions") or {}).items()
    }


def _generation(body: Document | None, revision: str) -> int:
    """Read the generation that has the spec of *revision*; 0 when applying would make a new one."""
    told: Mapping[str, Any] = (body or {}).get("status") or {}
    same = told.get("updatedRevision") == revision
    return int(told.get("observedGeneration") or 0) if same else 0
