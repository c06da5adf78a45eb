"""Put a run into a page, between two marks. Pure."""

from collections.abc import Mapping
from typing import Any, Final

BEGIN: Final = "<!-- one run, written by the benchmark -->"
END: Final = "<!-- end of the run -->"


def describe(about: Mapping[str, Any]) -> str:
    """Say what was run, when, and on what machine."""
    return (
        f"```sh\n{about['command']}\n```\n\n"
        f"{about['began']}, commit {about['commit']}, {about['cores']} cores,"
        f" {about['memory']} GiB, {about['system']}, Python {about['python']}."
        f" Load average before it: {about['load']:.1f}, after it: {about['load_after']:.1f}."
    )


def replace_run(page: str, run: str) -> str:
    """Put *run* between the marks of *page*. Raises ValueError when it has none."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page needs two lines, {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{run}\n\n{END}{after}"
