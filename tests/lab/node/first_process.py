"""The first process of a room: prepares it, reaps orphans, and ends everybody with itself.

It runs as a program of its own, in new mount, network and process namespaces. Its input is a pipe
from the test: when that closes, be it because the test was killed, this process ends, and the
kernel ends all others of its process namespace and forgets their mounts and links.
"""

import os
import selectors
import signal
import subprocess
import sys
from pathlib import Path

KERNEL_SETTINGS = (
    "/proc/sys/kernel/keys/root_maxbytes",
    "/proc/sys/kernel/keys/root_maxkeys",
    "/proc/sys/kernel/panic",
    "/proc/sys/kernel/panic_on_oops",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/panic_on_oom",
)
"""What a kubelet changes for the whole machine; in the room it changes a copy."""


def main() -> None:
    # The old /proc still counts as the test does.
    pid = Path("/proc/self").readlink()
    run("mount", "-t", "proc", "proc", "/proc")
    for hidden in sys.argv[1:]:
        run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", hidden)
    # A mount already, or `ip netns` makes it one, and hides what runtimes have mounted in it.
    Path("/run/netns").mkdir()
    run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")
    for setting in map(Path, KERNEL_SETTINGS):
        if setting.exists():
            copy = Path("/run/kernel-settings") / setting.relative_to("/proc/sys")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(setting.read_text())
            run("mount", "--bind", str(copy), str(setting))
    run("ip", "link", "set", "lo", "up")
    os.write(sys.stdout.fileno(), f"{pid}\n".encode())
    await_end_of_input()


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def await_end_of_input() -> None:
    """Reap whoever ends until nobody holds the other end of the pipe."""
    wakeups, wakeup = os.pipe()
    os.set_blocking(wakeup, False)
    signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    test = sys.stdin.fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(test, selectors.EVENT_READ)
        selector.register(wakeups, selectors.EVENT_READ)
        while True:
            ready = [key.fd for key, _ in selector.select()]
            if test in ready and not os.read(test, 1024):
                return
            if wakeups in ready:
                os.read(wakeups, 1024)
                reap()


def reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


if __name__ == "__main__":
    main()
