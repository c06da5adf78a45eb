"""A change of a class: a few regions at a time, none after one that is not well, all in the end."""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from orrery.api.classrollout import ClassRollout, RegionWave
from orrery.planning.classrollout import Decision, RegionView, plan_class_rollout
from orrery.planning.waves import waves_of

TARGET = "r2"
SOAK = 300.0
DEADLINE = 1200.0
WEAK = "none of 2 front doors is ready"


def a_view(name: str, **fields: Any) -> RegionView:
    known: dict[str, Any] = {"labels": {}, "settled": True, "returns": True, "lasts": 9999}
    return RegionView(name, **{**known, **fields})


def decide(*views: RegionView, approved: str = "", **rollout: object) -> Decision:
    spec = ClassRollout.model_validate(rollout)
    return plan_class_rollout(views, spec, revision=TARGET, approved=approved)


def test_one_region_takes_a_change_and_the_others_wait() -> None:
    found = decide(a_view("par"), a_view("fra"), a_view("was"))

    assert found.take == ("fra",)
    assert found.phase == "Rolling"


def test_the_next_starts_only_when_the_one_before_has_soaked() -> None:
    moving = a_view("fra", updated=True, settled=False, lasts=SOAK - 1)

    assert decide(moving, a_view("par")).take == ()
    soaked = decide(replace(moving, lasts=SOAK), a_view("par"))
    assert soaked.settle == ("fra",)
    assert soaked.take == ("par",)


def test_a_region_that_stays_unwell_stops_the_rollout_and_is_named() -> None:
    weak = a_view("fra", updated=True, settled=False, problem=WEAK, lasts=DEADLINE)

    found = decide(weak, a_view("par"))

    assert (found.phase, found.take, found.failed) == ("Failed", (), ("fra",))
    assert found.message == f"stopped: region fra is not well with revision r2: {WEAK}"


def test_what_waiting_will_not_cure_stops_it_at_once() -> None:
    weak = a_view("fra", updated=True, settled=False, problem=WEAK, hopeless=True, lasts=0)

    assert decide(weak, a_view("par")).phase == "Failed"


def test_a_settled_region_that_is_not_well_any_more_holds_the_next() -> None:
    weak = a_view("fra", updated=True, problem=WEAK, lasts=1)

    found = decide(weak, a_view("par"))

    assert (found.phase, found.take) == ("Waiting", ())
    assert "fra is not well" in found.message


def test_a_region_that_fails_later_is_the_first_to_get_the_cure() -> None:
    failed = a_view("was", updated=True, problem=WEAK, lasts=DEADLINE)

    assert decide(failed, a_view("fra")).unsettle == ("was",)

    behind = replace(failed, updated=False, settled=False)
    assert decide(behind, a_view("fra")).take == ("was",)


def test_one_region_may_fail_where_the_class_allows_it() -> None:
    weak = a_view("fra", updated=True, settled=False, problem=WEAK, lasts=DEADLINE)

    assert decide(weak, a_view("par"), maxFailedRegions=1).take == ("par",)


def test_a_region_that_is_not_well_goes_last() -> None:
    found = decide(a_view("fra", problem=WEAK), a_view("par"))

    assert found.take == ("par",)


def test_the_change_may_be_the_cure_of_the_only_region() -> None:
    assert decide(a_view("fra", problem=WEAK)).take == ("fra",)


def test_a_region_out_of_reach_is_passed_over_and_does_not_hold_the_others() -> None:
    dark = a_view("fra", out_of_reach="the cluster does not answer", problem="dark", known=False)

    assert decide(dark, a_view("par")).take == ("par",)
    last = decide(dark, a_view("par", updated=True))
    assert last.phase == "Waiting"
    assert last.message == "passed over: fra: the cluster does not answer"


def test_nothing_starts_before_it_is_known_what_all_regions_run() -> None:
    found = decide(a_view("fra", known=False), a_view("par"))

    assert (found.phase, found.take) == ("Waiting", ())


def test_a_region_that_is_being_built_is_no_part_of_it() -> None:
    fresh = a_view("fra", fresh=True, updated=True, settled=False, problem="no address yet")

    assert decide(fresh, a_view("par")).take == ("par",)


def test_a_region_that_is_being_built_is_not_said_to_have_the_revision() -> None:
    fresh = a_view("fra", fresh=True, updated=True, settled=False, problem="no address yet")
    old = a_view("par", updated=True, settled=True)

    alone, beside = decide(fresh), decide(fresh, old)

    assert (alone.phase, alone.updated, alone.desired) == ("Complete", 0, 1)
    assert alone.message.startswith("being built with revision ")
    assert alone.message.endswith(": fra")
    assert beside.message.startswith("all others have revision ")
    assert beside.message.endswith(", being built with it: fra")


