"""Snapshots: the newest stay, and files of others are nobody's business."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from orrery.planning.snapshots import file_name, surplus

moments = st.integers(1_600_000_000, 4_000_000_000).map(lambda s: datetime.fromtimestamp(s, UTC))


@given(taken=st.sets(moments, max_size=20), others=st.sets(st.text()), keep=st.integers(1, 20))
def test_only_snapshots_go_and_the_newest_stay(
    taken: set[datetime], others: set[str], keep: int
) -> None:
    ours = sorted({file_name(moment) for moment in taken})

    gone = surplus([*ours, *(name for name in others if name not in ours)], keep)

    assert set(gone) <= set(ours)
    assert [name for name in ours if name not in gone] == ours[-keep:]
