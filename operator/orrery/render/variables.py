"""The Nomad variable of a job, and the template through which the job reads its secrets.

Pure. Secret values travel as items of the variable ``nomad/jobs/<job>``, which Nomad lets that job
alone read, and never stand in the job. The template is ours: users give no templates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from orrery import names
from orrery.api.base import nanoseconds
from orrery.api.conditions import Reason
from orrery.errors import InvalidSpec, NotYet
from orrery.ports import Secret
from orrery.regional import RegionalDeployment
from orrery.render.driver import REGISTRY_PASSWORD_ENV, REGISTRY_USERNAME_ENV
from orrery.render.registry import (
    DOCKER_CONFIG_KEY,
    UnusableDockerConfig,
    find_credentials,
    registry_host,
    registry_hosts,
)

ITEM_USERNAME: Final = "registry_username"
ITEM_PASSWORD: Final = "registry_password"  # noqa: S105 - the name of an item

VARIABLE_BYTES_MAX: Final = 65_536
"""What Nomad takes in one variable, keys and values together."""

ENV_LINE_BYTES_MAX: Final = 65_535
"""The longest line that Nomad reads of an environment file."""

DESTINATION: Final = "secrets/orrery.env"

_ESCAPED_BY_GO: Final = ("<", ">", "&", "\u2028", "\u2029")
"""Go's JSON writes these as six characters where Python's writes them as they are."""

_RETRY_SECRET: Final = 15.0


@dataclass(frozen=True, slots=True)
class SecretReference:
    """One key of a Secret that a regional deployment needs."""

    field: str
    """Where in the object the reference stands, for messages."""
    secret: str
    key: str
    item: str
    """Its key in the Nomad variable; empty for a registry's credentials, which become two items."""


def secret_references(regional: RegionalDeployment) -> tuple[SecretReference, ...]:
    """List the keys of Secrets that *regional* needs."""
    references = [
        SecretReference(f"{v.field}.secretRef", v.secret.name, v.secret.key, _item(v.name))
        for v in regional.env
        if v.secret is not None
    ]
    if regional.credentials_secret is not None:
        field = "spec.docker.credentialsSecretRef"
        references.append(
            SecretReference(field, regional.credentials_secret, DOCKER_CONFIG_KEY, "")
        )
    return tuple(references)


def render_items(regional: RegionalDeployment, secrets: Mapping[str, Secret]) -> dict[str, str]:
    """Fill the items of the job's variable from *secrets*, by their names.

    Raises `NotYet` for what a change of a Secret cures. No message holds a value.
    """
    items: dict[str, str] = {}
    for reference in secret_references(regional):
        data = _read(reference, secrets)
        if reference.item:
            items[reference.item] = _text(reference, data)
        else:
            items |= _registry_items(reference, data, regional.image)
    _refuse_too_large(regional, items)
    return items


def merge_items(seen: Mapping[str, str], wanted: Mapping[str, str]) -> dict[str, str]:
    """Keep the items that *wanted* has not while older versions of the job may still read them.

    An instance whose template loses an item fails, and Nomad's own revert brings old versions
    back. So a variable only loses items once the version that wants fewer is stable.
    """
    return {**seen, **wanted}


def render_template(regional: RegionalDeployment) -> dict[str, Any] | None:
    """Render the template that turns the variable into the environment, None without secrets.

    Values are written as JSON strings: what Nomad's reader of environment files takes for quoted
    text with escapes. A missing item is an error instead of an empty value.
    """
    lines = [
        f"{variable.name}={{{{ .{_item(variable.name)}.Value | toJSON }}}}"
        for variable in regional.env
        if variable.secret is not None
    ]
    if regional.credentials_secret is not None:
        _refuse_reserved(regional)
        lines.append(f"{REGISTRY_USERNAME_ENV}={{{{ .{ITEM_USERNAME}.Value | toJSON }}}}")
        lines.append(f"{REGISTRY_PASSWORD_ENV}={{{{ .{ITEM_PASSWORD}.Value | toJSON }}}}")
    if not lines:
        return None
    path = names.variable_path(regional.name)
    text = "\n".join([f'{{{{ with nomadVar "{path}" }}}}', *lines, "{{ end }}", ""])
    return {
        "EmbeddedTmpl": text,
        "DestPath": DESTINATION,
        "Perms": "0600",
        "Envvars": True,
        "ChangeMode": "restart",
        "Splay": nanoseconds("5s"),
        "ErrMissingKey": True,
    }


