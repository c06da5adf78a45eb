"""The page: a run takes the place of the one before."""

import pytest
from benchmarks.fanout.page import BEGIN, END, replace_run


def test_a_run_replaces_the_one_before_and_nothing_else() -> None:
    page = f"above\n{BEGIN}\n\nold\n\n{END}\nbelow\n"

    once = replace_run(page, "new")

    assert once == f"above\n{BEGIN}\n\nnew\n\n{END}\nbelow\n"
    assert replace_run(once, "new") == once


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="the page needs two lines"):
        replace_run("above\nbelow\n", "new")
