"""What holds for all tests: markers by folder, what the machine must have, what did not run."""

import asyncio
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from tests.lab.requirements import describe_skips, in_ci, missing_hub, require_nomad
from tests.world.crashes.plans import tried

TESTS = Path(__file__).parent
HUB_FOLDERS = ("integration", "e2e", "faults")
"""Folders whose tests need a real API server; each is a marker, too."""

MISSING_HUB = pytest.StashKey[str | None]()

# How long an example takes says more about the machine than about the code.
settings.register_profile("desk", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# In CI a red run means a change, and can be repeated.
settings.register_profile(
    "ci", parent=settings.get_profile("desk"), derandomize=True, print_blob=True
)
settings.load_profile("ci" if in_ci() else "desk")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if folder := _hub_folder(item):
            item.add_marker(folder)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing before the first test: a build takes longer than a test may."""
    missing = None
    if not session.config.option.collectonly and any(map(_hub_folder, session.items)):
        missing = missing_hub(partial(print, flush=True))
    session.config.stash[MISSING_HUB] = missing


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what cannot run at a desk; in CI it is a failure."""
    missing = item.config.stash[MISSING_HUB]
    if missing and _hub_folder(item):
        (pytest.fail if in_ci() else pytest.skip)(missing)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    """Say last what did not run, and why: a green line alone would hide it."""
    yield
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    assert terminal, "pytest was told to run without it"
    if tried:
        runs, scenarios = sum(tried.values()), len(tried)
        terminal.write_line(f"{runs} crash plans tried in {scenarios} scenarios")
    for line in describe_skips(map(_reason, terminal.stats.get("skipped", ()))):
        terminal.write_line(line)


@pytest.fixture(scope="session", autouse=True)
def no_implicit_loop() -> None:
    """Keep pytest-asyncio from asking for a main loop, which asyncio then makes and nobody closes.

    Garbage collection would report it in the middle of some other test.
    """
    asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def nomad_binary() -> Path:
    """Return a real Nomad; without one the test is skipped."""
    return require_nomad()


def _hub_folder(item: pytest.Item) -> str | None:
    folders = (folder for folder in HUB_FOLDERS if item.path.is_relative_to(TESTS / folder))
    return next(folders, None)


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return text.removeprefix("Skipped: ")
