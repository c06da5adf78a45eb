"""Variables: compare-and-set, paths, lists that show no secret."""

import pytest
from tests.contract.api import Nomad


def path(nomad: Nomad) -> str:
    return f"/v1/var/nomad/jobs/{nomad.name()}"


async def test_write_reads_back(nomad: Nomad) -> None:
    written = await nomad.put(f"{path(nomad)}?cas=0", {"Items": {"KEY": "s3cret"}})
    read = await nomad.get(path(nomad))

    assert written.status == 200
    assert written.json == read.json
    assert read.index == written.index == read.json["ModifyIndex"] == read.json["CreateIndex"]
    assert read.json["Items"] == {"KEY": "s3cret"}
    assert (read.json["Namespace"], read.json["Path"]) == (
        "default",
        f"nomad/jobs/{nomad.name()}",
    )


async def test_lost_comparison_answers_with_what_is_there(nomad: Nomad) -> None:
    await nomad.put(f"{path(nomad)}?cas=0", {"Items": {"a": "1"}})

    reply = await nomad.put(f"{path(nomad)}?cas=0", {"Items": {"a": "2"}})

    now = (await nomad.get(path(nomad))).json
    assert reply.status == 409
    assert reply.json == now
    assert reply.index == now["ModifyIndex"]
    assert now["Items"] == {"a": "1"}


async def test_comparison_with_what_is_not_there_answers_with_nothing(nomad: Nomad) -> None:
    reply = await nomad.put(f"{path(nomad)}?cas=7", {"Items": {"a": "1"}})

    assert reply.status == 409
    assert reply.json == {
        "CreateIndex": 0,
        "CreateTime": 0,
        "ModifyIndex": 0,
        "ModifyTime": 0,
        "Namespace": "default",
        "Path": f"nomad/jobs/{nomad.name()}",
    }


async def test_right_index_replaces(nomad: Nomad) -> None:
    first = (await nomad.put(f"{path(nomad)}?cas=0", {"Items": {"a": "1"}})).json

    second = await nomad.put(f"{path(nomad)}?cas={first['ModifyIndex']}", {"Items": {"b": "2"}})

    assert second.status == 200
    assert second.json["Items"] == {"b": "2"}
    assert second.json["CreateIndex"] == first["CreateIndex"] < second.json["ModifyIndex"]


async def test_unconditional_write_of_the_same_moves_the_index(nomad: Nomad) -> None:
    first = (await nomad.put(path(nomad), {"Items": {"a": "1"}})).json

    second = (await nomad.put(path(nomad), {"Items": {"a": "1"}})).json

    assert second["ModifyIndex"] > first["ModifyIndex"]


async def test_delete_compares_too(nomad: Nomad) -> None:
    index = (await nomad.put(path(nomad), {"Items": {"a": "1"}})).json["ModifyIndex"]

    stale = await nomad.delete(f"{path(nomad)}?cas=1")
    right = await nomad.delete(f"{path(nomad)}?cas={index}")
    again = await nomad.delete(f"{path(nomad)}?cas={index}")
    unconditional = await nomad.delete(path(nomad))

    assert (stale.status, stale.json["ModifyIndex"]) == (409, index)
    assert right.said == (204, "")
    assert (again.status, again.json["ModifyIndex"]) == (409, 0)
    assert unconditional.said == (204, "")
    assert (await nomad.get(path(nomad))).status == 404


@pytest.mark.parametrize(
    ("target", "body", "status", "words"),
    [
        pytest.param(
            "/v1/var/nomad/jobs/x?cas=x",
            {"Items": {"a": "1"}},
            400,
            'can not parse cas: strconv.ParseUint: parsing "x": invalid syntax',
            id="cas",
        ),
        pytest.param(
            "/v1/var/nomad/jobs/x", {"Items": {}}, 400, "variable missing required Items object"
        ),
        pytest.param(
            "/v1/var/nomad/jobs/x",
            {"Items": {"a": 5}},
            400,
            "json: cannot unmarshal number into Go struct field"
            " VariableDecrypted.Items of type string",
            id="number",
        ),
        pytest.param(
            "/v1/var/nomad/other",
            {"Items": {"a": "1"}},
            400,
            'RPC Error:: 400,only paths at "nomad/jobs" or "nomad/job-templates" and below are'
            ' valid paths under the top-level "nomad" directory',
            id="reserved",
        ),
        pytest.param(
            "/v1/var/a.b", {"Items": {"a": "1"}}, 400, 'RPC Error:: 400,invalid path "a.b"'
        ),
        pytest.param(
            "/v1/var/free/x",
            {"Items": {"a": "x" * 70_000}},
            400,
            "RPC Error:: 400,variables are limited to 64KiB in total size",
            id="size",
        ),
    ],
)
async def test_bad_writes_are_worded(
    nomad: Nomad, target: str, body: object, status: int, words: str
) -> None:
    assert (await nomad.put(target, body)).said == (status, words)


async def test_lists_show_no_items(nomad: Nomad) -> None:
    await nomad.put(path(nomad), {"Items": {"a": "1"}})

    rows = (await nomad.get(f"/v1/vars?prefix=nomad/jobs/{nomad.name()}")).json
    everywhere = (await nomad.get(f"/v1/vars?namespace=*&prefix=nomad/jobs/{nomad.name()}")).json

    assert [row.keys() for row in rows] == [
        {"CreateIndex", "CreateTime", "ModifyIndex", "ModifyTime", "Namespace", "Path"}
    ]
    assert everywhere == rows


async def test_same_path_in_two_namespaces_is_two_variables(nomad: Nomad) -> None:
    namespace = nomad.name("ns")
    await nomad.put("/v1/namespace", {"Name": namespace})

    await nomad.put(f"{path(nomad)}?cas=0", {"Items": {"a": "1"}})
    other = await nomad.put(f"{path(nomad)}?cas=0&namespace={namespace}", {"Items": {"a": "2"}})

    assert other.status == 200
    assert (await nomad.get(path(nomad))).json["Items"] == {"a": "1"}
