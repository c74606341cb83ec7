"""framewire in an event loop, asyncio's or uvloop: the verbs of `MessageSocket`, awaited, and callbacks.

`await connect(address, framing)` gives a `MessageStream`. `MessageProtocol` is for who writes protocols: a callback
for each message, no task and no future. `import framewire` does not import asyncio; `framewire.aio` does.
"""

from __future__ import annotations

from ._aio import MessageProtocol, MessageStream, connect

__all__ = ["MessageProtocol", "MessageStream", "connect"]
