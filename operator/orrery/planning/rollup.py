"""Sum up what all regions say into one honest status of a GlobalDeployment. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from orrery.api.conditions import ConditionType, Reason
from orrery.api.globaldeployment import (
    ContinentStatus,
    Display,
    GlobalDeploymentStatus,
    RegionalPhase,
    RegionalStatus,
    Summary,
)
from orrery.planning import conditions
from orrery.planning.conditions import Verdict
from orrery.planning.health import tally
from orrery.planning.wording import enumerated, joined

UNDER_WAY: frozenset[RegionalPhase] = frozenset({"Pending", "Updating", "Stopping"})
"""Phases that end by themselves."""

_NAMED_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class RegionalState:
    """What is known of a deployment in one region."""

    phase: RegionalPhase = "Pending"
    ready: int = 0
    desired: int = 0
    digest: str = ""
    index: int = 0
    reason: Reason | None = None
    message: str | None = None
    wanted: bool = True
    """Whether the placement selects the region; False while the job there is being removed."""
    current: bool = False
    """Whether the region's Nomad has the current spec."""
    batch: bool = False
    """Whether it runs to its end."""

    @property
    def finished(self) -> bool:
        """Whether it ran to its end: that its job is gone means nothing then."""
        return self.batch and self.phase == "Healthy"


@dataclass(frozen=True, slots=True)
class Findings:
    """What is true of the whole deployment, beside its regions."""

    generation: int
    revision: str = ""
    paused: bool = False
    deleting: bool = False
    blocked: Verdict | None = None
    """Why nothing can be done at all: an invalid spec, a missing Secret, no region."""
    stalled: bool = False
    """Whether waiting will not cure *blocked*."""
    left: bool = False
    """Whether nothing is written, and what runs was compared with the spec all the same."""
    selected: Collection[str] = ()
    """Regions that the placement selects, whether anything is known of them yet or not."""
    unknown_regions: Sequence[str] = ()
    """Sentences about regions that the placement names and that do not exist."""


def summarize(
    findings: Findings,
    regions: Mapping[str, RegionalState],
    continents: Mapping[str, str],
    *,
    before: GlobalDeploymentStatus,
    now: str,
) -> GlobalDeploymentStatus:
    """Sum up *regions*; *continents* maps a region to its continent.

    The same findings give the same status: messages are sorted and hold no times, so a status is
    written only when something changed.
    """
    placed = {name: state for name, state in regions.items() if state.wanted}
    summary = Summary(
        desired=len(placed.keys() | findings.selected) + len(findings.unknown_regions),
        updated=sum(s.current for s in placed.values()),
        ready=sum(s.phase == "Healthy" and s.current for s in placed.values()),
        failed=sum(s.phase == "Failed" for s in placed.values()),
        unreachable=sum(s.phase == "Unreachable" for s in placed.values()),
    )
    verdicts = _verdicts(findings, regions, summary)
    return GlobalDeploymentStatus(
        observed_generation=findings.generation,
        conditions=conditions.settle(
            verdicts, before=before.conditions, generation=findings.generation, now=now
        ),
        updated_revision=findings.revision or before.updated_revision,
        display=Display(
            regions=f"{summary.ready}/{summary.desired}",
            status=_cut(_headline(verdicts, regions), 1024),
        ),
        summary=summary,
        continents=_by_continent(findings, regions, continents),
    )


def describe(state: RegionalState) -> str:
    """Say what is wrong with a job that is not well."""
    return state.message or tally(state.ready, state.desired)


def differs_for_people(before: GlobalDeploymentStatus, after: GlobalDeploymentStatus) -> bool:
    """Tell whether *after* is worth a write: phase transitions, not each step inside one.

    While a region is under way, its counts, digest and index move with every instance; they are
    written with its next phase.
    """
    return before != after and _projection(before) != _projection(after)


def _projection(status: GlobalDeploymentStatus) -> GlobalDeploymentStatus:
    def calm(state: RegionalStatus) -> RegionalStatus:
        if state.phase not in UNDER_WAY:
            return state
        return state.model_copy(update={"ready": "", "revision": "", "index": 0})

    return status.model_copy(
        update={
            "summary": status.summary and status.summary.model_copy(update={"updated": 0}),
            "continents": [
                c.model_copy(update={"regions": {n: calm(s) for n, s in c.regions.items()}})
                for c in status.continents
            ],
        }
    )


