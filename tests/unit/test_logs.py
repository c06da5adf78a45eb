"""Log lines: fields as key=value or JSON, one line each, whatever they hold."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from orrery.config import LogFormat
from orrery.logs import configure


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines_of(form: LogFormat) -> tuple[logging.Logger, io.StringIO]:
    stream = io.StringIO()
    configure(form, "info", stream)
    return logging.getLogger("orrery.test"), stream


def test_fields_follow_the_message() -> None:
    log, stream = lines_of("text")

    log.info("the region is open", extra={"kind": "Region", "object": "fra", "reason": "Opened"})

    line = stream.getvalue()
    assert line.endswith("INFO    the region is open kind=Region name=fra reason=Opened\n")


def test_a_value_with_spaces_or_quotes_is_quoted() -> None:
    log, stream = lines_of("text")

    log.info("x", extra={"object": 'a "b"', "phase": ""})

    assert stream.getvalue().endswith('x name="a \\"b\\""\n')


def test_a_message_cannot_forge_a_second_line() -> None:
    log, stream = lines_of("text")

    log.info("first\n2026-01-01T00:00:00.000Z INFO second")

    assert stream.getvalue().count("\n") == 1


def test_json_lines_hold_the_same_fields() -> None:
    log, stream = lines_of("json")

    log.warning("a %s", "message", extra={"region": "fra", "object": "shop"})

    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "message": "a message",
        "logger": "orrery.test",
        "region": "fra",
        "name": "shop",
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_is_kept(form: LogFormat) -> None:
    log, stream = lines_of(form)

    try:
        _ = 1 // 0
    except ZeroDivisionError:
        log.exception("a pass failed")

    assert "ZeroDivisionError" in stream.getvalue()


def test_less_severe_lines_are_left_out() -> None:
    log, stream = lines_of("text")

    log.debug("a pass")
    logging.getLogger("kopf.objects").info("Handler succeeded")

    assert stream.getvalue() == ""
