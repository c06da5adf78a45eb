"""What a GlobalDeployment runs: the container, its variables and ports, how it is replaced. Pure."""

from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from orrery.api import forms
from orrery.api.base import (
    Duration,
    Model,
    Rule,
    SecretKeyRef,
    SecretRef,
    cel,
    validations,
)

MEMORY_DEFAULT: Final = 256
"""MiB that are reserved for an instance when nothing is said."""

Port = Annotated[int, Field(ge=1, le=65535)]
Image = Annotated[str, forms.IMAGE.text(max_length=512)]
EnvName = Annotated[str, forms.ENV_NAME.text(max_length=256)]


def at_least_one_second(name: str) -> Rule:
    """Refuse a duration below the least that Nomad takes for checks."""
    return cel(
        f"!has(self.{name}) || !{_is_duration(f'self.{name}')}"
        f" || duration(self.{name}) >= duration('1s')",
        "must be at least 1s",
        detail='"%s" is too short, must be at least 1s',
        values=[f"self.{name}"],
        field=f".{name}",
    )


def shorter(name: str, default: str, limit: str, limit_default: str) -> Rule:
    """Demand that one duration is shorter than another; an absent one has its default."""
    short = f"(has(self.{name}) ? self.{name} : '{default}')"
    long = f"(has(self.{limit}) ? self.{limit} : '{limit_default}')"
    return cel(
        f"!{_is_duration(short)} || !{_is_duration(long)} || duration({short}) < duration({long})",
        f"must be shorter than {limit}",
        detail=f'"%s" is too long, must be shorter than {limit}, which is "%s"',
        values=[short, long],
        field=f".{name}",
    )


def _is_duration(expression: str) -> str:
    """Let a rule pass over what the form of a duration refuses anyway."""
    return f"{expression}.matches('{forms.DURATION.pattern}')"


class Docker(Model):
    """The container to run."""

    image: Image
    """Image to run."""

    command: Annotated[str, forms.COMMAND.text(max_length=4096)] = ""
    """Program to start instead of the image's own. Default: the image's own."""

    args: Annotated[
        list[Annotated[str, forms.ARGUMENT.text(max_length=4096)]], Field(max_length=100)
    ] = []
    """Arguments of the program. Default: the image's own."""

    credentials_secret_ref: SecretRef | None = None
    """Secret of type `kubernetes.io/dockerconfigjson` in this namespace with the registry's credentials. Default: none, the image is public."""


class EnvVar(Model):
    """One environment variable: a literal value, or a key of a Secret."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "has(self.value) != has(self.secretRef)",
                "exactly one of value and secretRef must be set",
                detail='variable "%s" has %s, exactly one of value and secretRef must be set',
                values=["self.name", "has(self.value) ? 'both' : 'neither'"],
            )
        )
    )

    name: EnvName
    """Name of the variable."""

    # No shorter limit: certificates travel in variables.
    value: Annotated[str, forms.ARGUMENT.text(max_length=32768)] | None = None
    """Literal value. Exactly one of `value` and `secretRef` is set."""

    secret_ref: SecretKeyRef | None = None
    """Key of a Secret in this namespace. Its value travels to the region as a Nomad variable that only this deployment can read."""


class ContainerPort(Model):
    """A port that the program listens on."""

    port: Port
    """Port number, 1 to 65535."""

    protocol: Literal["http", "http2", "tcp", "grpc"] = "tcp"
    """What is spoken on it: http, http2, tcp or grpc. Default: tcp."""


class Route(Model):
    """A public path that leads to a port."""

    port: Port
    """One of the ports in `ports`."""

    path: Annotated[str, forms.ROUTE_PATH.text(max_length=1024)]
    """Path prefix, for example `/`. Each path leads to one port."""


class Resources(Model):
    """What one instance may use."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "!has(self.memoryMaxMB) || !has(self.memoryMB) || self.memoryMaxMB >= self.memoryMB",
                "memoryMaxMB must be at least memoryMB",
                detail="%s is too little, must be at least memoryMB, which is %s",
                values=["self.memoryMaxMB", "self.memoryMB"],
                field=".memoryMaxMB",
            )
        )
    )

    cpu_mhz: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(default=None, alias="cpuMHz")
    """CPU in MHz. Default: 100; in an override: unchanged."""

    memory_mb: Annotated[int, Field(ge=10, le=10_000_000)] | None = Field(
        default=None, alias="memoryMB"
    )
    """Memory in MiB that is reserved. Default: 256; in an override: unchanged."""

    memory_max_mb: Annotated[int, Field(ge=10, le=10_000_000)] | None = Field(
        default=None, alias="memoryMaxMB"
    )
    """Memory in MiB that an instance may reach where the machine has room. Nomad honours it only in regions whose scheduler configuration has memory oversubscription on, elsewhere the limit is `memoryMB`. Default: `memoryMB`; in an override: unchanged."""


class Scaling(Model):
    """How many instances run."""

    count: Annotated[int, Field(ge=0, le=10_000)] | None = None
    """Instances per region, 0 to 10000. Default: 1; in an override: unchanged."""


class HealthCheck(Model):
    """How an instance is judged healthy."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "!has(self.path) || !has(self.type) || self.type == 'http'",
                "only type http has a path",
                detail='"%s" is not used by a check of type %s, only type http has a path',
                values=["self.path", "self.type"],
                field=".path",
            ),
            at_least_one_second("interval"),
            at_least_one_second("timeout"),
        )
    )

    type: Literal["http", "tcp"] = "http"
    """http (a 2xx answer) or tcp (a connection). Default: http."""

    port: Port
    """One of the ports in `ports`."""

    path: Annotated[str, forms.CHECK_PATH.text(max_length=1024)] | None = None
    """Path to ask for, only for type http. Default: `/`."""

    interval: Duration = "10s"
    """Time between two checks, at least 1s. Default: 10s."""

    timeout: Duration = "2s"
    """Time after which a check has failed, at least 1s. Default: 2s."""

    grace_period: Duration = "0s"
    """Time after the start in which failures do not restart the instance. Default: 0s, failing checks never restart it, they only hold the update."""


class Update(Model):
    """How instances are replaced inside one region."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            shorter("minHealthyTime", "10s", "healthyDeadline", "5m"),
            shorter("healthyDeadline", "5m", "progressDeadline", "10m"),
        )
    )

    max_parallel: Annotated[int, Field(ge=1, le=1000)] = 1
    """Instances replaced at a time. Default: 1."""

    canary: Annotated[int, Field(ge=0, le=1000)] = 0
    """Instances of the new version started beside the old ones first; promoted by themselves when healthy. Not for type SYSTEM. Default: 0."""

    min_healthy_time: Duration = "10s"
    """Time an instance must stay healthy before the next is replaced. Default: 10s."""

    healthy_deadline: Duration = "5m"
    """Time in which an instance must become healthy; longer than `minHealthyTime`. Default: 5m."""

    progress_deadline: Duration = "10m"
    """Time in which the next instance must become healthy, else the region goes back to the version before; longer than `healthyDeadline`. Default: 10m."""