def _verdicts(
    findings: Findings, regions: Mapping[str, RegionalState], summary: Summary
) -> list[Verdict]:
    if findings.blocked is not None:
        kind = ConditionType.STALLED if findings.stalled else ConditionType.RECONCILING
        reason, message = findings.blocked.reason, findings.blocked.message
        return [findings.blocked, conditions.abnormal(kind, reason, message)]
    if findings.deleting:
        message = _deletion(regions)
        return [
            conditions.ready("False", Reason.DELETING, message),
            conditions.abnormal(ConditionType.RECONCILING, Reason.DELETING, message),
        ]
    verdicts = [_ready(findings, regions, summary)]
    if findings.paused:
        message = "spec.paused is true: nothing is written to any region"
        verdicts.append(conditions.abnormal(ConditionType.RECONCILING, Reason.PAUSED, message))
    elif (moving := _named(regions, UNDER_WAY)) is not None:
        message = f"bringing {moving} to the current spec"
        verdicts.append(conditions.abnormal(ConditionType.RECONCILING, Reason.PROGRESSING, message))
    impaired = _impaired(findings, regions)
    if impaired is not None:
        verdicts.append(impaired)
    return verdicts


def _ready(findings: Findings, regions: Mapping[str, RegionalState], summary: Summary) -> Verdict:
    """Judge the whole: it stays ready in an outage while a region we can see is healthy."""
    placed = {name: state for name, state in regions.items() if state.wanted}
    moving = _named(placed, UNDER_WAY)
    if summary.ready == summary.desired and summary.desired:
        return conditions.ready("True", Reason.SUCCEEDED, f"healthy in {_count(summary.ready)}")
    problem = _first_problem(findings, placed)
    if summary.unreachable and summary.unreachable == len(placed):
        message = problem.message if problem else "no region answers"
        return conditions.ready("Unknown", Reason.REGION_UNREACHABLE, message)
    if problem is not None and problem.reason in _FATAL:
        return conditions.ready("False", problem.reason, problem.message)
    if moving is not None:
        return conditions.ready("False", Reason.PROGRESSING, f"waiting for {moving}")
    if summary.ready and summary.unreachable:
        seen = f"healthy in {_count(summary.ready)}"
        return conditions.ready("True", Reason.SUCCEEDED, f"{seen}; {_unreachable(placed)}")
    return problem or _held_back(placed)


def _held_back(placed: Mapping[str, RegionalState]) -> Verdict:
    """Say what is as it was left while nothing is written."""
    behind = sorted(name for name, state in placed.items() if not state.current)
    message = f"{_join(behind)} {_verb(behind, 'has', 'have')} an older spec, nothing is written"
    return conditions.ready("False", Reason.PAUSED, message)


_FATAL = frozenset(
    {
        Reason.FOREIGN_JOB,
        Reason.JOB_REFUSED,
        Reason.REVERTED,
        Reason.NO_ROOM,
        Reason.UNHEALTHY,
        Reason.REGION_NOT_AVAILABLE,
        Reason.UNKNOWN_DRIVER,
        Reason.NOMAD_REFUSED,
        Reason.INVALID_SPEC,
        Reason.INTERNAL_ERROR,
    }
)


def _impaired(findings: Findings, regions: Mapping[str, RegionalState]) -> Verdict | None:
    """Tell what is wrong, and of jobs that are to be stopped in regions that do not answer."""
    problem = _first_problem(findings, {n: s for n, s in regions.items() if s.wanted})
    lingering = "" if findings.paused else _lingering(regions)
    if problem is None and not lingering:
        return None
    reason = problem.reason if problem else Reason.REGION_UNREACHABLE
    message = "; ".join(filter(None, (problem.message if problem else "", lingering)))
    return conditions.abnormal(ConditionType.DEGRADED, reason, message)


def _first_problem(findings: Findings, placed: Mapping[str, RegionalState]) -> Verdict | None:
    """Name the worst that is wrong: what the user can mend before what will pass by itself."""
    sentences: list[tuple[Reason, str]] = [
        (Reason.REGION_NOT_AVAILABLE, sentence) for sentence in sorted(findings.unknown_regions)
    ]
    alike: dict[tuple[Reason, str], list[str]] = {}
    for name, state in sorted(placed.items()):
        if state.phase in {"Failed", "Degraded"} or (state.phase in UNDER_WAY and state.message):
            alike.setdefault((state.reason or Reason.UNHEALTHY, describe(state)), []).append(name)
    sentences += [(reason, f"{_join(names)}: {text}") for (reason, text), names in alike.items()]
    if any(state.phase == "Unreachable" for state in placed.values()):
        sentences.append((Reason.REGION_UNREACHABLE, _unreachable(placed)))
    if not sentences:
        return None
    told = joined([text for _, text in sentences], _NAMED_AT_MOST)
    return conditions.ready("False", sentences[0][0], told)


