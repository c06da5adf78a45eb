"""Say what Orrery's token may do in a region's Nomad, and keep one such token there. Pure.

No rule lets anybody into a tenant's instance, read its files or its logs, or write ACLs.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orrery import names
from orrery.ports import AclToken, AclTokenStub

Rules = Mapping[str, Any]

_EVERYWHERE: Final = ("list-jobs", "read-job")
"""In all namespaces: a teardown waits for anybody's job, and Nomad denies a stream of the events of
all namespaces as a whole where one of them may not be read."""
_TENANT: Final = ("list-jobs", "plan-job", "purge-job", "read-job", "register-job")
_SYSTEM: Final = ("list-jobs", "purge-job", "read-job", "read-logs", "register-job")
"""Where the probes run. Of two rules for a namespace Nomad takes the closer one alone."""
_VARIABLES: Final = ("destroy", "read", "write")


def run_time_rules(install: str, *, joins: bool) -> Rules:
    """List what the operator of *install* does; with *joins*, machines are introduced, too."""
    variables = {"path": {"nomad/jobs/*": {"capabilities": list(_VARIABLES)}}}
    return {
        "namespace": {
            "*": {"capabilities": list(_EVERYWHERE)},
            f"{install}-*": {"capabilities": list(_TENANT), "variables": variables},
            names.system_namespace(install): {"capabilities": list(_SYSTEM)},
        },
        "node": {"policy": "write" if joins else "read"},
        "agent": {"policy": "read"},
        "operator": {"policy": "read"},
    }


def as_json(rules: Rules) -> str:
    """Write *rules* as the operator does: Nomad reads JSON as well as its own language."""
    return json.dumps(rules, indent=2)


def as_hcl(rules: Rules) -> str:
    """Write *rules* in Nomad's own language, for people."""
    return "\n".join(_blocks(rules)) + "\n"


def _blocks(rules: Rules) -> Iterator[str]:
    for kind, content in rules.items():
        if kind in {"namespace", "path"}:
            for name, block in content.items():
                yield from _block(f'{kind} "{name}"', block)
        elif isinstance(content, Mapping):
            yield from _block(kind, content)
        else:
            yield f"{kind} = {json.dumps(content)}"


def _block(head: str, content: Rules) -> Iterator[str]:
    yield f"{head} {{"
    yield from (f"  {line}" for line in _blocks(content))
    yield "}"


@dataclass(frozen=True, slots=True)
class WritePolicy:
    """Give the policy of that name these rules."""

    name: str
    rules: str


@dataclass(frozen=True, slots=True)
class CreateToken:
    """Have Nomad know the token."""

    token: AclToken


@dataclass(frozen=True, slots=True)
class RevokeToken:
    """Have Nomad know the token of that accessor no more."""

    accessor: str


AclStep = WritePolicy | CreateToken | RevokeToken


def acl_steps(
    wanted: AclToken, rules: str, *, held_rules: str | None, held: AclToken | None
) -> Sequence[AclStep]:
    """Bring Nomad to the token *wanted*, whose only policy has its name and these *rules*.

    What Nomad holds of the policy is *held_rules*, and under the token's accessor *held*. Empty
    when all is as it is to be. The policy comes first: no token is ever without its rules.
    """
    steps: list[AclStep] = []
    if held_rules != rules:
        steps.append(WritePolicy(wanted.name, rules))
    if held is not None and held != wanted:
        # Nomad changes neither the secret nor the kind of a token that exists.
        steps.append(RevokeToken(held.accessor))
    if held != wanted:
        steps.append(CreateToken(wanted))
    return steps


def strays(wanted: AclToken, listed: Sequence[AclTokenStub]) -> Sequence[RevokeToken]:
    """List what is left of tokens that *wanted* took the place of: whatever has its very name."""
    return [
        RevokeToken(stub.accessor)
        for stub in sorted(listed, key=lambda stub: stub.accessor)
        if stub.name == wanted.name and stub.accessor != wanted.accessor and not stub.management
    ]
