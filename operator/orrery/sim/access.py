"""Who may do what: ACL tokens and policies. Pure."""

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from orrery.sim.records import Policy, Token
from orrery.sim.refusal import denied, failed

READ: Final = frozenset({"list-jobs", "parse-job", "read-job", "read-job-scaling"})
WRITE: Final = READ | {
    "alloc-exec",
    "alloc-lifecycle",
    "deregister-job",
    "dispatch-job",
    "evaluate-job",
    "plan-job",
    "purge-job",
    "read-fs",
    "read-logs",
    "register-job",
    "scale-job",
    "submit-job",
    "tag-job-version",
}
_NAMESPACE_POLICIES: Final = {
    "read": READ,
    "write": WRITE,
    "deny": frozenset[str](),
    "": frozenset[str](),
}
_VARIABLE_POLICIES: Final = {
    "read": frozenset({"read", "list"}),
    "write": frozenset({"read", "list", "write", "destroy"}),
}

ANONYMOUS: Final = Token(
    "", "", "Anonymous Token", management=False, policies=(), create_index=0, create_time=0.0
)


def parse_rules(text: str) -> Mapping[str, Any]:
    """Read a policy's rules; only the JSON form of Nomad's language is understood here."""
    try:
        rules = json.loads(text)
    except ValueError:
        raise failed(
            "failed to parse policy: a simulated region reads rules in JSON only"
        ) from None
    if not isinstance(rules, dict):
        raise failed("failed to parse policy: not an object")
    return rules


class Access:
    """What one token may do. Nobody's token may do nothing but ask."""

    def __init__(self, token: Token, policies: Iterable[Policy]) -> None:
        self.token = token
        self.management = token.management
        self._rules = [policy.rules for policy in policies]

    def may(self, namespace: str, *capabilities: str) -> bool:
        """Tell whether one of *capabilities* is granted in *namespace*."""
        return self.management or bool(self._capabilities(namespace) & set(capabilities))

    def may_see(self, namespace: str) -> bool:
        """Tell whether anything at all is granted in *namespace*."""
        return self.management or bool(self._capabilities(namespace))

    def demand(self, namespace: str, *capabilities: str) -> None:
        """Raise a refusal unless one of *capabilities* is granted in *namespace*."""
        if not self.may(namespace, *capabilities):
            raise denied()

    def may_use_variable(self, namespace: str, path: str, capability: str) -> bool:
        """Tell whether a variable may be used so."""
        if self.management:
            return True
        granted = set()
        for rule in self._namespace_rules(namespace):
            for pattern, grant in (rule.get("variables") or {}).get("path", {}).items():
                if fnmatchcase(path, pattern):
                    granted |= set(grant.get("capabilities", ()))
                    granted |= _VARIABLE_POLICIES.get(grant.get("policy", ""), frozenset())
        return capability in granted or (capability == "list" and "read" in granted)

    def may_on(self, thing: str, level: str) -> bool:
        """Tell whether *level* (read, write) is granted on node, agent or operator."""
        levels = {rules.get(thing, {}).get("policy", "") for rules in self._rules}
        return self.management or level in levels or "write" in levels

    def _capabilities(self, namespace: str) -> set[str]:
        capabilities: set[str] = set()
        for rule in self._namespace_rules(namespace):
            capabilities |= set(rule.get("capabilities") or ())
            capabilities |= _NAMESPACE_POLICIES.get(rule.get("policy") or "", frozenset())
        return capabilities

    def _namespace_rules(self, namespace: str) -> list[Mapping[str, Any]]:
        """Per policy, the rule whose pattern fits best."""
        chosen = []
        for rules in self._rules:
            fitting = [
                (len(pattern.replace("*", "")), rule)
                for pattern, rule in rules.get("namespace", {}).items()
                if fnmatchcase(namespace, pattern)
            ]
            if fitting:
                chosen.append(max(fitting, key=lambda pair: pair[0])[1])
        return chosen
