"""One job of one region, and passes over it: only what matters is said."""

from typing import Any

from tests.unit.render.deployments import a_spec

from orrery import names
from orrery.adapters.memory import MemoryNomad
from orrery.planning.protocol import Owner
from orrery.planning.rollup import RegionalState
from orrery.ports import Document, Key, Kind, Submission
from orrery.reconcile.assignment import Assignment
from orrery.reconcile.regional import Pass
from orrery.reconcile.view import RegionView
from orrery.render.submission import render_submission

OWNER = Owner("orrery", "team-a", "shop")
STAMP = names.job_meta("orrery", "team-a", "shop")
KEY = Key(Kind.GLOBAL_DEPLOYMENT, "team-a", "shop")
TENANT = names.nomad_namespace("orrery", "team-a")

FIRST, BAD = "demo:1", "demo:bad"
"""Images: the second one fails, and Nomad goes back from it."""


def a_document(image: str = FIRST, *, count: int = 2, **task: Any) -> dict[str, Any]:
    app = {"Name": names.TASK, "Config": {"image": image}, **task}
    return {
        "ID": "shop",
        "Namespace": TENANT,
        "Type": "service",
        "Meta": STAMP,
        "TaskGroups": [{"Name": names.TASK_GROUP, "Count": count, "Tasks": [app]}],
    }


def a_note(digest: str, *, generation: int = 1, uid: str = "u1") -> Submission:
    return render_submission(
        a_spec(),
        install=OWNER.install,
        namespace=OWNER.namespace,
        name=OWNER.name,
        uid=uid,
        generation=generation,
        revision="r",
        digest=digest,
    )


async def leave(
    nomad: MemoryNomad,
    digest: str,
    document: Document | None = None,
    *,
    generation: int = 1,
    uid: str = "u1",
) -> int:
    """Leave the job as an earlier pass did, and return its index."""
    nomad.namespaces.add(TENANT)
    before = await nomad.read_job(TENANT, "shop")
    await nomad.register_job(
        document or a_document(),
        expected_index=before.job_modify_index if before else 0,
        submission=a_note(digest, generation=generation, uid=uid),
    )
    nomad.writes.clear()
    nomad.reads.clear()
    return await index_of(nomad)


async def settled(nomad: MemoryNomad, document: Document | None = None) -> RegionalState:
    """Leave the wanted job, and return what is remembered of it."""
    index = await leave(nomad, "new", document)
    return RegionalState("Healthy", 2, 2, "new", index)


async def index_of(nomad: MemoryNomad) -> int:
    job = await nomad.read_job(TENANT, "shop")
    assert job is not None
    return job.job_modify_index


def an_assignment(
    digest: str, document: Document | None = None, *, generation: int = 1, **more: Any
) -> Assignment:
    """Ask for *document*, as generation *generation* of the object ``u1`` has it."""
    return Assignment(
        owner=OWNER,
        document=document or a_document(),
        digest=digest,
        generation=generation,
        uid="u1",
        submission=a_note(digest, generation=generation),
        **{"count": 2, **more},
    )


def a_pass(
    nomad: MemoryNomad,
    assignment: Assignment | None = None,
    state: RegionalState | None = None,
    **facts: Any,
) -> Pass:
    """Begin a pass in a region whose list was not read yet, so that nothing is taken for granted.

    It may stop what it likes. No newer job is in its way, unless *is_current* is given.
    """
    return Pass(
        key=KEY,
        region="fra",
        nomad=nomad,
        state=state or RegionalState(),
        assignment=assignment,
        owner=OWNER,
        namespace=TENANT,
        **{
            "view": RegionView(OWNER.install, namespaces=set(nomad.namespaces)),
            "may_stop": lambda: True,
            "is_current": asked_in_vain,
            **facts,
        },
    )


async def asked_in_vain(_generation: int) -> bool:
    raise AssertionError("nothing newer is to be overwritten")
