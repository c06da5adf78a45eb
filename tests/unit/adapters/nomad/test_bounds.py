"""Large documents: they hold nobody up, and what is larger than it can be is not read."""

import pytest
from tests.unit.adapters.nomad.servers import always, connected, reply, serve

from orrery.adapters.nomad.shapes import PAGE_ROWS
from orrery.errors import Unreachable

ROW = b'{"Namespace":"t","ID":"x","JobModifyIndex":1,"Status":"dead","Stop":true}'


async def test_large_documents_are_decoded_off_the_loop() -> None:
    rows = reply(body=b"[" + b",".join([ROW] * PAGE_ROWS) + b"]", X_Nomad_Index="9")

    async with (
        serve(always(rows)) as server,
        connected(server.endpoint, thread_bytes=1000) as client,
    ):
        listed = await client.list_jobs()

    assert listed.index == 9
    assert len(listed.jobs) == PAGE_ROWS


async def test_a_page_with_more_rows_than_asked_for_is_not_read() -> None:
    rows = reply(body=b"[" + b",".join([ROW] * (PAGE_ROWS + 1)) + b"]", X_Nomad_Index="9")

    async with serve(always(rows)) as server, connected(server.endpoint) as client:
        with pytest.raises(Unreachable, match="something else than Nomad's JSON"):
            await client.list_jobs()


async def test_all_pages_share_one_cap_of_rows() -> None:
    page = reply(body=b"[" + ROW + b"]", X_Nomad_NextToken="again")

    async with serve(always(page)) as server, connected(server.endpoint, list_rows=4) as client:
        with pytest.raises(Unreachable, match="the list is too long"):
            await client.list_jobs()

    assert len(server.requests) == 5
