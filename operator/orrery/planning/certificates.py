"""Decide which certificates of a region's control plane are made, kept or replaced. Pure.

One step at a time, each decided afresh from what the Secrets hold, so that nothing is lost when
the operator dies between two. All Secrets trust the same authorities, and a leaf is only issued by
one that all of them trust. An authority is replaced in three stages:

1. Its successor is made, and every Secret comes to trust both.
2. When that was so for `OVERLAP`, leaves are issued by the successor.
3. When all leaves were for `OVERLAP`, the successor takes its place and the old one is dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

from orrery.ports import Certificate, Usage

OVERLAP: Final = timedelta(hours=1)
"""For how long a stage lasts at least: all that runs takes over the Secrets' content meanwhile."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate that a region needs, and the Secret that holds it."""

    secret: str
    name: str
    hosts: frozenset[str]
    """IP addresses in the form that `ipaddress` gives them."""
    usages: frozenset[Usage]


@dataclass(frozen=True, slots=True)
class HeldLeaf:
    """What the Secret of a leaf holds."""

    certificate: Certificate | None
    """None when it is damaged, or the key is not its."""
    issuer: str = ""
    """Fingerprint of the authority that signed it; empty when it is none of the two."""
    trusts: frozenset[str] = frozenset()
    """Fingerprints of the authorities that it comes with."""


@dataclass(frozen=True, slots=True)
class HeldAuthority:
    """What the Secret of the authority holds."""

    current: Certificate
    trusts: frozenset[str]
    """Fingerprints of all that it says is trusted."""
    successor: Certificate | None = None
    trusted_since: datetime | None = None
    """Since when every Secret trusts the successor."""
    used_since: datetime | None = None
    """Since when every leaf is the successor's."""
    previous: str = ""
    """Fingerprint of the one that was replaced last."""
    rotation: str = ""
    """The last request for a successor that was heard."""

    @property
    def should_trust(self) -> frozenset[str]:
        """Fingerprints of all that every Secret should trust."""
        return frozenset(c.fingerprint for c in (self.current, self.successor) if c is not None)

    @property
    def known(self) -> frozenset[str]:
        """Fingerprints that may be remembered for it: status is written after the Secret."""
        return self.should_trust | {self.previous}


@dataclass(frozen=True, slots=True)
class Facts:
    """What the Secrets of a region hold."""

    authority: HeldAuthority | None
    """None when the Secret does not exist, or is *damaged*."""
    damaged: bool = False
    leaves: Mapping[str, HeldLeaf] = field(default_factory=dict)
    """By the name of the Secret, those that exist."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a region needs."""

    leaves: Sequence[Leaf]
    remembered: str = ""
    """Fingerprint of the authority that the Region's status remembers."""
    rotation: str = ""
    """The request for a new authority that the Region carries; the same one counts once."""
    settled: bool = True
    """Whether all that runs has taken over what the Secrets held before this pass."""


class AuthorityStep(StrEnum):
    """Something to be done in the authority's Secret; the value says what was done."""

    CREATE = "the region's authority is made"
    MEND = "the authority's Secret lists again what is trusted"
    PREPARE = "a successor of the authority is made, to be trusted everywhere"
    RECALL = "the overlap begins again, since a Secret had fallen behind"
    BEGIN_TRUST = "the successor of the authority is trusted everywhere"
    BEGIN_USE = "all certificates are from the successor of the authority"
    COMPLETE = "the successor takes the authority's place"


class Cause(StrEnum):
    """Why a leaf is issued."""

    MISSING = "it was missing"
    DAMAGED = "it was damaged"
    UNTRUSTED = "it was from an authority that is not trusted"
    RETIRING = "it was from an authority that is retiring"
    HOSTS = "its names have changed"
    USAGES = "what it proves has changed"
    RENEWAL = "two thirds of its life were over"


@dataclass(frozen=True, slots=True)
class Trust:
    """Keep the certificate of *leaf*, and have its Secret list all that is trusted."""

    leaf: Leaf


@dataclass(frozen=True, slots=True)
class Issue:
    """Issue *leaf*, by the successor of the authority or by the authority itself."""

    leaf: Leaf
    cause: Cause
    by_successor: bool


Step = AuthorityStep | Trust | Issue

Loss = Literal["does not exist any more", "is damaged", "holds another authority"]


def authority_lost(facts: Facts, remembered: str) -> Loss | None:
    """Say what became of an authority that was made before; another one is never taken for it.

    *remembered* is its fingerprint, empty when none is remembered.
    """
    if facts.damaged:
        return "is damaged"
    if facts.authority is None:
        return "does not exist any more" if remembered or facts.leaves else None
    if remembered and remembered not in facts.authority.known:
        return "holds another authority"
    return None


