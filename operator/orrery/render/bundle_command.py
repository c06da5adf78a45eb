"""Render the command that checks a bundle and installs it. Pure."""

from shlex import quote
from typing import Final

from orrery.render.bundle_files import AUTHORITY, LINK, MACHINE_DATA_PLANE, TIMER, UNIT

_FIRST_CERTIFICATE: Final = "sed '/END/,$d' | sed 1d | base64 -d"
"""From PEM to the bytes that a fingerprint is made of, with nothing but coreutils and sed."""

_SERVICE: Final = ".service"


def render_command(file: str, *, digest: str, pin: str, mesh: bool = False) -> str:
    """Write one line of shell for root, in the folder that holds *file*.

    It unpacks nothing unless *file* is byte for byte the bundle that was made, by its SHA-256
    *digest*, and its first authority the one with the fingerprint *pin*, which the Region's status
    tells, too.
    """
    name = quote(file)
    units = " ".join(unit.removesuffix(_SERVICE) for unit in units_of(mesh=mesh))
    authority = f"tar -xOf {name} {AUTHORITY} | {_FIRST_CERTIFICATE}"
    steps = [
        _check(f"cat {name}", digest, f"{file} is not the bundle that was made"),
        _check(authority, pin, f"{file} trusts another authority"),
        f"tar -xpf {name} -C /",
        "systemctl daemon-reload",
        f"systemctl enable {units}",
        f"systemctl restart {units}",
    ]
    return " && ".join(steps)


def units_of(*, mesh: bool) -> list[str]:
    """Name what is to be started, Nomad first; a new bundle has all of it start anew."""
    return [UNIT, TIMER, *([LINK, MACHINE_DATA_PLANE] if mesh else [])]


def _check(source: str, expected: str, otherwise: str) -> str:
    """Compare what *source* writes with a digest, and say *otherwise* when it is another."""
    test = f'test "$({source} | sha256sum)" = "{expected}  -"'
    return f"{{ {test} || {{ echo {quote(otherwise)} >&2; false; }}; }}"
