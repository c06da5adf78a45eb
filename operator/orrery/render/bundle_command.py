"""Render the command that checks a bundle and installs it. Pure."""

from shlex import quote
from typing import Final

from orrery.render.bundle import AUTHORITY, UNIT

_FIRST_CERTIFICATE: Final = "sed '/END/,$d' | sed 1d | base64 -d"
"""From PEM to the bytes that a fingerprint is made of, with nothing but coreutils and sed."""


def render_command(file: str, *, digest: str, pin: str) -> str:
    """Write one line of shell for root, in the folder that holds *file*.

    It unpacks nothing unless *file* is byte for byte the bundle that was made, by its SHA-256
    *digest*, and its first authority the one with the fingerprint *pin*, which the Region's status
    tells, too.
    """
    name = quote(file)
    authority = f"tar -xOf {name} {AUTHORITY} | {_FIRST_CERTIFICATE}"
    return " && ".join(_checks(f"cat {name}", digest) + _checks(authority, pin) + _steps(name))


def _checks(source: str, expected: str) -> list[str]:
    return [f'test "$({source} | sha256sum)" = "{expected}  -"']


def _steps(name: str) -> list[str]:
    return [
        f"tar -xpf {name} -C /",
        "systemctl daemon-reload",
        f"systemctl enable {UNIT.removesuffix('.service')}",
        f"systemctl restart {UNIT.removesuffix('.service')}",
    ]
