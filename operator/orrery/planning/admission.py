"""Leave out of a placement the regions that are closed to the deployment. Pure.

A deployment that is in a region already is carried on there, whoever may come: closing or opening a
region moves and stops nothing.
"""

from collections.abc import Mapping
from dataclasses import replace

from orrery.planning.placement import Choice, ClosedRegion


def admit(choice: Choice, closed: Mapping[str, str], *, named: bool) -> Choice:
    """Take the *closed* regions, each with the reason, out of *choice*.

    They are told of when the placement names its regions: whoever selects by label takes what there
    is, and gets the region by itself when it opens.
    """
    shut = tuple(
        ClosedRegion(region, closed[region], named=named)
        for region in choice.selected
        if region in closed
    )
    selected = tuple(region for region in choice.selected if region not in closed)
    return replace(choice, selected=selected, closed=shut)
