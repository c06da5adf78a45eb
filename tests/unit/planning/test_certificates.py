"""Certificates: why each is issued, and what an authority that is lost looks like."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from orrery.planning.certificates import (
    OVERLAP,
    AuthorityStep,
    Cause,
    Facts,
    HeldAuthority,
    HeldLeaf,
    Issue,
    Leaf,
    Loss,
    Step,
    Trust,
    Wanted,
    authority_lost,
    next_step,
)
from orrery.ports import Certificate, Usage

NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
SECOND: Final = timedelta(seconds=1)
DAY: Final = timedelta(days=1)

HOSTS: Final = frozenset({"server.fra.nomad"})
USAGES: Final = frozenset({Usage.SERVER, Usage.CLIENT})
SERVERS: Final = Leaf("fra-nomad-tls", "server.fra.nomad", HOSTS, USAGES)
DOOR: Final = Leaf("fra-front-door-tls", "front-door.fra.orrery", HOSTS, USAGES)


def an_authority(name: str = "one", *, start: datetime = NOW - DAY) -> Certificate:
    return Certificate(name, start, start + 3000 * DAY, is_authority=True)


def a_leaf(
    issuer: str = "one", trusts: tuple[str, ...] = ("one",), *, age: timedelta = DAY, **other: Any
) -> HeldLeaf:
    """Make a leaf of 30 days."""
    start = NOW - age
    fields = {"hosts": HOSTS, "usages": USAGES, **other}
    certificate = Certificate("leaf", start, start + 30 * DAY, **fields)
    return HeldLeaf(certificate, issuer, frozenset(trusts))


def held(**fields: Any) -> HeldAuthority:
    return HeldAuthority(**{"current": an_authority(), "trusts": frozenset({"one"}), **fields})


def in_rotation(**fields: Any) -> HeldAuthority:
    return held(successor=an_authority("two"), trusts=frozenset({"one", "two"}), **fields)


def step(
    authority: HeldAuthority | None, *leaves: HeldLeaf | None, settled: bool = True, **wanted: Any
) -> Step | None:
    """Decide with *leaves* in the Secrets of the servers and of the front door."""
    present = {
        leaf.secret: it for leaf, it in zip((SERVERS, DOOR), leaves, strict=False) if it is not None
    }
    needs = Wanted(
        (SERVERS, DOOR)[: len(leaves)], **{"remembered": "one", **wanted}, settled=settled
    )
    return next_step(Facts(authority, leaves=present), needs, NOW)


@pytest.mark.parametrize(
    ("leaf", "cause"),
    [
        pytest.param(None, Cause.MISSING, id="missing"),
        pytest.param(HeldLeaf(None, "one", frozenset({"one"})), Cause.DAMAGED, id="damaged"),
        pytest.param(a_leaf(""), Cause.UNTRUSTED, id="from-nobody-we-know"),
        pytest.param(a_leaf(hosts=frozenset({"old"})), Cause.HOSTS, id="hosts-changed"),
        pytest.param(a_leaf(usages=frozenset({Usage.CLIENT})), Cause.USAGES, id="usages-changed"),
        pytest.param(a_leaf(age=20 * DAY), Cause.RENEWAL, id="two-thirds-over"),
        pytest.param(a_leaf(age=40 * DAY), Cause.RENEWAL, id="expired"),
        pytest.param(a_leaf(age=-DAY), Cause.RENEWAL, id="made-by-a-clock-ahead"),
    ],
)
def test_a_leaf_is_issued_for_a_cause(leaf: HeldLeaf | None, cause: Cause) -> None:
    assert step(held(), leaf) == Issue(SERVERS, cause, by_successor=False)


@pytest.mark.parametrize("age", [timedelta(), DAY, 20 * DAY - SECOND])
def test_a_good_leaf_is_kept(age: timedelta) -> None:
    assert step(held(), a_leaf(age=age), a_leaf()) is None


@pytest.mark.parametrize(
    ("authority", "leaves", "expected"),
    [
        pytest.param(None, [None, None], AuthorityStep.CREATE, id="nothing-there"),
        pytest.param(held(trusts=frozenset()), [a_leaf()], AuthorityStep.MEND, id="no-bundle"),
        pytest.param(held(), [a_leaf(trusts=())], Trust(SERVERS), id="leaf-without-bundle"),
        pytest.param(
            held(current=an_authority(start=NOW - 2000 * DAY)),
            [a_leaf()],
            AuthorityStep.PREPARE,
            id="authority-past-two-thirds",
        ),
        pytest.param(
            held(current=an_authority(start=NOW - 2000 * DAY + SECOND)),
            [a_leaf()],
            None,
            id="authority-just-before",
        ),
        pytest.param(
            held(current=an_authority(start=NOW + DAY)),
            [a_leaf()],
            None,
            id="authority-made-by-a-clock-ahead",
        ),
    ],
)
def test_the_authority_comes_before_its_leaves(
    authority: HeldAuthority | None, leaves: list[HeldLeaf | None], expected: Step | None
) -> None:
    assert step(authority, *leaves) == expected


@pytest.mark.parametrize(
    ("asked", "heard", "expected"),
    [
        pytest.param("2", "", AuthorityStep.PREPARE, id="asked-first"),
        pytest.param("2", "1", AuthorityStep.PREPARE, id="asked-again"),
        pytest.param("2", "2", None, id="heard"),
        pytest.param("", "2", None, id="taken-back"),
    ],
)
def test_each_request_for_a_new_authority_counts_once(
    asked: str, heard: str, expected: Step | None
) -> None:
    assert step(held(rotation=heard), a_leaf(), rotation=asked) == expected


@pytest.mark.parametrize("remembered", ["", "zero"])
def test_an_authority_that_is_not_remembered_yet_is_not_replaced(remembered: str) -> None:
    authority = held(previous=remembered)

    assert step(authority, a_leaf(), rotation="now", remembered=remembered) is None


BOTH: Final = ("one", "two")
SINCE: Final = NOW - OVERLAP

STAGES = [
    pytest.param(
        in_rotation(), [a_leaf(trusts=BOTH), a_leaf()], Trust(DOOR), id="1-trust-is-spread"
    ),
    pytest.param(
        in_rotation(),
        [a_leaf(trusts=BOTH), None],
        Issue(DOOR, Cause.MISSING, by_successor=False),
        id="1-no-overlap-while-a-leaf-is-missing",
    ),
    pytest.param(
        in_rotation(),
        [a_leaf(trusts=BOTH), a_leaf(trusts=BOTH)],
        AuthorityStep.BEGIN_TRUST,
        id="1-the-overlap-begins",
    ),
    pytest.param(
        in_rotation(trusted_since=SINCE + SECOND),
        [a_leaf(trusts=BOTH), None],
        Issue(DOOR, Cause.MISSING, by_successor=False),
        id="1-the-old-one-goes-on",
    ),
    pytest.param(
        in_rotation(trusted_since=SINCE + SECOND), [a_leaf(trusts=BOTH)], None, id="1-lasts"
    ),
    pytest.param(
        in_rotation(trusted_since=NOW + SECOND),
        [a_leaf(trusts=BOTH)],
        AuthorityStep.BEGIN_TRUST,
        id="1-clock-was-ahead",
    ),
    pytest.param(
        in_rotation(trusted_since=SINCE),
        [a_leaf(trusts=BOTH), a_leaf()],
        AuthorityStep.RECALL,
        id="1-somebody-restored-an-old-secret",
    ),
    pytest.param(
        in_rotation(trusted_since=SINCE),
        [a_leaf("two", BOTH), a_leaf(trusts=BOTH)],
        Issue(DOOR, Cause.RETIRING, by_successor=True),
        id="2-leaf-by-leaf",
    ),
    pytest.param(
        in_rotation(trusted_since=SINCE),
        [a_leaf("two", BOTH), a_leaf("two", BOTH)],
        AuthorityStep.BEGIN_USE,
        id="2-ends",
    ),
    pytest.param(
        in_rotation(trusted_since=SINCE, used_since=SINCE + SECOND),
        [a_leaf("two", BOTH), a_leaf("two", BOTH)],
        None,
        id="3-lasts",
    ),
    pytest.param(
        in_rotation(trusted_since=SINCE, used_since=SINCE),
        [a_leaf("two", BOTH), a_leaf(trusts=BOTH)],
        AuthorityStep.RECALL,
        id="3-a-leaf-of-the-old-one-is-back",
    ),
    pytest.param(
        in_rotation(trusted_since=SINCE, used_since=SINCE),
        [a_leaf("two", BOTH), None],
        Issue(DOOR, Cause.MISSING, by_successor=True),
        id="3-the-new-one-goes-on",
    ),
    pytest.param(
        in_rotation(trusted_since=SINCE, used_since=SINCE),
        [a_leaf("two", BOTH), a_leaf("two", BOTH)],
        AuthorityStep.COMPLETE,
        id="3-ends",
    ),
    pytest.param(
        replace(in_rotation(trusted_since=SINCE), successor=an_authority("two", start=NOW + DAY)),
        [a_leaf(trusts=BOTH)],
        AuthorityStep.PREPARE,
        id="successor-made-by-a-clock-ahead",
    ),
    pytest.param(
        in_rotation(trusted_since=NOW, current=an_authority(start=NOW - 3000 * DAY)),
        [a_leaf(trusts=BOTH)],
        Issue(SERVERS, Cause.RETIRING, by_successor=True),
        id="nothing-waits-for-an-expired-authority",
    ),
]


@pytest.mark.parametrize(("authority", "leaves", "expected"), STAGES)
def test_an_authority_is_replaced_stage_by_stage(
    authority: HeldAuthority, leaves: list[HeldLeaf | None], expected: Step | None
) -> None:
    assert step(authority, *leaves, rotation="") == expected


@pytest.mark.parametrize(
    ("authority", "leaves"),
    [
        pytest.param(in_rotation(trusted_since=SINCE), [a_leaf(trusts=BOTH)], id="after-1"),
        pytest.param(
            in_rotation(trusted_since=SINCE, used_since=SINCE), [a_leaf("two", BOTH)], id="after-3"
        ),
    ],
)
def test_a_stage_lasts_until_the_servers_have_caught_up(
    authority: HeldAuthority, leaves: list[HeldLeaf | None]
) -> None:
    assert step(authority, *leaves, settled=False) is None


def test_a_stage_that_has_begun_goes_on_while_servers_catch_up() -> None:
    leaves = a_leaf("two", BOTH), a_leaf(trusts=BOTH)

    assert step(in_rotation(trusted_since=SINCE), *leaves, settled=False) == Issue(
        DOOR, Cause.RETIRING, by_successor=True
    )


LEAVES: Final = {SERVERS.secret: a_leaf()}


@pytest.mark.parametrize(
    ("facts", "remembered", "loss"),
    [
        pytest.param(Facts(None), "", None, id="never-made"),
        pytest.param(Facts(None), "one", "does not exist any more", id="gone-and-remembered"),
        pytest.param(Facts(None, leaves=LEAVES), "", "does not exist any more", id="leaves-tell"),
        pytest.param(
            Facts(None, leaves={DOOR.secret: HeldLeaf(None)}),
            "",
            "does not exist any more",
            id="a-damaged-leaf-tells-too",
        ),
        pytest.param(Facts(None, damaged=True), "", "is damaged", id="damaged"),
        pytest.param(Facts(held(), leaves=LEAVES), "", None, id="made-and-not-remembered"),
        pytest.param(Facts(held()), "one", None, id="the-one-remembered"),
        pytest.param(Facts(held()), "two", "holds another authority", id="another"),
        pytest.param(Facts(in_rotation()), "two", None, id="the-successor"),
        pytest.param(Facts(held(previous="zero")), "zero", None, id="the-one-before"),
    ],
)
def test_an_authority_that_was_made_is_missed(
    facts: Facts, remembered: str, loss: Loss | None
) -> None:
    assert authority_lost(facts, remembered) == loss
