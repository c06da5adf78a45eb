"""The inventory: what counts as a change, and whose end is whose."""

from tests.builders import a_deployment

from orrery.ports import Key, Kind
from orrery.reconcile.inventory import Inventory

KIND = Kind.GLOBAL_DEPLOYMENT
SHOP = Key(KIND, "team-a", "shop")


def stored(*, uid: str = "1", generation: int = 1, **status: object) -> dict[str, object]:
    body = a_deployment()
    body["metadata"] |= {"uid": uid, "generation": generation}
    return body | {"status": status}


def test_own_status_write_asks_for_no_reconcile() -> None:
    inventory = Inventory()
    inventory.put(KIND, stored())

    assert inventory.put(KIND, stored(phase="Healthy")) is None
    assert inventory.put(KIND, stored(generation=2)) == SHOP


def test_late_end_of_an_object_does_not_end_its_successor() -> None:
    inventory = Inventory()
    inventory.put(KIND, stored(uid="1"))
    inventory.put(KIND, stored(uid="2"))

    inventory.remove(KIND, stored(uid="1"))

    assert SHOP in inventory


def test_full_list_ends_objects_whose_deletion_was_never_told() -> None:
    inventory = Inventory()
    inventory.put(KIND, stored())

    changed = inventory.replace_all(KIND, [], since=inventory.mark())

    assert changed == [SHOP]
    assert SHOP not in inventory
