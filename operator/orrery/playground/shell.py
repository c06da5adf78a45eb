"""Lines for users to copy into a shell: quoted, and with a program that is found from there."""

import shlex
import shutil
import sys
from pathlib import Path
from typing import Final

PROGRAM: Final = "orrery"


def export(kubeconfig: Path | str) -> str:
    """Return the line that makes *kubeconfig* the one of this shell."""
    return f"export KUBECONFIG={shlex.quote(str(kubeconfig))}"


def kubectl(kubeconfig: Path, *words: str) -> str:
    """Return a call of kubectl on the hub of *kubeconfig*."""
    return shlex.join(["kubectl", "--kubeconfig", str(kubeconfig), *words])


def orrery(*words: Path | str) -> str:
    """Return a call of `orrery` that works where this process was started."""
    return shlex.join([*_program(), *map(str, words)])


def _program() -> list[str]:
    """Name the program: by its name when the shell finds this very one, else by its path."""
    found = shutil.which(PROGRAM)
    # Not resolved: in a virtual environment the interpreter is a link to one elsewhere.
    ours = Path(sys.executable).with_name(PROGRAM)
    if not ours.is_file():
        return [PROGRAM] if found else [sys.executable, "-m", "orrery"]
    if found and ours.samefile(found):
        return [PROGRAM]
    here = Path.cwd()
    return [str(ours.relative_to(here) if ours.is_relative_to(here) else ours)]