def next_step(facts: Facts, wanted: Wanted, now: datetime) -> Step | None:
    """Say what is to be done next, None when all is well. The authority must not be lost."""
    authority = facts.authority
    if authority is None:
        return AuthorityStep.CREATE
    if authority.trusts != authority.should_trust:
        return AuthorityStep.MEND
    if successor_is_due(authority, wanted, now):
        return AuthorityStep.PREPARE
    return (
        _spread_trust(authority, facts, wanted)
        or _issue(authority, facts, wanted, now)
        or _begin_trust(authority, now)
        or _hand_over(authority, facts, wanted, now)
    )


def successor_is_due(authority: HeldAuthority, wanted: Wanted, now: datetime) -> bool:
    """Whether a successor must be made: by age, on request, or instead of one made in vain.

    Not before the present one is remembered: a status two authorities behind would know none.
    """
    if authority.successor is not None:
        return not authority.successor.is_valid(now)  # Made by a clock that was wrong.
    if wanted.remembered == authority.previous:
        return False
    asked = bool(wanted.rotation) and wanted.rotation != authority.rotation
    current = authority.current
    return asked or (now >= current.not_before and current.renewal_is_due(now))


def cause_to_issue(
    leaf: Leaf, held: HeldLeaf | None, *, trusted: frozenset[str], issuer: str, now: datetime
) -> Cause | None:
    """Say why *leaf* must be issued; None when what its Secret holds can stay.

    *issuer* is the only authority whose leaves can stay, or empty for all that are *trusted*.
    """
    if held is None:
        return Cause.MISSING
    if held.certificate is None:
        return Cause.DAMAGED
    violations = {
        Cause.UNTRUSTED: held.issuer not in trusted,
        Cause.RETIRING: bool(issuer) and held.issuer != issuer,
        Cause.HOSTS: held.certificate.hosts != leaf.hosts,
        Cause.USAGES: held.certificate.usages != leaf.usages,
        Cause.RENEWAL: held.certificate.renewal_is_due(now),
    }
    return next((cause for cause, holds in violations.items() if holds), None)


def _spread_trust(authority: HeldAuthority, facts: Facts, wanted: Wanted) -> Step | None:
    whole = [(leaf, held) for leaf, held in _held(facts, wanted) if held.certificate is not None]
    behind = [leaf for leaf, held in whole if held.trusts != authority.should_trust]
    successor = authority.successor
    if successor is not None:
        strays = [leaf for leaf, held in whole if held.issuer != successor.fingerprint]
        if (authority.trusted_since and behind) or (authority.used_since and strays):
            return AuthorityStep.RECALL
    return Trust(behind[0]) if behind else None


def _issue(authority: HeldAuthority, facts: Facts, wanted: Wanted, now: datetime) -> Step | None:
    by_successor = _successor_signs(authority, facts, wanted, now)
    only = authority.successor.fingerprint if by_successor and authority.successor else ""
    for leaf in wanted.leaves:
        held = facts.leaves.get(leaf.secret)
        cause = cause_to_issue(leaf, held, trusted=authority.should_trust, issuer=only, now=now)
        if cause is not None:
            return Issue(leaf, cause, by_successor)
    return None


def _successor_signs(authority: HeldAuthority, facts: Facts, wanted: Wanted, now: datetime) -> bool:
    """Whether leaves are from the successor: once one is, they go on to be.

    An authority that is not valid leaves nothing to be careful of.
    """
    successor = authority.successor
    if successor is None:
        return False
    if authority.used_since is not None or not authority.current.is_valid(now):
        return True
    begun = any(held.issuer == successor.fingerprint for _, held in _held(facts, wanted))
    return _is_over(authority.trusted_since, now) and (wanted.settled or begun)


def _begin_trust(authority: HeldAuthority, now: datetime) -> Step | None:
    """Let the overlap begin once no Secret is missing: what runs may still hold its old content."""
    begun = _has_begun(authority.trusted_since, now)
    return None if authority.successor is None or begun else AuthorityStep.BEGIN_TRUST


def _hand_over(
    authority: HeldAuthority, facts: Facts, wanted: Wanted, now: datetime
) -> Step | None:
    successor = authority.successor
    if successor is None:
        return None
    if any(held.issuer != successor.fingerprint for _, held in _held(facts, wanted)):
        return None
    if not _has_begun(authority.used_since, now):
        return AuthorityStep.BEGIN_USE
    over = wanted.settled and _is_over(authority.used_since, now)
    return AuthorityStep.COMPLETE if over else None


def _held(facts: Facts, wanted: Wanted) -> Sequence[tuple[Leaf, HeldLeaf]]:
    return [
        (leaf, facts.leaves[leaf.secret]) for leaf in wanted.leaves if leaf.secret in facts.leaves
    ]


def _has_begun(since: datetime | None, now: datetime) -> bool:
    """Whether a stage has begun; a moment that is still to come was written by a wrong clock."""
    return since is not None and since <= now


def _is_over(since: datetime | None, now: datetime) -> bool:
    return since is not None and now - since >= OVERLAP
