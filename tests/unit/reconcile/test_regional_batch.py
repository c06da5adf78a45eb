"""A batch job that ran to its end and is forgotten: a pass over it keeps that it has run."""

from tests.unit.reconcile.passes import TENANT, a_document, a_pass, an_assignment

from orrery.adapters.memory import MemoryNomad
from orrery.planning.rollup import RegionalState
from orrery.reconcile.regional import converge


async def test_what_ran_to_its_end_stays_finished_when_it_is_asked_for_again() -> None:
    nomad = MemoryNomad()
    nomad.namespaces.add(TENANT)
    finished = RegionalState("Healthy", 2, 2, "new", 11, batch=True)
    wanted = an_assignment("new", a_document() | {"Type": "batch"}, job_type="batch")

    state = await converge(a_pass(nomad, wanted, finished))
    again = await converge(a_pass(nomad, wanted, state))

    assert state == again == finished
    assert nomad.writes == {}
