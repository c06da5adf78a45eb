"""Output: 100 columns, plain without a terminal, and nothing that could drive one."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from orrery.cli.output import WIDTH, Branch, age, count, line, printable, rendered, table

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TREE = Branch("planet", (Branch("eu", (Branch("fra"), Branch("par"))), Branch("na")))


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        pytest.param(None, "-", id="never"),
        pytest.param("soon", "-", id="no-time"),
        pytest.param("2026-03-01T12:00:00Z", "0s", id="now"),
        pytest.param("2026-03-01T12:00:05Z", "0s", id="a-clock-ahead-of-ours"),
        pytest.param("2026-03-01T11:58:30Z", "90s", id="seconds"),
        pytest.param("2026-03-01T11:15:00.123456Z", "44m", id="minutes"),
        pytest.param("2026-03-01T02:00:00Z", "10h", id="hours"),
        pytest.param("2026-02-19T12:00:00Z", "10d", id="days"),
    ],
)
def test_age(timestamp: str | None, expected: str) -> None:
    assert age(timestamp, NOW) == expected


def test_things_are_counted_in_words() -> None:
    assert [count(1, "region"), count(2, "region")] == ["1 region", "2 regions"]


def test_columns_stand_below_their_headings() -> None:
    text = rendered(table(("NAME", "STATUS"), [("shop", "healthy"), ("a", "is being deleted")]))

    assert text == "NAME  STATUS\nshop  healthy\na     is being deleted\n"


@pytest.mark.parametrize("terminal", [False, True], ids=["plain", "coloured"])
def test_no_line_ends_with_blanks(
    terminal: bool,  # noqa: FBT001 - a row
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    rows = [("fra", "Open"), ("was", "Unreachable")]

    text = rendered(table(("REGION", "PHASE"), rows), terminal=terminal, width=40)

    assert ("\x1b" in text) is terminal
    lines = [line.removesuffix("\x1b[0m") for line in text.splitlines()]
    assert [line for line in lines if line != line.rstrip()] == []


def test_last_column_is_folded() -> None:
    text = rendered(table(("NAME", "STATUS"), [("shop", "word " * 30)]))

    first, *more = text.splitlines()[1:]
    assert first.startswith("shop  word")
    assert more
    assert all(folded.startswith("      word") for folded in more)


@given(st.lists(st.tuples(*[st.text(max_size=150)] * 4), max_size=5))
def test_tables_fit_the_width(rows: list[tuple[str, str, str, str]]) -> None:
    text = rendered(table(("NAMESPACE", "NAME", "READY", "STATUS"), rows))

    assert max(map(cell_len, text.splitlines())) <= WIDTH


HEADINGS = ("CONTINENT", "REGION", "PHASE", "NOMAD", "MACHINES", "LAST SEEN")
LETTERS = "abcdef"
LENGTHS = st.lists(st.integers(0, 300), min_size=1, max_size=len(LETTERS))


@pytest.mark.parametrize("width", [None, 200, 40], ids=str)
@given(lengths=LENGTHS)
@example(lengths=[59, 52, 3, 4, 22])
def test_every_text_of_a_table_is_shown_whatever_the_width(
    width: int | None, lengths: list[int]
) -> None:
    row = [letter * length for letter, length in zip(LETTERS, lengths, strict=False)]

    text = rendered(table(HEADINGS[: len(row)], [row]), terminal=width is not None, width=width)

    assert [text.count(letter) for letter in LETTERS[: len(row)]] == lengths


def test_long_names_are_folded_and_the_rest_stays_on_one_line() -> None:
    row = ("n" * 59, "m" * 52, "4/4", "True", "healthy in 4 regions")

    lines = rendered(table(("NAMESPACE", "NAME", "REGIONS", "READY", "STATUS"), [row])).splitlines()

    assert max(map(len, lines)) <= WIDTH
    assert lines[0].split() == ["NAMESPACE", "NAME", "REGIONS", "READY", "STATUS"]
    assert lines[1].split()[2:] == ["4/4", "True", "healthy", "in", "4", "regions"]


@given(st.text())
def test_nothing_that_is_shown_can_drive_a_terminal(text: str) -> None:
    assert printable(text).isprintable()
    assert "\x1b" not in rendered(line(text), Branch(text), table(("A",), [(text,)]))


def test_tree_is_indented_where_no_terminal_is() -> None:
    assert rendered(TREE) == "planet\n  eu\n    fra\n    par\n  na\n"


def test_tree_has_branches_on_a_terminal() -> None:
    assert "└── na" in rendered(TREE, terminal=True)


def test_states_have_colours_on_a_terminal_only() -> None:
    row = table(("PHASE",), [("Unreachable",)])

    assert "\x1b" not in rendered(row)
    assert "\x1b" in rendered(row, terminal=True)


def test_long_lines_keep_their_indentation() -> None:
    lines = rendered(line("word " * 40, indent=4)).splitlines()

    assert len(lines) > 1
    assert all(folded.startswith("    word") for folded in lines)
