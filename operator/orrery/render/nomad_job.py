"""Render a regional deployment as a Nomad job.

Pure, and closed: a user's value can only land where this module puts it. What Nomad replaces
instances for (Meta, Env, driver config, ports, resources, templates) holds nothing that varies
with the revision; what it changes in place (count, services, update, affinities) may.

Lists that are empty are written as such: what a human adds there is drift.
"""

from collections.abc import Sequence
from typing import Any, Final

from orrery import names
from orrery.api.base import nanoseconds
from orrery.api.globaldeployment import HealthCheck
from orrery.api.regionclass import Driver
from orrery.ports import Document
from orrery.regional import RegionalDeployment
from orrery.render.driver import fill_driver
from orrery.render.variables import render_template

JOB_TYPES: Final = {"WEB": "service", "WORKER": "service", "BATCH": "batch", "SYSTEM": "system"}

TAG_PROTOCOL: Final = "orrery.protocol"
TAG_ROUTE: Final = "orrery.route"

_DATA_CENTER: Final = "${node.datacenter}"
_WEIGHT: Final = 50
_CHECK_RESTART_LIMIT: Final = 3


def render_job(
    regional: RegionalDeployment,
    *,
    install: str,
    driver: Driver,
    region_class: str,
    description: str = "",
) -> Document:
    """Render *regional* as the value of ``Job`` in a register call.

    The job names no Nomad region: the server fills in its own. *description* is for people and no
    part of the job's digest.
    """
    job_type = JOB_TYPES[regional.type]
    job: dict[str, Any] = {
        "ID": regional.name,
        "Name": regional.name,
        "Namespace": names.nomad_namespace(install, regional.namespace),
        "Type": job_type,
        "Datacenters": ["*"],
        "Meta": names.job_meta(install, regional.namespace, regional.name),
        "Affinities": _affinities(regional),
        "Spreads": _spreads(regional),
        "TaskGroups": [_group(regional, driver, region_class)],
    }
    if description:
        job["UI"] = {"Description": description}
    return job


def describe_job(namespace: str, name: str, revision: str) -> str:
    """Say to people who look at the job in Nomad where it comes from."""
    return f"Managed by Orrery: GlobalDeployment {namespace}/{name}, revision {revision}"


def _group(regional: RegionalDeployment, driver: Driver, region_class: str) -> dict[str, Any]:
    group: dict[str, Any] = {
        "Name": names.TASK_GROUP,
        "Count": regional.count,
        "Networks": _networks(regional, driver),
        "Services": _services(regional),
        "RestartPolicy": _restart(regional),
        "Disconnect": _disconnect(regional),
        "Tasks": [_task(regional, driver, region_class)],
    }
    if regional.type in {"WEB", "WORKER"}:
        group["ReschedulePolicy"] = {
            "Unlimited": True,
            "Delay": nanoseconds("30s"),
            "DelayFunction": "exponential",
            "MaxDelay": nanoseconds("10m"),
        }
    if regional.type != "BATCH":
        group["Update"] = _update(regional)
    return group


def _task(regional: RegionalDeployment, driver: Driver, region_class: str) -> dict[str, Any]:
    template = render_template(regional)
    return {
        "Name": names.TASK,
        "Driver": driver.nomad_driver,
        "Config": fill_driver(driver, regional, region_class=region_class),
        "Env": {v.name: v.value or "" for v in regional.env if v.secret is None},
        "Templates": [] if template is None else [template],
        "Resources": {
            "CPU": regional.cpu_mhz,
            "MemoryMB": regional.memory_mb,
            "MemoryMaxMB": regional.memory_max_mb or 0,
        },
    }


def _networks(regional: RegionalDeployment, driver: Driver) -> list[dict[str, Any]]:
    """Ask for one port of the machine per port of the program.

    Sorted, since Nomad takes another order for other ports and would replace every instance.
    """
    if not regional.ports:
        return []
    ports = sorted(port.port for port in regional.ports)
    return [
        {
            "DynamicPorts": [
                {"Label": names.port_label(port), "To": port if driver.port_mapping else 0}
                for port in ports
            ]
        }
    ]


