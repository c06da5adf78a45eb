"""What a node needs of the machine: found, or one sentence that says what is missing.

Nothing is installed here. On Debian: containerd, runc, containernetworking-plugins, nftables and
iproute2, by root; and Go, for what is built.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from orrery.playground.failures import PrerequisiteMissing

SEARCH_PATH: Final = ":".join(
    dict.fromkeys([*os.environ.get("PATH", os.defpath).split(":"), "/usr/sbin", "/sbin"])
)
"""PATH, and where system programs are for users whose PATH does not say so."""

PACKAGES: Final = {
    "containerd": "containerd",
    "containerd-shim-runc-v2": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "ldd": "libc-bin",
}
"""The programs, and how Debian calls the package that has each."""

PLUGINS: Final = ("ptp", "host-local", "loopback")
PLUGIN_FOLDERS: Final = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")
CGROUPS: Final = Path("/sys/fs/cgroup")


@cache
def missing_node() -> str | None:
    """Say why no node can run on this machine; None when one can, once its servers are built."""
    missing = next(_complaints(), None)
    return f"needs a machine that can be a Kubernetes node: {missing}" if missing else None


def find_program(name: str) -> str:
    """Find a program of the system."""
    found = shutil.which(name, path=SEARCH_PATH)
    if not found:
        raise PrerequisiteMissing(f"{name} is missing (Debian: {PACKAGES[name]})")
    return found


def plugin_folder() -> Path | None:
    """Find the folder with the network plugins."""
    folders = map(Path, PLUGIN_FOLDERS)
    return next((f for f in folders if all((f / name).is_file() for name in PLUGINS)), None)


def cgroup_hierarchies() -> list[Path]:
    """List where groups of processes can be made: one folder for version 2, several for 1."""
    folders = [CGROUPS, *CGROUPS.glob("*")]
    return [folder for folder in folders if (folder / "cgroup.procs").is_file()]


def _complaints() -> Iterator[str]:
    if sys.platform != "linux":
        yield "this is not Linux"
        return
    if os.geteuid() != 0:
        yield "the tests do not run as root"
    for name, package in PACKAGES.items():
        if not shutil.which(name, path=SEARCH_PATH):
            yield f"{name} is missing (Debian: {package})"
    if not plugin_folder():
        names = ", ".join(PLUGINS)
        yield f"the network plugins {names} are missing (Debian: containernetworking-plugins)"
    if "\toverlay\n" not in Path("/proc/filesystems").read_text(encoding="ascii"):
        yield "the kernel has no overlay file system"
    hierarchies = cgroup_hierarchies()
    if not hierarchies or not all(os.access(folder, os.W_OK) for folder in hierarchies):
        yield f"no control groups can be made below {CGROUPS}"
    yield from _refused_by_the_kernel()


def _refused_by_the_kernel() -> Iterator[str]:
    namespaces = ["unshare", "--net", "--mount", "--pid", "--fork"]
    trials = {
        "the kernel or a container around us refuses new namespaces": ["true"],
        "the kernel has no nftables": ["nft", "add", "table", "ip", "trial"],
        "the kernel has no pairs of virtual links": ["ip", "link", "add", "trial", "type", "veth"],
    }
    for complaint, trial in trials.items():
        done = subprocess.run(
            [*namespaces, *trial], env={"PATH": SEARCH_PATH}, capture_output=True, check=False
        )
        if done.returncode:
            yield f"{complaint}: {done.stderr.decode(errors='replace').strip()}"
            return
