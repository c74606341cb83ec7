"""simplefix: a FixParser, given what came, asked for messages until it has none."""

from __future__ import annotations

from typing import Any

from simplefix import FixParser

from . import Feed

PACKAGE = "simplefix"


def frames() -> Feed:
    parser = FixParser()

    def feed(chunk: bytes) -> list[Any]:
        parser.append_buffer(chunk)
        messages = []
        while (message := parser.get_message()) is not None:
            messages.append(message)
        return messages

    return feed


def whole(message: Any) -> bytes:
    """The message as it came."""
    return message.encode(raw=True)  # type: ignore[no-any-return]