def test_waves_go_one_after_the_other() -> None:
    waves = [{"name": "canary", "regions": ["was"]}]

    first = decide(a_view("fra"), a_view("was"), waves=waves)
    second = decide(a_view("fra"), a_view("was", updated=True), waves=waves)

    assert (first.take, first.wave) == (("was",), "canary")
    assert (second.take, second.wave) == (("fra",), "remaining")


def test_a_wave_of_which_nothing_could_be_tried_holds_the_next() -> None:
    waves = [{"name": "canary", "regions": ["was"]}]
    dark = a_view("was", out_of_reach="its continent is dark")

    found = decide(a_view("fra"), dark, waves=waves)

    assert found.take == ()
    assert "was: its continent is dark" in found.message


def test_a_wave_waits_for_its_approval_and_says_how_to_give_it() -> None:
    waves = [{"name": "eu", "percent": 50, "approval": "Required"}]

    held = decide(a_view("fra"), a_view("par"), waves=waves)
    given_ = decide(a_view("fra"), a_view("par"), waves=waves, approved="eu")

    assert (held.phase, held.take, held.wave) == ("AwaitingApproval", (), "eu")
    assert "`orrery class approve`" in held.message
    assert given_.take == ("fra",)


def test_a_paused_rollout_starts_nothing() -> None:
    assert decide(a_view("fra"), paused=True).phase == "Paused"


def test_a_failure_takes_every_region_back_where_the_class_says_so() -> None:
    weak = a_view("par", updated=True, settled=False, problem=WEAK, lasts=DEADLINE)
    done = a_view("fra", updated=True)

    first = decide(done, weak, a_view("was"), onFailure="RollBack")
    returned = a_view("par", refused=True, settled=False, problem=WEAK, lasts=1)
    second = decide(done, returned, a_view("was"), onFailure="RollBack")
    third = decide(done, replace(returned, problem=""), a_view("was"), onFailure="RollBack")
    last = decide(
        a_view("fra", refused=True),
        a_view("par", refused=True),
        a_view("was"),
        onFailure="RollBack",
    )

    assert (first.go_back, first.take) == (("par",), ())
    assert second.go_back == ()
    assert (third.go_back, third.settle) == (("fra",), ("par",))
    assert (last.go_back, last.take, last.phase) == ((), (), "RolledBack")


def test_a_settled_region_that_nobody_sees_takes_nothing_back_and_holds_the_next() -> None:
    dark = a_view("fra", updated=True, problem="it does not answer", unseen=True)

    found = decide(dark, a_view("par"), onFailure="RollBack")

    assert (found.phase, found.take, found.failed) == ("Waiting", (), ())


def test_a_region_that_went_dark_with_the_change_stops_it_and_takes_nothing_back() -> None:
    dark = a_view("fra", updated=True, settled=False, problem="it does not answer", unseen=True)

    found = decide(dark, a_view("par"), onFailure="RollBack")

    assert (found.phase, found.take, found.failed) == ("Failed", (), ("fra",))


def test_a_region_out_of_reach_never_failed() -> None:
    away = a_view("fra", updated=True, settled=False, problem="x", out_of_reach="no continent")

    assert decide(away, a_view("par"), onFailure="RollBack").failed == ()


def test_shares_are_rounded_down_but_never_to_none() -> None:
    regions: dict[str, dict[str, str]] = {f"r{i}": {} for i in range(10)}

    def allowed(share: object) -> int:
        rollout = ClassRollout.model_validate({"maxConcurrent": share})
        return waves_of(rollout, regions)[0].max_concurrent

    assert [allowed(share) for share in ("25%", "1%", "100%", 4)] == [2, 1, 10, 4]


