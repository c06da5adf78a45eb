"""Fill in a class's driver profile: a Nomad task driver, and its configuration with placeholders.

Pure. A profile is the administrator's, the values are the user's, so values are filled in once
and never read for placeholders again. That it names known placeholders only, and lists alone, is
checked when the class is read.

A profile decides what it uses: one without ``{image}`` (a stand-in where no container engine
exists) runs every image alike. Only credentials are refused where they have no place, since a
private image would otherwise fail far from its cause.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from orrery import names
from orrery.api.conditions import Reason
from orrery.api.regionclass import DOCKER, PLACEHOLDER, Driver
from orrery.errors import InvalidSpec
from orrery.regional import RegionalDeployment

REGISTRY_USERNAME_ENV: Final = "ORRERY_REGISTRY_USERNAME"
REGISTRY_PASSWORD_ENV: Final = "ORRERY_REGISTRY_PASSWORD"  # noqa: S105 - a variable's name
"""Credentials reach the driver through the task's secrets, so that they never stand in the job."""

_REGISTRY: Final = ("registryUsername", "registryPassword")

_Value = str | list[str] | None


class _Absent:
    """What is left of an entry whose placeholder has no value."""


_ABSENT: Final = _Absent()


def select_driver(drivers: Sequence[Driver], name: str, *, region_class: str) -> Driver:
    """Return the driver called *name*, the first one when *name* is empty.

    A class that lists none has one named docker.
    """
    offered = drivers or (DOCKER,)
    if not name:
        return offered[0]
    for driver in offered:
        if driver.name == name:
            return driver
    known = ", ".join(sorted(driver.name for driver in offered))
    raise InvalidSpec(
        Reason.UNKNOWN_DRIVER,
        f'spec.driver: class "{region_class}" has no driver "{name}"; it has: {known}',
    )


def fill_driver(
    driver: Driver, regional: RegionalDeployment, *, region_class: str
) -> dict[str, Any]:
    """Return the configuration of *driver* with the values of *regional* filled in.

    An entry whose placeholder has no value is left out, and what is emptied by that with it.
    """
    if regional.credentials_secret is not None and not placeholders(driver) & set(_REGISTRY):
        raise InvalidSpec(
            Reason.INVALID_SPEC,
            f'spec.docker.credentialsSecretRef: driver "{driver.name}" of class "{region_class}"'
            " takes no registry credentials (its config has neither {registryUsername} nor"
            " {registryPassword})",
        )
    config = _Filler(_values(regional)).fill(driver.config)
    return config if isinstance(config, dict) else {}


def placeholders(driver: Driver) -> frozenset[str]:
    """Return the placeholders that *driver* uses."""
    return frozenset(
        match["name"]
        for text in _texts(driver.config)
        for match in PLACEHOLDER.finditer(text)
        if match["name"]
    )


def _values(regional: RegionalDeployment) -> Mapping[str, _Value]:
    labels = [names.port_label(port.port) for port in regional.ports]
    credentials = regional.credentials_secret is not None
    return {
        "image": regional.image,
        "command": _literal(regional.command) or None,
        "args": [_literal(argument) for argument in regional.args] or None,
        "port": f"${{NOMAD_PORT_{labels[0]}}}" if labels else None,
        "ports": labels or None,
        "registryUsername": f"${{{REGISTRY_USERNAME_ENV}}}" if credentials else None,
        "registryPassword": f"${{{REGISTRY_PASSWORD_ENV}}}" if credentials else None,
    }


def _literal(text: str) -> str:
    """Keep Nomad from taking ``%{`` for a template directive: it reads a driver's config as HCL."""
    return text.replace("%{", "%%{")


class _Filler:
    """Walks a configuration and fills it in."""

    def __init__(self, values: Mapping[str, _Value]) -> None:
        self.values = values

    def fill(self, template: Any) -> Any:
        if isinstance(template, str):
            return self._text(template)
        if isinstance(template, Mapping):
            return self._mapping(template)
        if isinstance(template, list):
            return self._list(template)
        return template

    def _mapping(self, template: Mapping[str, Any]) -> Any:
        filled = {key: self.fill(value) for key, value in template.items()}
        kept = {key: value for key, value in filled.items() if value is not _ABSENT}
        return kept if kept or not filled else _ABSENT

    def _list(self, template: list[Any]) -> Any:
        kept: list[Any] = []
        for element in template:
            value = self.fill(element)
            if value is _ABSENT:
                continue
            if isinstance(element, str) and isinstance(value, list):
                kept.extend(value)
            else:
                kept.append(value)
        return kept if kept or not template else _ABSENT

    def _text(self, template: str) -> Any:
        whole = PLACEHOLDER.fullmatch(template)
        if whole is not None and whole["name"]:
            value = self.values[whole["name"]]
            return _ABSENT if value is None else value
        texts: dict[str, str] = {}
        for match in PLACEHOLDER.finditer(template):
            if not (name := match["name"]):
                continue
            value = self.values[name]
            if not isinstance(value, str):
                return _ABSENT
            texts[name] = value
        return PLACEHOLDER.sub(
            lambda match: f"{{{match['literal']}}}" if match["literal"] else texts[match["name"]],
            template,
        )


def _texts(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, Mapping):
        for value in template.values():
            yield from _texts(value)
    elif isinstance(template, list):
        for value in template:
            yield from _texts(value)