def _services(regional: RegionalDeployment) -> list[dict[str, Any]]:
    return [
        {
            "Name": names.service_name(regional.name, port.port),
            "Provider": "nomad",
            "PortLabel": names.port_label(port.port),
            "Tags": sorted(
                [
                    f"{TAG_PROTOCOL}={port.protocol}",
                    *(
                        f"{TAG_ROUTE}={route.path}"
                        for route in regional.routes
                        if route.port == port.port
                    ),
                ]
            ),
            "Checks": _checks(regional.health_checks, port.port),
        }
        for port in sorted(regional.ports, key=lambda port: port.port)
    ]


def _checks(checks: Sequence[HealthCheck], port: int) -> list[dict[str, Any]]:
    here = [check for check in checks if check.port == port]
    return [_check(check, f"{check.type}-{number}") for number, check in enumerate(here, start=1)]


def _check(check: HealthCheck, name: str) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "Name": name,
        "Type": check.type,
        "Interval": nanoseconds(check.interval),
        "Timeout": nanoseconds(check.timeout),
    }
    if check.type == "http":
        rendered["Path"] = check.path or "/"
    if grace := nanoseconds(check.grace_period):
        rendered["CheckRestart"] = {"Limit": _CHECK_RESTART_LIMIT, "Grace": grace}
    return rendered


def _restart(regional: RegionalDeployment) -> dict[str, Any]:
    """Restart in place a few times, then let Nomad look for another machine.

    A SYSTEM instance has no other machine to go to: it is tried for ever.
    """
    if regional.type == "BATCH":
        return {
            "Attempts": 3,
            "Interval": nanoseconds("24h"),
            "Delay": nanoseconds("15s"),
            "Mode": "fail",
        }
    return {
        "Attempts": 2,
        "Interval": nanoseconds("30m") if regional.type != "SYSTEM" else nanoseconds("5m"),
        "Delay": nanoseconds("15s"),
        "Mode": "delay" if regional.type == "SYSTEM" else "fail",
    }


def _disconnect(regional: RegionalDeployment) -> dict[str, Any]:
    """Let instances of a machine that is out of sight live on, and keep the better one after.

    A BATCH instance is not started a second time while the first may still run.
    """
    return {
        "LostAfter": nanoseconds("1h"),
        "Replace": regional.type != "BATCH",
        "Reconcile": "best_score",
    }


def _update(regional: RegionalDeployment) -> dict[str, Any]:
    update = regional.update
    return {
        "MaxParallel": update.max_parallel,
        "Canary": update.canary,
        "AutoPromote": update.canary > 0,
        "AutoRevert": True,
        "HealthCheck": "checks" if regional.health_checks else "task_states",
        "MinHealthyTime": nanoseconds(update.min_healthy_time),
        "HealthyDeadline": nanoseconds(update.healthy_deadline),
        "ProgressDeadline": nanoseconds(update.progress_deadline),
    }


def _affinities(regional: RegionalDeployment) -> list[dict[str, Any]]:
    preferred = regional.data_centers.preferred
    if not preferred or regional.type == "SYSTEM":
        return []
    return [
        {
            "LTarget": _DATA_CENTER,
            "Operand": "set_contains_any",
            "RTarget": ",".join(sorted(preferred)),
            "Weight": _WEIGHT,
        }
    ]


def _spreads(regional: RegionalDeployment) -> list[dict[str, Any]]:
    """Spread evenly over data centers, or over the preferred ones.

    Without targets an even spread would outvote the preference and fill the other data centers.
    """
    if not regional.data_centers.spread or regional.type == "SYSTEM":
        return []
    return [
        {
            "Attribute": _DATA_CENTER,
            "Weight": _WEIGHT,
            "SpreadTarget": _targets(sorted(set(regional.data_centers.preferred))),
        }
    ]


def _targets(data_centers: Sequence[str]) -> list[dict[str, Any]]:
    if not data_centers:
        return []
    share, rest = divmod(100, len(data_centers))
    return [
        {"Value": data_center, "Percent": share + (1 if position < rest else 0)}
        for position, data_center in enumerate(data_centers)
    ]
