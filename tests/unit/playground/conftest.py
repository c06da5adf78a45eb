"""Fixtures of the playground's unit tests."""

import asyncio

import pytest


@pytest.fixture(scope="session", autouse=True)
def no_implicit_loop() -> None:
    """Keep pytest-asyncio from asking for a main loop, which asyncio then makes and nobody closes.

    Garbage collection would report it in the middle of some other test.
    """
    asyncio.set_event_loop(None)
