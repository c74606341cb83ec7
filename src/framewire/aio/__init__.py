"""framewire in an event loop, asyncio's or uvloop: the verbs of `MessageSocket`, awaited, and callbacks.

`await connect(address, framing)` gives a `MessageStream`, `await serve(handler, address, framing)` a
`MessageServer`. `MessageProtocol` is for who writes protocols: a callback for each message, no task and no
future. `import framewire` does not import asyncio; `framewire.aio` does.
"""

from __future__ import annotations

from .dialing import connect
from .pipes import PipeStream, spawn, stdio
from .protocol import MessageProtocol
from .server import MessageServer, serve
from .stream import MessageStream

__all__ = [
    "MessageProtocol",
    "MessageServer",
    "MessageStream",
    "PipeStream",
    "connect",
    "serve",
    "spawn",
    "stdio",
]
