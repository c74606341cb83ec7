"""One rival a file, each written as its own documentation would, each optional.

A rival that decodes is a function without arguments that returns its `feed`: a function from a chunk of
the stream to the list of frames that are complete now. Where its wire differs, `wire` encodes for it.
A live rival has `send(socket, body, count)` and `receive(socket, count, check)`, or `ping` and `echo`.
`PACKAGE` names what must be installed; importing the file without it raises ImportError.
"""

from __future__ import annotations

from collections.abc import Callable

Feed = Callable[[bytes], list[bytes]]
Received = tuple[float, int, int, int]
"""Seconds from the first bytes to the last, messages, their bytes, the sum of these (0 if not to `check`)."""
