"""Split: each region runs the spec with its overrides, and every field knows where it is from."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orrery.api.globaldeployment import GlobalDeploymentSpec
from orrery.errors import InvalidSpec
from orrery.planning.placement import RegionCandidate
from orrery.planning.split import RegionalDeployment, explain, split

FRA = RegionCandidate("fra", "eu", {"size": "small"})
WAS = RegionCandidate("was", "na", {"size": "big"})


def split_spec(
    regions: tuple[RegionCandidate, ...] = (FRA, WAS), **spec: Any
) -> dict[str, RegionalDeployment]:
    parsed = GlobalDeploymentSpec.model_validate(
        {"type": "WORKER", "docker": {"image": "demo:1"}, **spec}
    )
    return dict(split(parsed, namespace="team-a", name="shop", regions=regions))


def source(regional: RegionalDeployment, field: str) -> str:
    return regional.provenance.get(field, "default")


def test_defaults_are_applied_and_known_as_defaults() -> None:
    fra = split_spec()["fra"]

    assert (fra.count, fra.cpu_mhz, fra.memory_mb, fra.memory_max_mb) == (1, 100, 256, None)
    assert source(fra, "scaling.count") == "default"
    assert source(fra, "docker.image") == "spec"


def test_an_override_changes_its_region_only() -> None:
    regions = split_spec(
        scaling={"count": 3},
        overrides=[{"name": "big", "regions": ["was"], "scaling": {"count": 10}}],
    )

    assert (regions["fra"].count, regions["was"].count) == (3, 10)
    assert source(regions["fra"], "scaling.count") == "spec"
    assert source(regions["was"], "scaling.count") == "override big"


def test_an_override_that_leaves_the_count_open_keeps_it() -> None:
    fra = split_spec(
        scaling={"count": 3},
        overrides=[
            {"name": "new", "regions": ["fra"], "scaling": {}, "docker": {"image": "demo:2"}}
        ],
    )["fra"]

    assert (fra.count, fra.image) == (3, "demo:2")
    assert source(fra, "scaling.count") == "spec"


def test_regions_with_the_same_overrides_share_one_value() -> None:
    par = RegionCandidate("par", "eu", {"size": "big"})
    big = {"name": "big", "regions": ["par", "was"], "scaling": {"count": 10}}

    regions = split_spec(regions=(FRA, par, WAS), overrides=[big])

    assert regions["par"] is regions["was"]
    assert regions["fra"] is not regions["par"]


def test_a_selector_override_applies_where_the_labels_match() -> None:
    regions = split_spec(
        overrides=[
            {
                "name": "big",
                "regionSelector": {"matchLabels": {"size": "big"}},
                "docker": {"image": "demo:2"},
            }
        ],
    )

    assert (regions["fra"].image, regions["was"].image) == ("demo:1", "demo:2")


def test_a_later_override_wins_field_by_field() -> None:
    was = split_spec(
        resources={"memoryMB": 100, "cpuMHz": 200},
        overrides=[
            {"name": "a", "regions": ["was"], "resources": {"memoryMB": 512, "cpuMHz": 300}},
            {"name": "b", "regions": ["was"], "resources": {"memoryMB": 1024}},
        ],
    )["was"]

    assert (was.memory_mb, was.cpu_mhz) == (1024, 300)
    assert source(was, "resources.memoryMB") == "override b"
    assert source(was, "resources.cpuMHz") == "override a"


def test_env_is_added_and_replaced_by_name() -> None:
    was = split_spec(
        env=[{"name": "LOG", "value": "info"}, {"name": "KEEP", "value": "yes"}],
        overrides=[
            {
                "name": "noisy",
                "regions": ["was"],
                "env": [
                    {"name": "EXTRA", "value": "1"},
                    {"name": "LOG", "secretRef": {"name": "levels", "key": "log"}},
                ],
            }
        ],
    )["was"]

    assert [v.name for v in was.env] == ["EXTRA", "KEEP", "LOG"]
    log = was.env[2]
    assert (log.value, log.secret and log.secret.name) == (None, "levels")
    assert log.field == "spec.overrides[0].env[1]"
    assert source(was, "env.LOG") == "override noisy"
    assert source(was, "env.KEEP") == "spec"


def test_an_override_of_a_region_that_is_not_placed_names_field_value_and_choice() -> None:
    with pytest.raises(InvalidSpec) as caught:
        split_spec(
            overrides=[
                {"name": "ok", "regions": ["fra"], "scaling": {"count": 2}},
                {"name": "far", "regions": ["tyo"], "scaling": {"count": 2}},
            ]
        )

    assert caught.value.reason == "InvalidSpec"
    assert caught.value.message == (
        'spec.overrides[1].regions: override "far" names region "tyo", which the placement does '
        "not select; selected: fra, was"
    )


def test_the_regions_that_an_override_could_name_are_listed_by_name() -> None:
    regions = tuple(RegionCandidate(name, "eu") for name in "gfedcba")

    with pytest.raises(InvalidSpec, match=r"selected: a, b, c, d, e, f, g$"):
        split_spec(
            regions=regions,
            overrides=[{"name": "far", "regions": ["tyo"], "scaling": {"count": 2}}],
        )


def test_an_override_is_refused_where_nothing_is_placed() -> None:
    with pytest.raises(InvalidSpec, match=r"selected: none$"):
        split_spec(
            regions=(), overrides=[{"name": "far", "regions": ["tyo"], "scaling": {"count": 2}}]
        )


def test_an_override_of_a_region_that_is_placed_but_not_available_does_not_stop_the_others() -> (
    None
):
    regions = split_spec(
        regions=(FRA,),
        placement={"regions": ["fra", "was"]},
        overrides=[{"name": "big", "regions": ["was"], "scaling": {"count": 10}}],
    )

    assert regions.keys() == {"fra"}


def test_memory_that_contradicts_itself_after_overrides_is_refused() -> None:
    with pytest.raises(InvalidSpec) as caught:
        split_spec(
            resources={"memoryMB": 256, "memoryMaxMB": 512},
            overrides=[{"name": "big", "regions": ["was"], "resources": {"memoryMB": 1024}}],
        )

    assert caught.value.reason == "InvalidSpec"
    assert caught.value.message == (
        'spec.resources.memoryMaxMB: 512 is less than memoryMB 1024 in region "was"'
    )


def test_an_instance_may_reach_just_the_memory_that_is_reserved() -> None:
    fra = split_spec(resources={"memoryMB": 512, "memoryMaxMB": 512})["fra"]

    assert (fra.memory_mb, fra.memory_max_mb) == (512, 512)


def test_explain_shows_value_and_source_of_every_field_and_no_secret() -> None:
    was = split_spec(
        scaling={"count": 3},
        update={"maxParallel": 2},
        env=[{"name": "DB", "secretRef": {"name": "db", "key": "password"}}],
        overrides=[{"name": "big", "regions": ["was"], "scaling": {"count": 10}}],
    )["was"]

    rows = {row.field: (row.value, row.source) for row in explain(was)}
    assert rows["scaling.count"] == ("10", "override big")
    assert rows["resources.memoryMB"] == ("256", "default")
    assert rows["update.maxParallel"] == ("2", "spec")
    assert rows["update.canary"] == ("0", "default")
    assert rows["env.DB"] == ('key "password" of Secret "db"', "spec")
    assert rows.keys() >= was.provenance.keys()


@given(
    counts=st.lists(st.integers(0, 10_000), max_size=5),
    base=st.none() | st.integers(0, 10_000),
    order=st.permutations([FRA, WAS]),
)
def test_the_last_override_decides_whatever_the_order_of_regions(
    counts: list[int], base: int | None, order: list[RegionCandidate]
) -> None:
    overrides = [
        {"name": f"o{i}", "regions": ["was"], "scaling": {"count": count}}
        for i, count in enumerate(counts)
    ]

    regions = split_spec(
        regions=tuple(order), scaling={} if base is None else {"count": base}, overrides=overrides
    )

    expected = 1 if base is None else base
    assert regions["fra"].count == expected
    assert regions["was"].count == (counts[-1] if counts else expected)
    assert list(regions) == ["fra", "was"]
