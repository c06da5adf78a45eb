"""Say for people why instances find no place. Pure."""

from orrery.ports import PlacementFailure


def describe_failure(failure: PlacementFailure) -> str:
    """Say how many machines were looked at, and what each kind of them lacks."""
    if not failure.evaluated:
        return "no machine is ready in the data centers of the region"
    full = [f"{n} out of {dimension}" for dimension, n in sorted(failure.dimensions.items())]
    unfit = [f"{n} by {constraint}" for constraint, n in sorted(failure.constraints.items())]
    reasons = [
        f"{failure.exhausted} full" + (f" ({', '.join(full)})" if full else ""),
        f"{sum(failure.constraints.values())} unfit" + (f" ({', '.join(unfit)})" if unfit else ""),
    ]
    counted = [text for text in reasons if not text.startswith("0 ")]
    machines = f"{failure.evaluated} machine{'' if failure.evaluated == 1 else 's'} looked at"
    return ", ".join([machines, *counted])
