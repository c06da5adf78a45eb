"""Fill in a class's driver profile: a Nomad task driver, and its configuration with placeholders.

Pure. A profile is the administrator's, the values are the user's, so values are filled in once
and never read for placeholders again. ``{{word}}`` stands for a literal ``{word}``, and ``${...}``
is Nomad's own.

A profile decides what it uses: one without ``{image}`` (a stand-in where no container engine
exists) runs every image alike. Only credentials are refused where they have no place, since a
private image would otherwise fail far from its cause.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from orrery import names
from orrery.api.conditions import Reason
from orrery.api.regionclass import DOCKER, Driver
from orrery.errors import InvalidSpec
from orrery.regional import RegionalDeployment

REGISTRY_USERNAME_ENV: Final = "ORRERY_REGISTRY_USERNAME"
REGISTRY_PASSWORD_ENV: Final = "ORRERY_REGISTRY_PASSWORD"  # noqa: S105 - a variable's name
"""Credentials reach the driver through the task's secrets, so that they never stand in the job."""

_PLACEHOLDER: Final = re.compile(r"(?<!\$)(?:\{\{(?P<literal>\w+)\}\}|\{(?P<name>\w+)\})")
_LISTS: Final = frozenset({"args", "ports"})
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
    filler = _Filler(_values(regional), f'driver "{driver.name}" of class "{region_class}"')
    if regional.credentials_secret is not None and not placeholders(driver) & set(_REGISTRY):
        raise InvalidSpec(
            Reason.INVALID_SPEC,
            f"spec.docker.credentialsSecretRef: {filler.source} takes no registry credentials "
            "(its config has neither {registryUsername} nor {registryPassword})",
        )
    config = filler.fill(driver.config)
    return config if isinstance(config, dict) else {}


def placeholders(driver: Driver) -> frozenset[str]:
    """Return the placeholders that *driver* uses, known ones or not."""
    return frozenset(
        match["name"]
        for text in _texts(driver.config)
        for match in _PLACEHOLDER.finditer(text)
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
    """Walks a configuration and fills it in; *source* says in messages whose it is."""

    def __init__(self, values: Mapping[str, _Value], source: str) -> None:
        self.values = values
        self.source = source

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
        whole = _PLACEHOLDER.fullmatch(template)
        if whole is not None and whole["name"]:
            value = self._value(whole["name"])
            return _ABSENT if value is None else value
        texts: dict[str, str] = {}
        for match in _PLACEHOLDER.finditer(template):
            if not (name := match["name"]):
                continue
            value = self._value(name)
            if name in _LISTS:
                raise InvalidSpec(
                    Reason.INVALID_SPEC,
                    f"{self.source} is misconfigured: {{{name}}} is a list and must stand alone, "
                    f'not inside "{template}"',
                )
            if not isinstance(value, str):
                return _ABSENT
            texts[name] = value
        return _PLACEHOLDER.sub(
            lambda match: f"{{{match['literal']}}}" if match["literal"] else texts[match["name"]],
            template,
        )

    def _value(self, name: str) -> _Value:
        if name not in self.values:
            known = ", ".join(f"{{{known}}}" for known in sorted(self.values))
            raise InvalidSpec(
                Reason.INVALID_SPEC,
                f"{self.source} is misconfigured: unknown placeholder {{{name}}}; "
                f"known: {known} ({{{{{name}}}}} stands for the text itself)",
            )
        return self.values[name]


def _texts(template: Any) -> Iterator[str]:
    if isinstance(template, str):
        yield template
    elif isinstance(template, Mapping):
        for value in template.values():
            yield from _texts(value)
    elif isinstance(template, list):
        for value in template:
            yield from _texts(value)
