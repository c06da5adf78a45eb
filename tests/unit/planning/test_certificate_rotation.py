"""Replacing an authority: whatever happens in between, everybody who runs trusts everybody.

What runs takes over its Secret some time after it is written. Either the planner is told when that
has happened and it may take forever, or it is not told and it takes an hour at most.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orrery.planning.certificates import (
    OVERLAP,
    AuthorityStep,
    Facts,
    HeldAuthority,
    HeldLeaf,
    Issue,
    Leaf,
    Step,
    Trust,
    Wanted,
    authority_lost,
    next_step,
)
from orrery.ports import Certificate, Usage

START: Final = datetime(2030, 1, 1, tzinfo=UTC)
USAGES: Final = frozenset({Usage.SERVER, Usage.CLIENT})
SECRETS: Final = ("servers", "front-door", "operator")
AUTHORITY_LIFE: Final = timedelta(days=90)
LEAF_LIFE: Final = timedelta(days=9)

WAITS: Final = [timedelta(minutes=1), timedelta(minutes=59), OVERLAP, timedelta(days=5)]


class Rotation(RuleBasedStateMachine):
    """A region whose operator works in bits and pieces, and knows what its servers run with."""

    told = True

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.authority: HeldAuthority | None = None
        self.written: dict[str, list[tuple[datetime, HeldLeaf]]] = {name: [] for name in SECRETS}
        self.taken: dict[str, int] = dict.fromkeys(SECRETS, -1)
        self.lost: set[str] = set()
        self.hosts = dict.fromkeys(SECRETS, 0)
        self.remembered = ""
        self.asked = 0
        self.made = 0

    @rule(steps=st.integers(min_value=1, max_value=4))
    def work_until_a_crash(self, steps: int) -> None:
        self.work(steps)

    @rule()
    def work_to_the_end(self) -> None:
        self.work(50)

        assert next_step(self.facts, self.wanted(settled=self.is_settled), self.now) is None
        assert self.authority is not None
        self.remembered = self.authority.current.fingerprint

    @rule(wait=st.sampled_from(WAITS))
    def let_time_pass(self, wait: timedelta) -> None:
        if self.authority and self.now + wait >= self.authority.current.not_after:
            return  # Nobody promises anything for an operator that is away for so long.
        self.now += wait
        if not self.told:
            for name, history in self.written.items():
                old = [i for i, (at, _) in enumerate(history) if at <= self.now - OVERLAP]
                self.taken[name] = max([self.taken[name], *old])

    @rule(name=st.sampled_from(SECRETS))
    def take_over(self, name: str) -> None:
        self.taken[name] = len(self.written[name]) - 1

    @rule()
    def ask_for_another_authority(self) -> None:
        self.asked += 1

    @precondition(lambda self: self.authority is not None)
    @rule(name=st.sampled_from(SECRETS))
    def lose_a_leaf(self, name: str) -> None:
        self.lost.add(name)

    @rule(name=st.sampled_from(SECRETS))
    def change_the_hosts(self, name: str) -> None:
        self.hosts[name] += 1

    @invariant()
    def all_that_runs_is_trusted_by_all_that_runs(self) -> None:
        running = [self.written[name][i][1] for name, i in self.taken.items() if i >= 0]

        assert all(one.issuer in other.trusts for one in running for other in running)

    @invariant()
    def all_that_is_written_is_trusted_by_all_that_is_written(self) -> None:
        leaves = self.facts.leaves.values()

        assert all(one.issuer in other.trusts for one in leaves for other in leaves)

    def teardown(self) -> None:
        for _ in range(8):
            self.work_to_the_end()
            for name in SECRETS:
                self.take_over(name)
            self.now += OVERLAP

        assert self.authority is not None
        current = self.authority.current.fingerprint
        assert self.authority.successor is None
        assert self.authority.rotation == str(self.asked or "")
        assert {leaf.issuer for leaf in self.facts.leaves.values()} == {current}
        assert {leaf.trusts for leaf in self.facts.leaves.values()} == {frozenset({current})}
        super().teardown()

    @property
    def facts(self) -> Facts:
        present = {n: h[-1][1] for n, h in self.written.items() if h and n not in self.lost}
        return Facts(self.authority, leaves=present)

    @property
    def is_settled(self) -> bool:
        caught_up = all(i == len(self.written[name]) - 1 for name, i in self.taken.items())
        return caught_up or not self.told

    def wanted(self, *, settled: bool) -> Wanted:
        leaves = [
            Leaf(name, name, frozenset({f"host-{self.hosts[name]}"}), USAGES) for name in SECRETS
        ]
        asked = str(self.asked or "")
        return Wanted(leaves, remembered=self.remembered, rotation=asked, settled=settled)

    def work(self, steps: int) -> None:
        wanted = self.wanted(settled=self.is_settled)
        for _ in range(steps):
            assert authority_lost(self.facts, self.remembered) is None
            step = next_step(self.facts, wanted, self.now)
            if step is None:
                return
            self.take(step, wanted)

    def take(self, step: Step, wanted: Wanted) -> None:
        if step is AuthorityStep.CREATE:
            first = self.an_authority()
            trusts = frozenset({first.fingerprint})
            self.authority = HeldAuthority(first, trusts, rotation=wanted.rotation)
            return
        held = self.authority
        assert held is not None
        match step:
            case Trust(leaf):
                before = self.facts.leaves[leaf.secret]
                self.write(leaf, replace(before, trusts=held.should_trust))
            case Issue(leaf, _, by_successor):
                issuer = held.successor if by_successor else held.current
                assert issuer is not None
                certificate = Certificate(
                    "leaf", self.now, self.now + LEAF_LIFE, leaf.hosts, leaf.usages
                )
                self.write(leaf, HeldLeaf(certificate, issuer.fingerprint, held.should_trust))
            case AuthorityStep():
                amended = self.amended(held, step, wanted)
                self.authority = replace(amended, trusts=amended.should_trust)

    def amended(self, held: HeldAuthority, step: AuthorityStep, wanted: Wanted) -> HeldAuthority:
        match step:
            case AuthorityStep.PREPARE:
                heard = wanted.rotation or held.rotation
                return replace(held, successor=self.an_authority(), rotation=heard)
            case AuthorityStep.RECALL:
                return replace(held, trusted_since=None, used_since=None)
            case AuthorityStep.BEGIN_TRUST:
                return replace(held, trusted_since=self.now)
            case AuthorityStep.BEGIN_USE:
                return replace(held, used_since=self.now)
            case AuthorityStep.COMPLETE:
                assert held.successor is not None
                return HeldAuthority(
                    held.successor,
                    held.trusts,
                    previous=held.current.fingerprint,
                    rotation=held.rotation,
                )
        raise AssertionError(f"nothing calls for {step}")

    def write(self, leaf: Leaf, held: HeldLeaf) -> None:
        self.written[leaf.secret].append((self.now, held))
        self.lost.discard(leaf.secret)

    def an_authority(self) -> Certificate:
        self.made += 1
        name = f"authority-{self.made}"
        return Certificate(name, self.now, self.now + AUTHORITY_LIFE, is_authority=True)


class PunctualRotation(Rotation):
    """The same, where nobody says what the servers run with."""

    told = False


TestRotation = Rotation.TestCase
TestPunctualRotation = PunctualRotation.TestCase
TestRotation.settings = TestPunctualRotation.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None
)
