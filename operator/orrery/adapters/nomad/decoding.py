"""Decode what Nomad sent, quickly and within bounds, and say when it is not what was asked for."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
import orjson

from orrery.adapters.nomad import shapes, translate

T = TypeVar("T")

_MISSHAPEN = (
    ArithmeticError,
    AttributeError,
    KeyError,
    RecursionError,
    TypeError,
    ValueError,
    msgspec.MsgspecError,
)

_DECODERS: Mapping[Callable[..., Any], Callable[[bytes], Any]] = {
    translate.job_stubs: msgspec.json.Decoder(shapes.JobPage).decode,
    translate.event_batch: msgspec.json.Decoder(shapes.Batch).decode,
}
"""How the large documents are decoded; all others are read as a whole."""


class UnreadableDocument(ValueError):
    """The body is not JSON, or not the document that was asked for."""


def readable(body: bytes, read: Callable[[Any], T]) -> T:
    """Decode *body* and have *read*, a function of `translate`, make a value of it.

    Raises `UnreadableDocument`.
    """
    try:
        return read(_DECODERS.get(read, orjson.loads)(body))
    except _MISSHAPEN as error:
        raise UnreadableDocument(type(error).__name__) from error


async def decode(body: bytes, read: Callable[[Any], T], *, thread_bytes: int) -> T:
    """Do as `readable`, in a thread above *thread_bytes*, so that no other region waits."""
    if len(body) > thread_bytes:
        return await asyncio.to_thread(readable, body, read)
    return readable(body, read)
