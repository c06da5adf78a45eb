"""Namespaces, tokens and policies of a region."""

import re
from collections.abc import Mapping
from typing import Any, Final

from orrery.sim.access import ANONYMOUS, Access, parse_rules
from orrery.sim.core import Core
from orrery.sim.records import Namespace, Policy, Token
from orrery.sim.refusal import denied, errors, failed

DEFAULT: Final = "default"

_NAME = re.compile(r"[a-zA-Z0-9-]{1,128}")
_ALL: Final = Token(
    "acls-disabled", "", "ACLs are off", management=True, policies=(), create_index=0, create_time=0
)


class Tenancy:
    """Who is there, and who may do what. Without a management token, everybody may do all."""

    def __init__(self, core: Core, management: str | None) -> None:
        self._core = core
        self._enforced = management is not None
        with core.store.write("NamespaceUpserted") as entry:
            default = Namespace(DEFAULT, "Default shared namespace", entry.index, entry.index)
            core.entries.put_namespace(core.tables, entry, default)
        if management is not None:
            self.put_token(name="Bootstrap Token", secret=management, management=True)

    def access(self, secret: str) -> Access:
        """Resolve a token. Raises a refusal when nobody has it."""
        if not self._enforced:
            return Access(_ALL, ())
        tables = self._core.tables
        if not secret:
            return Access(ANONYMOUS, ())
        token = tables.tokens.get(secret)
        if token is None:
            raise denied()
        policies = [tables.policies[name] for name in token.policies if name in tables.policies]
        return Access(token, policies)

    def put_namespace(self, name: str, description: str) -> int:
        """Create or change a namespace; return the index."""
        core = self._core
        if not _NAME.fullmatch(name):
            reason = f'invalid name "{name}". Must match regex ^[a-zA-Z0-9-]{{1,128}}$'
            raise failed(f'Invalid namespace "{name}": {errors([reason])}')
        before = core.tables.namespaces.get(name)
        with core.store.write("NamespaceUpserted") as entry:
            created = before.create_index if before else entry.index
            namespace = Namespace(name, description, created, entry.index)
            core.entries.put_namespace(core.tables, entry, namespace)
        return entry.index

    def delete_namespace(self, name: str) -> int:
        """Delete an empty namespace; return the index."""
        core = self._core
        if name == DEFAULT:
            raise failed("can not delete default namespace")
        if name not in core.tables.namespaces:
            raise failed("namespace not found")
        if any(job.namespace == name and job.status != "dead" for job in core.tables.jobs.values()):
            raise failed(f'namespace "{name}" has non-terminal jobs in regions: [{core.name}]')
        with core.store.write("NamespaceDeleted") as entry:
            del core.tables.namespaces[name]
            entry.touch("namespaces", "", name)
        return entry.index

    def put_policy(self, name: str, rules: str) -> int:
        """Create or change a policy; return the index."""
        core = self._core
        parsed = parse_rules(rules)
        with core.store.write("ACLPolicyUpserted") as entry:
            core.tables.policies[name] = Policy(name, parsed, entry.index)
            entry.touch("policies")
        return entry.index

    def put_token(
        self,
        *,
        name: str,
        policies: tuple[str, ...] = (),
        management: bool = False,
        secret: str = "",
    ) -> Token:
        """Create a token."""
        core = self._core
        with core.store.write("ACLTokenUpserted") as entry:
            token = Token(
                accessor=core.new_id(),
                secret=secret or core.new_id(),
                name=name,
                management=management,
                policies=policies,
                create_index=entry.index,
                create_time=core.store.now(),
            )
            core.tables.tokens[token.secret] = token
            entry.touch("tokens")
        return token


def token_document(token: Token, timestamp: str | None) -> Mapping[str, Any]:
    """Render a token as the call that creates it does."""
    return {
        "AccessorID": token.accessor,
        "SecretID": token.secret,
        "Name": token.name,
        "Type": "management" if token.management else "client",
        "Policies": list(token.policies) or None,
        "Roles": None,
        "Global": False,
        "Hash": "",
        "ExpirationTTL": "",
        "ExpirationTime": None,
        "CreateTime": timestamp,
        "CreateIndex": token.create_index,
        "ModifyIndex": token.create_index,
    }