@dataclass
class Fleet:
    """Regions that obey decisions, as reconcilers have them do; time is counted in seconds."""

    views: dict[str, RegionView]
    rollout: ClassRollout
    approved: str = ""
    ailing: set[str] = field(default_factory=set)
    """Regions that are not well, whatever they run."""
    dark: set[str] = field(default_factory=set)
    taken: list[str] = field(default_factory=list)

    def step(self, seconds: float) -> Decision:
        for name, view in self.views.items():
            problem = WEAK if name in self.ailing else ""
            same = bool(view.problem) == bool(problem)
            self.views[name] = replace(
                view,
                problem=problem,
                lasts=view.lasts + seconds if same else 0,
                out_of_reach="dark" if name in self.dark else "",
            )
        found = self.decide()
        for name in found.settle:
            self.views[name] = replace(self.views[name], settled=True)
        for name in found.unsettle:
            self.views[name] = replace(self.views[name], settled=False)
        for name in found.take:
            self.taken.append(name)
            view = self.views[name]
            self.views[name] = replace(view, updated=True, settled=False, lasts=0)
        return found

    def decide(self) -> Decision:
        views = list(self.views.values())
        return plan_class_rollout(views, self.rollout, revision=TARGET, approved=self.approved)

    @property
    def in_motion(self) -> list[str]:
        return [n for n, view in self.views.items() if view.updated and not view.settled]


REGIONS = [f"r{number}" for number in range(6)]
SOME = st.sets(st.sampled_from(REGIONS))


@st.composite
def rollouts(draw: st.DrawFn) -> ClassRollout:
    waves = []
    for number in range(draw(st.integers(0, 3))):
        approval: Literal["Required"] | None = "Required" if draw(st.booleans()) else None
        if draw(st.booleans()):
            members = draw(st.lists(st.sampled_from(REGIONS), min_size=1, unique=True))
            waves.append(RegionWave(name=f"w{number}", regions=members, approval=approval))
        else:
            share = draw(st.integers(1, 100))
            waves.append(RegionWave(name=f"w{number}", percent=share, approval=approval))
    return ClassRollout(
        waves=waves, max_concurrent=draw(st.sampled_from([None, 1, 2, 3, "34%", "100%"]))
    )


STEPS = st.lists(
    st.tuples(st.sampled_from([5.0, 60.0, 301.0]), SOME, SOME), min_size=1, max_size=40
)


@settings(max_examples=150, deadline=None)
@given(rollout=rollouts(), steps=STEPS, approve=st.booleans())
def test_never_more_in_motion_than_allowed_and_none_starts_beside_one_that_is_not_well(
    rollout: ClassRollout, steps: list[tuple[float, set[str], set[str]]], *, approve: bool
) -> None:
    approved = rollout.waves[-1].name if approve and rollout.waves else ""
    fleet = Fleet({name: a_view(name) for name in REGIONS}, rollout, approved)
    waves = waves_of(rollout, {name: {} for name in REGIONS})
    most = max(wave.max_concurrent for wave in waves)
    unapproved = {r for w in waves if w.needs_approval and not approve for r in w.regions}

    for seconds, ailing, dark in steps:
        fleet.ailing, fleet.dark = ailing, dark
        before = set(fleet.in_motion)
        sick = {n for n, v in fleet.views.items() if v.updated and n in ailing - dark - before}
        found = fleet.step(seconds)

        assert len(fleet.in_motion) <= most
        assert not set(found.take) & dark
        assert not set(found.take) & unapproved
        if found.take:
            assert not sick
            assert not found.failed


@settings(max_examples=150, deadline=None)
@given(rollout=rollouts(), steps=STEPS)
def test_all_regions_arrive_when_all_are_well_again(
    rollout: ClassRollout, steps: list[tuple[float, set[str], set[str]]]
) -> None:
    approved = rollout.waves[-1].name if rollout.waves else ""
    fleet = Fleet({name: a_view(name) for name in REGIONS}, rollout, approved)
    for seconds, ailing, dark in steps:
        fleet.ailing, fleet.dark = ailing, dark
        fleet.step(seconds)

    fleet.ailing, fleet.dark = set(), set()
    for _ in range(3 * len(REGIONS)):
        last = fleet.step(301)

    assert last.phase == "Complete"
    assert (last.updated, last.desired) == (len(REGIONS), len(REGIONS))
    assert sorted(fleet.taken) == REGIONS


@settings(max_examples=100, deadline=None)
@given(rollout=rollouts(), ailing=SOME, updated=SOME, order=st.permutations(REGIONS))
def test_equal_regions_give_equal_decisions_in_whatever_order_they_come(
    rollout: ClassRollout, ailing: set[str], updated: set[str], order: list[str]
) -> None:
    views = [
        a_view(name, updated=name in updated, problem=WEAK if name in ailing else "", lasts=1)
        for name in order
    ]

    one = plan_class_rollout(views, rollout, revision=TARGET)
    other = plan_class_rollout(views[::-1], rollout, revision=TARGET)

    assert one == other
