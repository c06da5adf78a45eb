"""What a region answers when it does not do as asked."""

from http import HTTPStatus


class Refusal(Exception):
    """An HTTP status and Nomad's words; *index* is shown in the header when it is known."""

    def __init__(self, status: int, text: str, *, index: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.index = index


def denied() -> Refusal:
    """Say that the token may not do this."""
    return Refusal(HTTPStatus.FORBIDDEN, "Permission denied")


def bad_request(text: str) -> Refusal:
    """Say that the request itself is wrong."""
    return Refusal(HTTPStatus.BAD_REQUEST, text)


def failed(text: str) -> Refusal:
    """Say that it did not work: Nomad's answer to most refusals, too."""
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, text)


def not_found(text: str, *, index: int) -> Refusal:
    """There is no such thing, as of *index*."""
    return Refusal(HTTPStatus.NOT_FOUND, text, index=index)


def errors(texts: list[str]) -> str:
    """List errors the way Nomad's servers do."""
    number = len(texts)
    head = "1 error occurred:" if number == 1 else f"{number} errors occurred:"
    return "".join([head, *(f"\n\t* {text}" for text in texts), "\n\n"])


def warnings(texts: list[str]) -> str:
    """List warnings the way Nomad's servers do; nothing when there are none."""
    if not texts:
        return ""
    number = len(texts)
    head = "1 warning:" if number == 1 else f"{number} warnings:"
    return "\n".join([f"{head}\n", *(f"* {text}" for text in texts)])
