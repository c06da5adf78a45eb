"""The inventory: what counts as a change, and whose end is whose."""

from tests.builders import a_deployment

from orrery.ports import Key, Kind
from orrery.reconcile.inventory import Inventory, Packed, pack

KIND = Kind.GLOBAL_DEPLOYMENT
SHOP = Key(KIND, "team-a", "shop")


def stored(
    *, uid: str = "1", generation: int = 1, version: str = "", **status: object
) -> dict[str, object]:
    body = a_deployment()
    body["metadata"] |= {"uid": uid, "generation": generation, "resourceVersion": version}
    return body | {"status": status}


def listed(*bodies: dict[str, object]) -> list[Packed]:
    return [pack(KIND, body) for body in bodies]


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


def test_what_the_watch_tells_during_a_list_stands() -> None:
    inventory = Inventory()
    inventory.put(KIND, stored(generation=1))

    mark = inventory.mark()
    inventory.put(KIND, stored(generation=2))
    changed = inventory.replace_all(KIND, listed(stored(generation=1)), since=mark)

    assert changed == []
    held = inventory.get(SHOP)
    assert held is not None
    assert held["metadata"]["generation"] == 2


def test_an_end_that_is_told_during_a_list_stands() -> None:
    inventory = Inventory()
    inventory.put(KIND, stored())

    mark = inventory.mark()
    inventory.remove(KIND, stored())
    inventory.replace_all(KIND, listed(stored()), since=mark)

    assert SHOP not in inventory


def test_a_watch_that_lags_behind_a_list_brings_nothing_older_back() -> None:
    inventory = Inventory()
    newer, older = stored(generation=2, version="10"), stored(generation=1, version="9")
    inventory.replace_all(KIND, listed(newer), since=inventory.mark())

    assert inventory.put(KIND, older) is None
    held = inventory.get(SHOP)
    assert held is not None
    assert held["metadata"]["generation"] == 2


def test_two_lists_after_a_restore_of_the_hub_are_the_truth_though_their_versions_are_lower() -> (
    None
):
    inventory = Inventory()
    newer, restored = stored(generation=2, version="10"), stored(generation=1, version="3")
    inventory.put(KIND, newer)

    first = inventory.replace_all(KIND, listed(restored), since=inventory.mark())
    second = inventory.replace_all(KIND, listed(restored), since=inventory.mark())

    assert first == [], "it may also come from an API server that lags"
    assert second == [SHOP]


def test_a_list_that_lags_brings_back_no_object_that_is_gone() -> None:
    inventory = Inventory()
    body = stored(generation=1, version="9")
    inventory.put(KIND, body)
    inventory.remove(KIND, body)

    assert inventory.replace_all(KIND, listed(body), since=inventory.mark()) == []
    assert SHOP not in inventory
