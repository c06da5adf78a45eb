"""Render the command that checks a bundle and installs it. Pure."""

from shlex import quote
from typing import Final

from orrery.render.bundle import AUTHORITY, UNIT

_FIRST_CERTIFICATE: Final = "sed '/END/,$d' | sed 1d | base64 -d"
"""From PEM to the bytes that a fingerprint is made of, with nothing but coreutils and sed."""

_SERVICE: Final = UNIT.removesuffix(".service")


def render_command(file: str, *, digest: str, pin: str) -> str:
    """Write one line of shell for root, in the folder that holds *file*.

    It unpacks nothing unless *file* is byte for byte the bundle that was made, by its SHA-256
    *digest*, and its first authority the one with the fingerprint *pin*, which the Region's status
    tells, too.
    """
    name = quote(file)
    authority = f"tar -xOf {name} {AUTHORITY} | {_FIRST_CERTIFICATE}"
    steps = [
        _check(f"cat {name}", digest, f"{file} is not the bundle that was made"),
        _check(authority, pin, f"{file} trusts another authority"),
        f"tar -xpf {name} -C /",
        "systemctl daemon-reload",
        f"systemctl enable {_SERVICE}",
        f"systemctl restart {_SERVICE}",
    ]
    return " && ".join(steps)


def _check(source: str, expected: str, otherwise: str) -> str:
    """Compare what *source* writes with a digest, and say *otherwise* when it is another."""
    test = f'test "$({source} | sha256sum)" = "{expected}  -"'
    return f"{{ {test} || {{ echo {quote(otherwise)} >&2; false; }}; }}"