def _headline(verdicts: Sequence[Verdict], regions: Mapping[str, RegionalState]) -> str:
    """Choose the sentence for `kubectl get`: what is wrong, else what moves, else the good news.

    Regions that do not answer are no reason to hide what the others do.
    """
    by_type = {verdict.type: verdict for verdict in verdicts}
    reasons = {kind: verdict.reason for kind, verdict in by_type.items()}
    if (
        reasons.get(ConditionType.DEGRADED) is Reason.REGION_UNREACHABLE
        and reasons.get(ConditionType.RECONCILING) is Reason.PROGRESSING
    ):
        placed = {name: state for name, state in regions.items() if state.wanted}
        dark = (_unreachable(placed, briefly=True), _lingering(regions))
        return "; ".join((by_type[ConditionType.RECONCILING].message, *filter(None, dark)))
    for kind in (ConditionType.STALLED, ConditionType.DEGRADED, ConditionType.RECONCILING):
        if kind in by_type:
            return by_type[kind].message
    return by_type[ConditionType.READY].message


def _deletion(regions: Mapping[str, RegionalState]) -> str:
    held = sorted(n for n, s in regions.items() if s.reason is Reason.STOPS_HELD)
    if held:
        return f"{_join(held)}: {regions[held[0]].message}"
    waiting = sorted(n for n, s in regions.items() if s.phase == "Unreachable")
    if waiting:
        return f"waiting for {_join(waiting)} to answer, to stop the jobs there"
    left = sorted(regions)
    return f"stopping the jobs in {_join(left)}" if left else "all jobs are stopped"


def _unreachable(placed: Mapping[str, RegionalState], *, briefly: bool = False) -> str:
    """Name the regions that do not answer, and what becomes of them; empty when there are none."""
    dark = sorted(name for name, state in placed.items() if state.phase == "Unreachable")
    if not dark:
        return ""
    behind = [name for name in dark if not placed[name].current]
    silent = f"{_join(dark)} {_verb(dark, 'does', 'do')} not answer"
    if briefly and behind == dark:
        return f"{silent} and will get it on return"
    if briefly:
        return f"{silent}; {_join(behind)} will get it on return" if behind else silent
    left = f"{silent}, the jobs there are left as they are"
    return f"{left}; {_join(behind)} will get the current spec on return" if behind else left


def _lingering(regions: Mapping[str, RegionalState]) -> str:
    """Name the regions that do not answer and hold a job that is no longer wanted, if any."""
    dark = sorted(n for n, s in regions.items() if s.phase == "Unreachable" and not s.wanted)
    if not dark:
        return ""
    silent = f"{_join(dark)} {_verb(dark, 'does', 'do')} not answer"
    return f"{silent}, the {_verb(dark, 'job', 'jobs')} there will be stopped on return"


def _named(regions: Mapping[str, RegionalState], phases: frozenset[RegionalPhase]) -> str | None:
    moving = sorted(name for name, state in regions.items() if state.phase in phases)
    return _join(moving) if moving else None


def _join(regions: Sequence[str]) -> str:
    return enumerated(regions, _NAMED_AT_MOST)


def _verb(names: Sequence[str], one: str, many: str) -> str:
    return one if len(names) == 1 else many


def _count(number: int) -> str:
    return "1 region" if number == 1 else f"{number} regions"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _by_continent(
    findings: Findings, regions: Mapping[str, RegionalState], continents: Mapping[str, str]
) -> list[ContinentStatus]:
    grouped: dict[str, dict[str, RegionalStatus]] = {}
    for name, state in sorted(regions.items()):
        message = state.message or _remark(findings, state)
        grouped.setdefault(continents.get(name, "unknown"), {})[name] = RegionalStatus(
            phase=state.phase,
            ready=f"{state.ready}/{state.desired}",
            revision=state.digest,
            index=state.index,
            reason=state.reason,
            message=_cut(message, 512) if message else None,
        )
    return [ContinentStatus(name=c, regions=r) for c, r in sorted(grouped.items())]


def _remark(findings: Findings, state: RegionalState) -> str | None:
    """Say what the current spec has to do with a job that is, for now, left as it is."""
    if findings.left and state.index and state.phase not in UNDER_WAY:
        if not state.wanted:
            return "runs an older spec, the current one does not select this region"
        return None if state.current else "runs an older spec"
    waits = not (state.wanted or findings.paused or findings.blocked)
    return "will be stopped on return" if waits and state.phase == "Unreachable" else None
