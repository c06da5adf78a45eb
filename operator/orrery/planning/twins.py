"""Find two Regions that name one Nomad: each would undo what the other does there. Pure."""

from collections.abc import Iterable

from orrery.api.region import Region


def older_twin(region: Region, others: Iterable[Region]) -> str | None:
    """Name the Region, older than *region*, that has the same existing Nomad; None when none has.

    Of two of one second, the one whose name comes first is the older.
    """
    external = region.spec.control_plane.external
    if external is None:
        return None
    twins = [
        other
        for other in others
        if other.metadata.name != region.metadata.name
        and other.spec.control_plane.external is not None
        and other.nomad_address == region.nomad_address
    ]
    oldest = min([region, *twins], key=_age)
    return None if oldest is region else oldest.metadata.name


def _age(region: Region) -> tuple[str, str]:
    return region.metadata.creation_timestamp or "", region.metadata.name
