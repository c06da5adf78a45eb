"""What the parts of a document must be to each other: the CEL rules of the CRDs, in Python. Pure.

`CHECKS` is the list of them. Each is named after the violation it looks for.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from orrery.api import classrules, forms, meshrules, regionrules
from orrery.api.base import Definition, Label, LabelSelector, nanoseconds
from orrery.api.continent import Continent
from orrery.api.deploymentrules import ONCE_PER_MACHINE
from orrery.api.globaldeployment import GlobalDeployment, GlobalDeploymentSpec, Override
from orrery.api.problems import Problem, field, listed, not_allowed, shown
from orrery.api.region import Region
from orrery.api.regionclass import (
    DOCKER,
    IMAGE_ALLOWED,
    LISTS,
    PLACEHOLDER,
    PLACEHOLDERS,
    UNSUPPORTED_IMAGE,
    Driver,
    ProbeClass,
    RegionClass,
)
from orrery.api.workload import MEMORY_DEFAULT, EnvVar, Resources

Problems = Iterator[Problem]

_SECOND: Final = 10**9
_DAY: Final = 24 * 3600 * _SECOND
_YEAR: Final = 365 * _DAY
_PROBE_INTERVAL_MIN: Final = 300 * _SECOND
_LABEL: Final = TypeAdapter[str](Label)


def name(given: str, definition: Definition) -> Problems:
    """Judge the name of an object."""
    if len(given) > definition.name_max:
        limit = f"at most {definition.name_max} characters allowed, has {len(given)}"
        yield Problem("metadata.name", f"{shown(given)} is too long, {limit}")
        return
    try:
        _LABEL.validate_python(given)
    except ValidationError:
        yield Problem("metadata.name", not_allowed(given, forms.LABEL.allowed))


def deployment(document: GlobalDeployment) -> Problems:
    """Judge a GlobalDeployment whose fields are each right by themselves."""
    if document.spec.name not in {None, document.metadata.name}:
        wanted = f"metadata.name, which is {shown(document.metadata.name)}"
        yield Problem("spec.name", not_allowed(document.spec.name, wanted))
    yield from chain.from_iterable(check(document.spec) for check in CHECKS)


def continent(document: Continent) -> Problems:
    """Judge a Continent whose fields are each right by themselves."""
    cluster = document.spec.cluster
    if cluster is not None and (cluster.kubeconfig_secret_ref is not None) == cluster.local:
        has = "both" if cluster.local else "neither"
        yield Problem(
            "spec.cluster",
            f"has {has}, exactly one of kubeconfigSecretRef and local: true must be set",
        )


def region(document: Region) -> Problems:
    """Judge a Region whose fields are each right by themselves."""
    control_plane = document.spec.control_plane
    if control_plane.management == "External" and control_plane.external is None:
        yield Problem(
            "spec.controlPlane.external",
            "is required with management External: where is its Nomad?",
        )
    if control_plane.management == "Managed" and control_plane.external is not None:
        yield Problem(
            "spec.controlPlane.external",
            "cannot be combined with management Managed: Orrery runs that Nomad itself",
        )
    if document.spec.deletion_policy == "Teardown" and control_plane.external is not None:
        yield Problem(
            "spec.deletionPolicy",
            "Teardown is for Managed regions: an External one is never torn down",
        )
    yield from regionrules.opening(document.spec)


def region_class(document: RegionClass) -> Problems:
    """Judge a RegionClass whose fields are each right by themselves."""
    lifetime = document.spec.pki.certificate_lifetime
    if not _DAY <= nanoseconds(lifetime) <= _YEAR:
        yield Problem(
            "spec.pki.certificateLifetime", not_allowed(lifetime, "a duration from 24h to 8760h")
        )
    image = document.spec.nomad.image
    if image is not None and re.search(UNSUPPORTED_IMAGE, image):
        yield Problem("spec.nomad.image", not_allowed(image, IMAGE_ALLOWED))
    yield from classrules.rollout(document.spec.rollout)
    for i, driver in enumerate(document.spec.nomad.drivers):
        yield from _unusable_placeholders(driver.config, f"spec.nomad.drivers[{i}].config")
    yield from meshrules.mesh(document.spec.mesh)
    if document.spec.probe is not None:
        yield from _unusable_probe(document.spec.probe, document.spec.nomad.drivers or [DOCKER])


def _unusable_probe(probe: ProbeClass, drivers: Sequence[Driver]) -> Problems:
    if nanoseconds(probe.interval) < _PROBE_INTERVAL_MIN:
        limit = "is too short, must be at least 5m"
        yield Problem("spec.probe.interval", f"{shown(probe.interval)} {limit}")
    known = {driver.name: driver for driver in drivers}
    driver = known.get(probe.driver or drivers[0].name)
    if driver is None:
        allowed = f"a driver of spec.nomad.drivers: {listed(list(known))}"
        yield Problem("spec.probe.driver", not_allowed(probe.driver, allowed))
    elif "{args}" not in str(driver.config):
        problem = f'driver "{driver.name}" takes no {{args}}, by which the probe is told what to do'
        yield Problem("spec.probe.driver", problem)


def web_without_port(spec: GlobalDeploymentSpec) -> Problems:
    """Demand a port of type WEB: it serves, so it listens."""
    if spec.type == "WEB" and not spec.ports:
        yield Problem("spec.ports", "type WEB needs at least one port")


def routes_without_web(spec: GlobalDeploymentSpec) -> Problems:
    """Refuse routes of other types than WEB."""
    if spec.type != "WEB" and spec.routes:
        yield Problem("spec.routes", f"only type WEB has routes, this is {spec.type}")


def port_not_listed(spec: GlobalDeploymentSpec) -> Problems:
    """Demand that routes and health checks lead to ports that are listed."""
    ports = [port.port for port in spec.ports]
    asked = [(f"spec.routes[{i}].port", route.port) for i, route in enumerate(spec.routes)]
    asked += [(f"spec.healthChecks[{i}].port", c.port) for i, c in enumerate(spec.health_checks)]
    for path, port in asked:
        if port not in ports:
            yield Problem(
                path, f"port {port} is not listed in spec.ports, which lists {listed(ports)}"
            )


def superfluous_in_batch(spec: GlobalDeploymentSpec) -> Problems:
    """Refuse what type BATCH would ignore: it runs to its end."""
    if spec.type != "BATCH":
        return
    if spec.health_checks:
        yield Problem("spec.healthChecks", "type BATCH has no health checks: it runs to its end")
    if "update" in spec.model_fields_set:
        yield Problem("spec.update", "type BATCH has no update: it runs to its end")


def superfluous_in_system(spec: GlobalDeploymentSpec) -> Problems:
    """Refuse what type SYSTEM would ignore: it runs once on every machine."""
    if spec.type != "SYSTEM":
        return
    if spec.update.canary:
        yield Problem("spec.update", f"type SYSTEM has no canaries: {ONCE_PER_MACHINE}")
    if "scaling" in spec.model_fields_set:
        yield Problem("spec.scaling", f"type SYSTEM has no scaling: {ONCE_PER_MACHINE}")
    if "data_centers" in spec.placement.model_fields_set:
        yield Problem(
            "spec.placement.dataCenters",
            f"type SYSTEM has no placement.dataCenters: {ONCE_PER_MACHINE}",
        )
    for i, override in enumerate(spec.overrides):
        if override.scaling is not None:
            yield Problem(
                f"spec.overrides[{i}].scaling", f"type SYSTEM has no scaling: {ONCE_PER_MACHINE}"
            )


def variable_without_one_source(spec: GlobalDeploymentSpec) -> Problems:
    """Demand a value or a Secret of each variable, not both."""
    lists: list[tuple[str, list[EnvVar]]] = [("spec.env", spec.env)]
    lists += [(f"spec.overrides[{i}].env", o.env) for i, o in enumerate(spec.overrides)]
    for path, variables in lists:
        for i, variable in enumerate(variables):
            if (variable.value is None) == (variable.secret_ref is None):
                has = "neither" if variable.value is None else "both"
                yield Problem(
                    f"{path}[{i}]",
                    f"variable {shown(variable.name)} has {has}, exactly one of value and secretRef"
                    " must be set",
                )


def unusable_check(spec: GlobalDeploymentSpec) -> Problems:
    """Refuse checks that Nomad would refuse, and a path that it would ignore."""
    for i, check in enumerate(spec.health_checks):
        path = f"spec.healthChecks[{i}]"
        if check.path is not None and check.type != "http":
            yield Problem(
                f"{path}.path",
                f"{shown(check.path)} is not used by a check of type {check.type}, only type http"
                " has a path",
            )
        for what, duration in (("interval", check.interval), ("timeout", check.timeout)):
            if nanoseconds(duration) < _SECOND:
                yield Problem(
                    f"{path}.{what}", f"{shown(duration)} is too short, must be at least 1s"
                )


def deadline_too_short(spec: GlobalDeploymentSpec) -> Problems:
    """Demand the order that Nomad demands of the times of an update."""
    update = spec.update
    times = (
        ("minHealthyTime", update.min_healthy_time, "healthyDeadline", update.healthy_deadline),
        ("healthyDeadline", update.healthy_deadline, "progressDeadline", update.progress_deadline),
    )
    for what, duration, limit_field, limit in times:
        if nanoseconds(duration) >= nanoseconds(limit):
            yield Problem(
                f"spec.update.{what}",
                f"{shown(duration)} is too long, must be shorter than {limit_field}, which is"
                f" {shown(limit)}",
            )


def memory_limit_below_reservation(spec: GlobalDeploymentSpec) -> Problems:
    """Demand that an instance may reach what is reserved for it, overridden or not."""
    base = spec.resources
    reserved = base.memory_mb or MEMORY_DEFAULT
    if base.memory_max_mb is not None and base.memory_max_mb < reserved:
        yield Problem(
            "spec.resources.memoryMaxMB",
            f"{base.memory_max_mb} is too little, must be at least memoryMB, which is {reserved}",
        )
    for i, override in enumerate(spec.overrides):
        changed = override.resources or Resources()
        memory = changed.memory_mb or reserved
        limit = changed.memory_max_mb or base.memory_max_mb or memory
        if override.resources is not None and limit < memory:
            yield Problem(
                f"spec.overrides[{i}].resources",
                f"with override {shown(override.name)}, memoryMaxMB would be {limit}, less than"
                f" memoryMB, which would be {memory}: set both in it",
            )


def named_and_selected(spec: GlobalDeploymentSpec) -> Problems:
    """Refuse to name regions and to select them at once."""
    placement = spec.placement
    if placement.regions and (placement.region_selector is not None or placement.continents):
        yield Problem(
            "spec.placement.regions",
            f"{shown(placement.regions)} cannot be combined with regionSelector or continents:"
            " name regions, or select them",
        )


def unusable_requirement(spec: GlobalDeploymentSpec) -> Problems:
    """Demand values for the operators that compare with some, and none for the others."""
    selectors: list[tuple[str, LabelSelector | None]] = [
        ("spec.placement", spec.placement.region_selector)
    ]
    selectors += [(f"spec.overrides[{i}]", o.region_selector) for i, o in enumerate(spec.overrides)]
    for path, selector in selectors:
        for i, requirement in enumerate(selector.match_expressions if selector else ()):
            if (requirement.operator in {"In", "NotIn"}) != bool(requirement.values):
                yield Problem(
                    f"{path}.regionSelector.matchExpressions[{i}].values",
                    f"{shown(requirement.values)} does not fit operator {requirement.operator}: In"
                    " and NotIn need values, Exists and DoesNotExist take none",
                )


def override_without_effect(spec: GlobalDeploymentSpec) -> Problems:
    """Demand of an override to say where, in one way, and what."""
    for i, override in enumerate(spec.overrides):
        path = f"spec.overrides[{i}]"
        if bool(override.regions) == (override.region_selector is not None):
            has = "both" if override.regions else "neither"
            yield Problem(
                path,
                f"override {shown(override.name)} has {has}, exactly one of regions (not empty) and"
                " regionSelector must be set",
            )
        if not _changes_something(override):
            yield Problem(
                path,
                f"override {shown(override.name)} changes nothing: set scaling.count, resources,"
                " docker.image or env",
            )


def override_of_unplaced_region(spec: GlobalDeploymentSpec) -> Problems:
    """Demand of an override to keep to regions that the placement allows."""
    placed, excluded = spec.placement.regions, spec.placement.exclude_regions
    for i, override in enumerate(spec.overrides):
        path = f"spec.overrides[{i}].regions"
        unplaced = [region for region in override.regions if placed and region not in placed]
        if unplaced:
            yield Problem(
                path, f"{shown(unplaced)} is not placed, placement.regions lists {listed(placed)}"
            )
        barred = [region for region in override.regions if region in excluded]
        if barred:
            yield Problem(path, f"{shown(barred)} is excluded by placement.excludeRegions")


CHECKS: Final[tuple[Callable[[GlobalDeploymentSpec], Problems], ...]] = (
    web_without_port,
    routes_without_web,
    port_not_listed,
    superfluous_in_batch,
    superfluous_in_system,
    variable_without_one_source,
    unusable_check,
    deadline_too_short,
    memory_limit_below_reservation,
    named_and_selected,
    unusable_requirement,
    override_without_effect,
    override_of_unplaced_region,
)


def _unusable_placeholders(value: Any, path: str) -> Problems:
    """Walk a driver's configuration: what it names in braces must be something to fill in."""
    match value:
        case Mapping():
            for name, below in value.items():
                yield from _unusable_placeholders(below, field(path, name))
        case list():
            for i, below in enumerate(value):
                yield from _unusable_placeholders(below, field(path, i))
        case str():
            yield from (
                Problem(path, f"{shown(value)} {why}")
                for found in PLACEHOLDER.finditer(value)
                if (why := _unusable(found["name"], alone=found[0] == value))
            )


def _unusable(placeholder: str | None, *, alone: bool) -> str:
    if placeholder is None:
        return ""
    if placeholder not in PLACEHOLDERS:
        known = listed([f"{{{known}}}" for known in sorted(PLACEHOLDERS)])
        return (
            f"has the unknown placeholder {{{placeholder}}}, known are {known}; write"
            f" {{{{{placeholder}}}}} for the text itself"
        )
    if placeholder in LISTS and not alone:
        return f"is not allowed, {{{placeholder}}} is a list, must stand alone"
    return ""


def _changes_something(override: Override) -> bool:
    resources = override.resources or Resources()
    counts = override.scaling is not None and override.scaling.count is not None
    return bool(
        counts
        or override.docker
        or override.env
        or resources.cpu_mhz
        or resources.memory_mb
        or resources.memory_max_mb
    )