def _item(env_name: str) -> str:
    """Name the item of an environment variable; the prefix keeps it apart from our own items."""
    return f"env_{env_name}"


def _read(reference: SecretReference, secrets: Mapping[str, Secret]) -> bytes:
    secret = secrets.get(reference.secret)
    if secret is None:
        raise NotYet(
            Reason.SECRET_NOT_FOUND,
            f'{reference.field}.name: Secret "{reference.secret}" does not exist in this namespace',
            retry_after=_RETRY_SECRET,
        )
    if reference.key not in secret.data:
        field = f"{reference.field}.key" if reference.item else f"{reference.field}.name"
        known = ", ".join(sorted(secret.data)) or "none"
        raise NotYet(
            Reason.SECRET_KEY_NOT_FOUND,
            f'{field}: Secret "{reference.secret}" has no key "{reference.key}"; its keys: {known}',
            retry_after=_RETRY_SECRET,
        )
    return secret.data[reference.key]


def _text(reference: SecretReference, data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise _unusable(reference, "is not UTF-8 text") from None
    if "\0" in text:
        raise _unusable(reference, "has a NUL character, which no environment variable can hold")
    return text


def _registry_items(reference: SecretReference, config: bytes, image: str) -> dict[str, str]:
    try:
        found = find_credentials(config, image)
        known = ", ".join(registry_hosts(config)) or "none"
    except UnusableDockerConfig as error:
        raise _unusable(reference, str(error)) from None
    if found is None:
        raise NotYet(
            Reason.SECRET_KEY_NOT_FOUND,
            f'{reference.field}: Secret "{reference.secret}" has no credentials for registry '
            f'"{registry_host(image)}"; its registries: {known}',
            retry_after=_RETRY_SECRET,
        )
    return {
        ITEM_USERNAME: _text(reference, found.username.encode()),
        ITEM_PASSWORD: _text(reference, found.password.encode()),
    }


def _unusable(reference: SecretReference, why: str) -> NotYet:
    return NotYet(
        Reason.SECRET_INVALID,
        f'{reference.field}: key "{reference.key}" of Secret "{reference.secret}" {why}',
        retry_after=_RETRY_SECRET,
    )


def _refuse_too_large(regional: RegionalDeployment, items: Mapping[str, str]) -> None:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in items.items())
    if size > VARIABLE_BYTES_MAX:
        raise NotYet(
            Reason.SECRET_INVALID,
            f"the values of all secrets of the deployment have {size} bytes together; "
            f"at most {VARIABLE_BYTES_MAX} fit",
            retry_after=_RETRY_SECRET,
        )
    for variable in regional.env:
        if variable.secret is None:
            continue
        line = len(variable.name) + 1 + _written_by_go(items[_item(variable.name)])
        if line > ENV_LINE_BYTES_MAX:
            raise NotYet(
                Reason.SECRET_INVALID,
                f'{variable.field}.secretRef: key "{variable.secret.key}" of Secret '
                f'"{variable.secret.name}" has {line} bytes when written as one line; '
                f"at most {ENV_LINE_BYTES_MAX} can be read",
                retry_after=_RETRY_SECRET,
            )


def _written_by_go(text: str) -> int:
    escaped = sum(text.count(char) * (6 - len(char.encode())) for char in _ESCAPED_BY_GO)
    return len(orjson.dumps(text)) + escaped


def _refuse_reserved(regional: RegionalDeployment) -> None:
    for variable in regional.env:
        if variable.name in {REGISTRY_USERNAME_ENV, REGISTRY_PASSWORD_ENV}:
            raise InvalidSpec(
                Reason.INVALID_SPEC,
                f"{variable.field}.name: {variable.name} carries the registry's credentials; "
                "choose another name",
            )
