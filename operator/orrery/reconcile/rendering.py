"""Render what each region runs of one deployment, once for regions that are alike."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from orrery.api.globaldeployment import GlobalDeployment
from orrery.errors import InvalidSpec, NotYet
from orrery.ports import Secret
from orrery.reconcile.assignment import Assignment, assignment_of, digest_of
from orrery.reconcile.fleet import Fleet, Member
from orrery.regional import RegionalDeployment

T = TypeVar("T")

Regionals = Mapping[str, RegionalDeployment]


def render_each(
    regionals: Regionals,
    deployment: GlobalDeployment,
    *,
    fleet: Fleet,
    install: str,
    secrets: Mapping[str, Secret],
) -> dict[str, Assignment | InvalidSpec | NotYet]:
    """Render what each region runs, or say why that cannot be: the other regions go on."""

    def make(member: Member, regional: RegionalDeployment) -> Assignment | InvalidSpec | NotYet:
        try:
            return assignment_of(
                regional,
                deployment,
                install=install,
                drivers=member.drivers,
                region_class=member.region.spec.class_,
                secrets=secrets,
            )
        except (InvalidSpec, NotYet) as error:
            return error

    return _once_for_alike(regionals, fleet, make)


def digest_each(
    regionals: Regionals, deployment: GlobalDeployment, *, fleet: Fleet, install: str
) -> dict[str, str]:
    """Tell by its digest which job each region should have; empty where there can be none.

    Secrets do not count: a job stays what it is when one of them is deleted.
    """

    def make(member: Member, regional: RegionalDeployment) -> str:
        try:
            return digest_of(
                regional,
                deployment,
                install=install,
                drivers=member.drivers,
                region_class=member.region.spec.class_,
            )
        except (InvalidSpec, NotYet):
            return ""

    return _once_for_alike(regionals, fleet, make)


def _once_for_alike(
    regionals: Regionals, fleet: Fleet, make: Callable[[Member, RegionalDeployment], T]
) -> dict[str, T]:
    """Make something for each region; regions that went since they were chosen are left out."""
    made: list[tuple[RegionalDeployment, Member, T]] = []
    results: dict[str, T] = {}
    for region, regional in regionals.items():
        member = fleet.member(region)
        if member is None:
            continue
        known = next((m for m in made if m[0] is regional and member.alike(m[1])), None)
        if known is None:
            known = (regional, member, make(member, regional))
            made.append(known)
        results[region] = known[2]
    return results
