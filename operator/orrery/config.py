"""The operator's configuration: flags and environment, validated once, frozen."""

import re
from dataclasses import dataclass
from typing import Final, Literal, get_args

from orrery import names
from orrery.errors import InvalidSpec

LOOPBACK: Final = "127.0.0.1"
HIGHEST_PORT: Final = 65535

LogFormat = Literal["text", "json"]
LogLevel = Literal["debug", "info", "warning", "error"]

_INSTALL: Final = re.compile(r"[a-z0-9]{1,16}")
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What an operator must know before it starts. Raises `InvalidSpec` for unusable values."""

    kubeconfig: str = ""
    """Path of a kubeconfig. Empty: the pod's service account, else the user's own kubeconfig."""
    context: str = ""
    """Context of the kubeconfig. Empty: its current one."""
    namespace: str = names.OPERATOR_NAMESPACE
    """The operator's own namespace: credentials of regions and the lease are kept there."""
    install: str = names.INSTALL_DEFAULT
    """Marks what this installation owns in the regions. It must never change."""
    metrics_address: str = LOOPBACK
    """Address that the metrics are served on: loopback unless told otherwise, empty for all."""
    metrics_port: int = 8080
    """0: any free port."""
    health_address: str = LOOPBACK
    """Address that the probes are served on: loopback unless told otherwise, empty for all."""
    health_port: int = 8081
    """0: any free port."""
    leader_election: bool = True
    """Whether to work only while holding the lease."""
    lease: str = names.LEASE
    """Name of the lease."""
    resync_seconds: float = 600.0
    """Between two sweeps over everything, and between two full lists of a region."""
    probe_seconds: float = 5.0
    """Between two probes of a region's leader."""
    deletion_wait_seconds: float = 86_400.0
    """How long a deleted object waits for regions that do not answer, before they only remember."""
    log_format: LogFormat = "text"
    """text: fields as key=value; json: one object per line."""
    log_level: LogLevel = "info"
    """The least severe messages that are logged."""

    def __post_init__(self) -> None:
        _matches("install", self.install, _INSTALL, "1 to 16 characters of a-z and 0-9")
        form = "a name of at most 63 characters of a-z, 0-9 and -"
        _matches("namespace", self.namespace, _NAME, form)
        _matches("lease", self.lease, _NAME, form)
        _within("metrics-port", self.metrics_port, 0, HIGHEST_PORT)
        _within("health-port", self.health_port, 0, HIGHEST_PORT)
        _within("resync-seconds", self.resync_seconds, 1, 86_400)
        _within("probe-seconds", self.probe_seconds, 0.1, 300)
        _within("deletion-wait-seconds", self.deletion_wait_seconds, 1, 31_536_000)
        _one_of("log-format", self.log_format, get_args(LogFormat))
        _one_of("log-level", self.log_level, get_args(LogLevel))


def _matches(option: str, value: str, form: re.Pattern[str], words: str) -> None:
    if not form.fullmatch(value):
        raise InvalidSpec("InvalidConfiguration", f"{option} is '{value}', must be {words}")


def _within(option: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:
        raise InvalidSpec(
            "InvalidConfiguration", f"{option} is {value:g}, must be from {least:g} to {most:g}"
        )


def _one_of(option: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise InvalidSpec(
            "InvalidConfiguration", f"{option} is '{value}', must be one of {', '.join(allowed)}"
        )
