"""The file in which a machine's bundle travels: a tar that only its owner may read."""

import io
import os
import tarfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import click

from orrery.adapters.pki import PRIVATE, write_bytes
from orrery.render.bundle_files import FOLDERS, BundleFile


def pack(files: Sequence[BundleFile], made: datetime) -> bytes:
    """Pack *files* and their folders, all root's; folders that others share are not among them."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, mode in FOLDERS.items():
            if any(file.path.startswith(f"{path}/") for file in files):
                tar.addfile(_entry(path, mode, made, kind=tarfile.DIRTYPE))
        for file in files:
            content = file.content.encode()
            entry = _entry(file.path, file.mode, made, size=len(content))
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def check_free(path: Path, *, force: bool) -> None:
    """Refuse, before anything is issued, a path that cannot be written. Raises `ClickException`."""
    if not path.parent.is_dir():
        raise click.ClickException(f"--output: the folder {str(path.parent)!r} does not exist")
    if path.is_dir():
        raise click.ClickException(f"--output: {str(path)!r} is a folder, must be a file")
    if path.exists() and not force:
        raise _taken(path)


def save(path: Path, data: bytes, *, force: bool) -> None:
    """Write *data* for its owner alone, over another file only with *force*."""
    try:
        if force:
            write_bytes(path, data, mode=PRIVATE)
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
        except OSError:
            path.unlink(missing_ok=True)
            raise
    except FileExistsError:
        raise _taken(path) from None
    except OSError as error:
        message = f"--output: {str(path)!r} cannot be written: {error.strerror}"
        raise click.ClickException(message) from error


def _entry(
    path: str, mode: int, made: datetime, *, kind: bytes = tarfile.REGTYPE, size: int = 0
) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode, entry.size = kind, mode, size
    entry.mtime = int(made.timestamp())
    entry.uname = entry.gname = "root"
    return entry


def _taken(path: Path) -> click.ClickException:
    message = f"--output: {str(path)!r} exists: choose another name, or add --force"
    return click.ClickException(message)
