"""`orrery sim` as its own process: what it writes leads to the regions that it serves."""

import asyncio
import json
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from tests.lab.polling import until

ORRERY = (sys.executable, "-m", "orrery", "sim")


@asynccontextmanager
async def running(*options: str) -> AsyncIterator[list[str]]:
    """Run the command; yield what it says until it is ready."""
    process = await asyncio.create_subprocess_exec(
        *ORRERY, *options, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout
    try:
        lines = []
        async with asyncio.timeout(30):
            while (line := (await process.stdout.readline()).decode().strip()) != "Ctrl-C ends.":
                assert line, "it ended"
                lines.append(line)
        yield lines
    finally:
        process.terminate()
        await process.wait()
    assert process.returncode == 0


async def read(session: aiohttp.ClientSession, url: str, **options: Any) -> Any:
    async with session.get(url, **options) as reply:
        assert reply.status == 200, await reply.text()
        return await reply.json()


def credentials(entry: dict[str, str]) -> dict[str, str]:
    return {"X-Nomad-Token": Path(entry["tokenFile"]).read_text(encoding="ascii")}


async def test_regions_with_certificates_can_be_reached(tmp_path: Path) -> None:
    async with running("--regions", "7", "--tls-directory", str(tmp_path)) as lines:
        entries = json.loads((tmp_path / "regions.json").read_text(encoding="utf-8"))
        async with aiohttp.ClientSession() as session:
            for entry in entries:
                tls = ssl.create_default_context(cafile=entry["caFile"])
                tls.load_cert_chain(entry["certFile"], entry["keyFile"])
                url = f"{entry['nomadAddress']}/v1/agent/self"
                agent = await read(session, url, ssl=tls, headers=credentials(entry))
                assert agent["config"]["Region"] == entry["name"]

    names = [entry["name"] for entry in entries]
    assert names == ["fra", "was", "par", "sfo", "tyo", "sin", "region-7"]
    assert [line.split()[0] for line in lines[:7]] == names


async def test_plain_regions_need_no_token() -> None:
    async with running("--regions", "2", "--latency", "5") as lines:
        addresses = [line.split()[1] for line in lines[:2]]
        admin = lines[2].rsplit(" ", 1)[1]
        async with aiohttp.ClientSession() as session:
            shown = await read(session, f"{admin}/was")

            async def answers() -> bool:
                return bool(await read(session, f"{addresses[0]}/v1/jobs") == [])

            assert await until(answers)

    assert shown["faults"]["latency"] == 0.005
    assert all(address.startswith("http://127.0.0.1:") for address in addresses)
