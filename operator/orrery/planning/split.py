"""Split a GlobalDeployment into what each of its regions runs.

Pure. Each field remembers where its value came from, so that `orrery explain` can show it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from orrery.api.conditions import Reason
from orrery.api.globaldeployment import EnvVar, GlobalDeploymentSpec, Override
from orrery.api.workload import MEMORY_DEFAULT
from orrery.errors import InvalidSpec
from orrery.planning.placement import RegionCandidate
from orrery.regional import RegionalDeployment, RegionalEnv

CPU_MHZ_DEFAULT = 100
COUNT_DEFAULT = 1

SPEC = "spec"
DEFAULT = "default"

__all__ = ["ExplainRow", "RegionalDeployment", "explain", "split"]


@dataclass(frozen=True, slots=True)
class ExplainRow:
    """One field of a regional deployment, its value for people, and what set it."""

    field: str
    value: str
    source: str


def split(
    spec: GlobalDeploymentSpec, *, namespace: str, name: str, regions: Sequence[RegionCandidate]
) -> Mapping[str, RegionalDeployment]:
    """Derive what each of the selected *regions* runs, by region name.

    Regions to which the same overrides apply share one value.

    Raises `InvalidSpec` for an override of a region that is not placed, and for values that
    contradict each other once the overrides are applied.
    """
    _refuse_overrides_elsewhere(spec, {region.name for region in regions})
    written = _written_by_the_user(spec)
    derived: dict[tuple[int, ...], RegionalDeployment] = {}
    regionals = {}
    for region in sorted(regions, key=lambda region: region.name):
        applied = tuple(i for i, o in enumerate(spec.overrides) if _applies(o, region))
        if applied not in derived:
            regional = _derive(spec, namespace, name, applied, dict(written))
            _refuse_contradictions(regional, region.name)
            derived[applied] = regional
        regionals[region.name] = derived[applied]
    return regionals


def explain(regional: RegionalDeployment) -> tuple[ExplainRow, ...]:
    """List every field of *regional* with its value and source; Secrets are named, never read."""
    values: dict[str, str] = {
        "type": regional.type,
        "docker.image": regional.image,
        "docker.command": regional.command,
        "docker.args": " ".join(regional.args),
        "docker.credentialsSecretRef": regional.credentials_secret or "",
        "ports": ", ".join(f"{port.port}/{port.protocol}" for port in regional.ports),
        "routes": ", ".join(f"{route.path} -> {route.port}" for route in regional.routes),
        "resources.cpuMHz": str(regional.cpu_mhz),
        "resources.memoryMB": str(regional.memory_mb),
        "resources.memoryMaxMB": str(regional.memory_max_mb or ""),
        "scaling.count": str(regional.count),
        "healthChecks": ", ".join(
            f"{check.type} {check.port}{check.path or ''}" for check in regional.health_checks
        ),
        "driver": regional.driver,
        "placement.dataCenters.preferred": ", ".join(regional.data_centers.preferred),
        "placement.dataCenters.spread": str(regional.data_centers.spread).lower(),
    }
    for wire_name, value in regional.update.model_dump(by_alias=True).items():
        values[f"update.{wire_name}"] = str(value)
    for variable in regional.env:
        values[f"env.{variable.name}"] = _describe_env(variable)
    return tuple(
        ExplainRow(field, values[field], regional.provenance.get(field, DEFAULT))
        for field in values
    )


def _derive(
    spec: GlobalDeploymentSpec,
    namespace: str,
    name: str,
    applied: Sequence[int],
    provenance: dict[str, str],
) -> RegionalDeployment:
    image = spec.docker.image
    count = spec.scaling.count
    cpu_mhz = spec.resources.cpu_mhz
    memory_mb, memory_max_mb = spec.resources.memory_mb, spec.resources.memory_max_mb
    env = {v.name: _env(v, f"spec.env[{i}]") for i, v in enumerate(spec.env)}

    for position in applied:
        override = spec.overrides[position]
        source = f"override {override.name}"
        if override.docker is not None:
            image = override.docker.image
            provenance["docker.image"] = source
        if override.scaling is not None and override.scaling.count is not None:
            count = override.scaling.count
            provenance["scaling.count"] = source
        if (resources := override.resources) is not None:
            if resources.cpu_mhz is not None:
                cpu_mhz = resources.cpu_mhz
                provenance["resources.cpuMHz"] = source
            if resources.memory_mb is not None:
                memory_mb = resources.memory_mb
                provenance["resources.memoryMB"] = source
            if resources.memory_max_mb is not None:
                memory_max_mb = resources.memory_max_mb
                provenance["resources.memoryMaxMB"] = source
        for i, variable in enumerate(override.env):
            env[variable.name] = _env(variable, f"spec.overrides[{position}].env[{i}]")
            provenance[f"env.{variable.name}"] = source

    return RegionalDeployment(
        namespace=namespace,
        name=name,
        type=spec.type,
        image=image,
        command=spec.docker.command,
        args=tuple(spec.docker.args),
        credentials_secret=(
            ref.name if (ref := spec.docker.credentials_secret_ref) is not None else None
        ),
        env=tuple(env[key] for key in sorted(env)),
        ports=tuple(spec.ports),
        routes=tuple(spec.routes),
        cpu_mhz=CPU_MHZ_DEFAULT if cpu_mhz is None else cpu_mhz,
        memory_mb=MEMORY_DEFAULT if memory_mb is None else memory_mb,
        memory_max_mb=memory_max_mb,
        count=COUNT_DEFAULT if count is None else count,
        health_checks=tuple(spec.health_checks),
        update=spec.update,
        driver=spec.driver,
        data_centers=spec.placement.data_centers,
        provenance=provenance,
    )


def _written_by_the_user(spec: GlobalDeploymentSpec) -> dict[str, str]:
    """Mark the fields that the user wrote; what is not marked is a default."""
    provenance = {
        field: SPEC
        for field, written in {
            "type": True,
            "docker.image": True,
            "docker.command": "command" in spec.docker.model_fields_set,
            "docker.args": "args" in spec.docker.model_fields_set,
            "docker.credentialsSecretRef": spec.docker.credentials_secret_ref is not None,
            "ports": bool(spec.ports),
            "routes": bool(spec.routes),
            "resources.cpuMHz": spec.resources.cpu_mhz is not None,
            "resources.memoryMB": spec.resources.memory_mb is not None,
            "resources.memoryMaxMB": spec.resources.memory_max_mb is not None,
            "scaling.count": spec.scaling.count is not None,
            "healthChecks": bool(spec.health_checks),
            "driver": bool(spec.driver),
        }.items()
        if written
    }
    provenance |= dict.fromkeys(_written_fields("update", spec.update), SPEC)
    data_centers = spec.placement.data_centers
    provenance |= dict.fromkeys(_written_fields("placement.dataCenters", data_centers), SPEC)
    provenance |= {f"env.{variable.name}": SPEC for variable in spec.env}
    return provenance


def _written_fields(prefix: str, model: BaseModel) -> list[str]:
    fields = type(model).model_fields
    return [f"{prefix}.{fields[name].alias or name}" for name in sorted(model.model_fields_set)]


def _applies(override: Override, region: RegionCandidate) -> bool:
    if region.name in override.regions:
        return True
    selector = override.region_selector
    return selector is not None and selector.matches(dict(region.labels))


def _refuse_overrides_elsewhere(spec: GlobalDeploymentSpec, selected: set[str]) -> None:
    """Refuse an override that names a region which the placement does not ask for.

    A region that the placement names and that is not available is the placement's complaint; it
    must not take the other regions down with it.
    """
    excluded = set(spec.placement.exclude_regions)
    placed = selected | (set(spec.placement.regions) - excluded)
    for position, override in enumerate(spec.overrides):
        for region in override.regions:
            if region not in placed:
                known = ", ".join(sorted(placed)) or "none"
                raise InvalidSpec(
                    Reason.INVALID_SPEC,
                    f'spec.overrides[{position}].regions: override "{override.name}" names region '
                    f'"{region}", which the placement does not select; selected: {known}',
                )


def _refuse_contradictions(regional: RegionalDeployment, region: str) -> None:
    reserved, limit = regional.memory_mb, regional.memory_max_mb
    if limit is not None and limit < reserved:
        raise InvalidSpec(
            Reason.INVALID_SPEC,
            f"spec.resources.memoryMaxMB: {limit} is less than memoryMB {reserved} "
            f'in region "{region}"',
        )


def _env(variable: EnvVar, field: str) -> RegionalEnv:
    return RegionalEnv(variable.name, variable.value, variable.secret_ref, field)


def _describe_env(variable: RegionalEnv) -> str:
    if variable.secret is not None:
        return f'key "{variable.secret.key}" of Secret "{variable.secret.name}"'
    return variable.value or ""
