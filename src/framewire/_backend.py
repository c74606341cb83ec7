"""Chooses a backend, once; the only file that knows there are two.

FRAMEWIRE_BACKEND=auto (the default, also if empty) takes the compiled extension where it is there and the
pure-Python twin otherwise; `native` refuses to run pure; `pure` ignores the extension. `codec`, `byteorder`
and `channel` are the chosen modules, and those of records and of event loops, which are loaded on first use.
`load(name)` gives either backend, whatever was chosen: for the demo, `framewire info` and the tests.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Backend", "load", "name", "codec", "byteorder", "channel"]
__all__ += ["records", "messages", "packers", "cursors", "structs", "protocol"]

# Not every program has records, or an event loop.
_LATER = ("records", "messages", "packers", "cursors", "structs", "protocol")


class Backend:
    """One backend: `name`, "native" or "pure", and its modules `codec`, `byteorder`, `channel` and,
    loaded on first use, those of records."""

    def __init__(self, name: str, codec: Any, byteorder: Any, channel: Any) -> None:
        self.name = name
        self.codec = codec
        self.byteorder = byteorder
        self.channel = channel

    def __getattr__(self, module: str) -> Any:
        if module not in _LATER:
            raise AttributeError(f"a backend has no attribute {module!r}")
        return __import__(f"{__package__}._{self.name}.{module}", fromlist=[module])

    def __repr__(self) -> str:
        return f"<framewire backend {self.name}>"


def load(name: str) -> Backend:
    """The backend `name`, "native" or "pure"; ImportError if it is not there, ValueError for other names.

    >>> load("pure").name
    'pure'
    """
    if name == "native":
        from ._native import byteorder as native_byteorder
        from ._native import channel as native_channel
        from ._native import codec as native_codec

        return Backend(name, native_codec, native_byteorder, native_channel)
    if name == "pure":
        from ._pure import byteorder, channel, codec

        return Backend(name, codec, byteorder, channel)
    raise ValueError(f"unknown backend {name!r}: choose native or pure")


def _choose() -> Backend:
    wanted = os.environ.get("FRAMEWIRE_BACKEND") or "auto"
    if wanted not in ("auto", "native", "pure"):
        raise ImportError(f"FRAMEWIRE_BACKEND={wanted!r}: choose auto, native or pure")
    if wanted == "pure":
        return load("pure")
    try:
        return load("native")
    except ImportError as error:
        if wanted == "native":
            raise ImportError(
                f"FRAMEWIRE_BACKEND=native, but the compiled extension is missing: {error}"
            ) from error
        return load("pure")


_chosen = _choose()
name: str = _chosen.name
if TYPE_CHECKING:
    from ._pure import byteorder, channel, codec, cursors, messages, packers, protocol, records, structs
else:

    def __getattr__(attribute: str) -> object:
        if attribute not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {attribute!r}")
        return getattr(_chosen, attribute)

    codec = _chosen.codec
    byteorder = _chosen.byteorder
    channel = _chosen.channel
