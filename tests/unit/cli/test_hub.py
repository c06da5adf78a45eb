"""Which hub, which namespace, which object: what the user said, and a near name otherwise."""

from pathlib import Path

import click
import pytest
import yaml
from aiohttp import web
from tests.unit.adapters.kube.servers import kubeconfig_of, serving
from tests.unit.cli.hubs import ReadableHub, a_deployment_seen

from orrery.cli.hub import Target, find, parse_reference, reading
from orrery.errors import InvalidSpec, Refused
from orrery.ports import Kind

BOTH = (Kind.GLOBAL_DEPLOYMENT, Kind.REGION)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gd/shop", (Kind.GLOBAL_DEPLOYMENT, "shop")),
        ("GlobalDeployments/shop", (Kind.GLOBAL_DEPLOYMENT, "shop")),
        ("region/fra", (Kind.REGION, "fra")),
        ("rgn/fra", (Kind.REGION, "fra")),
        ("shop", (Kind.GLOBAL_DEPLOYMENT, "shop")),
    ],
)
def test_reference(text: str, expected: tuple[Kind, str]) -> None:
    assert parse_reference(text, BOTH) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gd/", "is not KIND/NAME"),
        ("/shop", "is not KIND/NAME"),
        ("gd", "'gd' is a kind: add the name of the object, as in gd/NAME"),
        ("regions", "'regions' is a kind: add the name of the object, as in rgn/NAME"),
        ("regiom/fra", 'none of gd, rgn; did you mean "region"?'),
        ("rgc/standard", "none of gd, rgn"),
    ],
)
def test_reference_that_is_none(text: str, message: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        parse_reference(text, BOTH)

    assert message in refused.value.message


def a_kubeconfig(folder: Path, current: str = "one") -> str:
    contexts = [
        {"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "team-a"}},
        {"name": "two", "context": {"cluster": "c", "user": "u"}},
    ]
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump({"current-context": current, "contexts": contexts}))
    return str(path)


@pytest.mark.parametrize(
    ("context", "given", "expected"),
    [
        pytest.param("", "", "team-a", id="of-the-current-context"),
        pytest.param("two", "", "default", id="of-a-context-without-one"),
        pytest.param("", "team-b", "team-b", id="given"),
        pytest.param("nine", "", "default", id="of-no-context"),
    ],
)
def test_namespace(tmp_path: Path, context: str, given: str, expected: str) -> None:
    assert Target(a_kubeconfig(tmp_path), context, given).namespace == expected


@pytest.mark.parametrize(
    ("context", "current"), [("nine", "one"), ("", "nine")], ids=["given", "current"]
)
async def test_context_that_is_not_there_is_told_with_the_known_ones(
    tmp_path: Path, context: str, current: str
) -> None:
    path = a_kubeconfig(tmp_path, current)

    with pytest.raises(InvalidSpec) as refused:
        async with reading(Target(path, context)):
            pass

    assert refused.value.message == (
        f"kubeconfig: '{path}' has no context \"nine\", it has one, two"
    )


@pytest.mark.parametrize(
    ("status", "expected"), [(200, True), (404, False), (403, None)], ids=["there", "not", "closed"]
)
async def test_namespace_is_looked_for(tmp_path: Path, status: int, expected: bool | None) -> None:  # noqa: FBT001 - a row
    async def answer(request: web.Request) -> web.Response:
        assert request.path == "/api/v1/namespaces/team-a"
        return web.json_response({}, status=status)

    path = tmp_path / "kubeconfig"
    async with serving(answer) as server:
        path.write_text(kubeconfig_of(server))
        async with reading(Target(str(path))) as reader:
            assert await reader.namespace_exists("team-a") is expected


async def test_lease_that_may_not_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        status = 403 if "/closed/" in request.path else 404
        return web.json_response({}, status=status)

    path = tmp_path / "kubeconfig"
    async with serving(answer) as server:
        path.write_text(kubeconfig_of(server))
        async with reading(Target(str(path))) as reader:
            assert await reader.operator_lease("open") is None
            with pytest.raises(Refused):
                await reader.operator_lease("closed")


def a_hub() -> ReadableHub:
    hub = ReadableHub()
    hub.apply(Kind.GLOBAL_DEPLOYMENT, a_deployment_seen("shop"))
    hub.apply(Kind.GLOBAL_DEPLOYMENT, a_deployment_seen("shop", namespace="team-b"))
    hub.apply(Kind.GLOBAL_DEPLOYMENT, a_deployment_seen("blog", namespace="team-b"))
    return hub


async def test_object_is_found_in_its_namespace() -> None:
    target = Target(given_namespace="team-b")

    body = await find(a_hub(), Kind.GLOBAL_DEPLOYMENT, "shop", target)

    assert body["metadata"]["namespace"] == "team-b"


async def test_object_is_found_in_all_namespaces_when_there_is_one() -> None:
    target = Target(all_namespaces=True)

    body = await find(a_hub(), Kind.GLOBAL_DEPLOYMENT, "blog", target)

    assert body["metadata"]["namespace"] == "team-b"


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        pytest.param(
            "shpo",
            Target(given_namespace="team-a"),
            'GlobalDeployment "shpo" does not exist in namespace "team-a"; did you mean "shop"?',
            id="near-name",
        ),
        pytest.param(
            "shop",
            Target(all_namespaces=True),
            'GlobalDeployment "shop" exists in team-a, team-b: choose one with -n',
            id="several",
        ),
        pytest.param(
            "zzz",
            Target(all_namespaces=True),
            'GlobalDeployment "zzz" does not exist in any namespace; there are: blog, shop',
            id="none",
        ),
        pytest.param(
            "zzz",
            Target(given_namespace="team-b"),
            'GlobalDeployment "zzz" does not exist in namespace "team-b"; there are: blog, shop',
            id="none-of-a-namespace",
        ),
        pytest.param(
            "zzz",
            Target(given_namespace="team-c"),
            'GlobalDeployment "zzz" does not exist in namespace "team-c"; there are: none',
            id="none-at-all",
        ),
    ],
)
async def test_object_that_is_not_there(name: str, target: Target, message: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        await find(a_hub(), Kind.GLOBAL_DEPLOYMENT, name, target)

    assert refused.value.message == message
