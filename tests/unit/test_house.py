"""The house: what a reader of the repository may rely on, from file sizes to links."""

import ast
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.lab.requirements import describe_skips
from tests.strength.bugs import BUGS, Bug

from orrery.cli import main

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for folder in ("operator", "tests", "tools", "benchmarks")
    for path in ROOT.glob(f"{folder}/**/*.py")
)
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LOCKS = [ROOT / "requirements.lock", ROOT / "requirements-dev.lock"]

LINES_MAX = 400
LONGER: dict[str, str] = {}
"""Files that may be longer, each with the reason."""

NO_SUBJECT = {"common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}
"""Module names that say nothing about what is inside."""


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def each(paths: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", paths, ids=named)


def test_source_folder_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_no_source_file_is_long() -> None:
    lengths = {named(path): len(path.read_text().splitlines()) for path in SOURCES}

    assert {name for name, length in lengths.items() if length > LINES_MAX} == LONGER.keys()


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_planted_bug_has_its_place(bug: Bug) -> None:
    """`make test-strength` plants them; code that moves away from one must take it along."""
    text = (ROOT / "operator" / "orrery" / bug.path).read_text(encoding="utf-8")

    assert text.count(bug.old) == 1


def test_every_module_says_what_it_is_for() -> None:
    silent = [named(path) for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text()))]

    assert silent == []


def test_modules_are_named_after_a_subject() -> None:
    assert [named(path) for path in SOURCES if path.stem in NO_SUBJECT] == []


@each(LOCKS)
def test_lock_pins_every_package_by_hash(path: Path) -> None:
    text = path.read_text()
    entries = re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]

    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert len(entries) == len(re.findall(r"^[^\s#]", text, re.MULTILINE))
    assert "://" not in text


def test_development_runs_with_what_users_run_with() -> None:
    locked, developed = (pins(path) for path in LOCKS)

    assert locked.items() <= developed.items()


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^(\S+)==(\S+)", lock.read_text(), re.MULTILINE))


def test_licence_is_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()


def test_changes_of_the_current_version_are_told() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert f"## {version} " in (ROOT / "CHANGELOG.md").read_text()


def targets() -> set[str]:
    return set(re.findall(r"^\.PHONY: (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_help_lists_every_target() -> None:
    # Under `make test` a child would take over the options of its parent.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}

    said = subprocess.run(
        ["make", "-s"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )

    listed = [line.split() for line in said.stdout.splitlines()]
    assert {words[0] for words in listed if len(words) > 1} == targets()


def code(page: Path) -> Iterator[str]:
    """Yield the code of a page: what stands in fences, line by line, and between backticks."""
    text = page.read_text()
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        yield from block.splitlines()
    yield from re.findall(r"`([^`\n]+)`", text)


@each(PAGES)
def test_pages_name_targets_that_exist(path: Path) -> None:
    found = (re.match(r"(?:\$ )?make ([a-z][a-z0-9-]*)", line) for line in code(path))

    assert {match[1] for match in found if match} <= targets()


@each(PAGES)
def test_pages_name_commands_that_exist(path: Path) -> None:
    calls = (
        re.match(r"(?:\$ )?(?:kubectl )?orrery((?: [a-z][a-z-]*)+)", line) for line in code(path)
    )

    assert [match[0] for match in calls if match and not exists(match[1].split())] == []


def exists(words: list[str]) -> bool:
    """Follow *words* down the tree of commands as far as it goes."""
    command: click.Command = main
    for word in words:
        if not isinstance(command, click.Group):
            return True
        if word not in command.commands:
            return False
        command = command.commands[word]
    return True


@each(PAGES)
def test_links_inside_the_repository_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", path.read_text())

    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize(
    ("reasons", "lines"),
    [
        pytest.param([], [], id="nothing-to-say"),
        pytest.param(["b"], ["1 test did not run:", "  1 test: b"], id="one"),
        pytest.param(
            ["b", "a", "b"],
            ["3 tests did not run:", "  1 test: a", "  2 tests: b"],
            id="counted-by-reason",
        ),
    ],
)
def test_what_did_not_run_is_counted(reasons: list[str], lines: list[str]) -> None:
    assert describe_skips(reasons) == lines
