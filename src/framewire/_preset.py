"""What a named protocol is: its row of the table, two framings where the directions differ, and the names
that other packages add by entry points."""

from __future__ import annotations

from ._framing import Framing
from .errors import DeclarationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Preset", "Protocol", "load_other", "others"]


class Protocol:
    """A protocol whose two directions are framed differently: a client sends `client`, a server `server`.

    Frozen, comparable, hashable and picklable; TypeError if a side is not a framing. Where one direction is
    needed, take that side: a Protocol itself cuts nothing. Text forms `amqp.client`, `amqp.server`.

    >>> from framewire import LengthPrefixed, Lines, Protocol, u16
    >>> Protocol(client=Lines(), server=LengthPrefixed(u16)).server
    LengthPrefixed(u16)
    """

    __slots__ = ("client", "server")

    if TYPE_CHECKING:
        client: Framing
        server: Framing

    def __init__(self, client: Framing, server: Framing) -> None:
        for side, one in (("client", client), ("server", server)):
            if not isinstance(one, Framing):
                raise TypeError(f"Protocol: {side} must be a framing, not {one!r}")
            object.__setattr__(self, side, one)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("Protocol is frozen")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("Protocol is frozen")

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            raise AttributeError(
                f"a Protocol has no {name}, its directions differ: take that of .client or of .server"
            )

    def __repr__(self) -> str:
        return f"Protocol(client={self.client!r}, server={self.server!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Protocol):
            return NotImplemented
        return self.client == other.client and self.server == other.server

    def __hash__(self) -> int:
        return hash((self.client, self.server))

    def __reduce__(self) -> tuple[Any, ...]:
        return Protocol, (self.client, self.server)


class Preset:
    """A row of the table: `name` in the text form, what it is, where it is specified, how it is made.

    `limit` is the specification's own greatest body in bytes, where it has one beyond the 1 MiB that holds
    without a `max_frame`.
    """

    __slots__ = ("name", "about", "source", "limit", "_make", "_made")

    def __init__(
        self,
        name: str,
        make: Callable[[], Framing | Protocol],
        about: str,
        source: str,
        limit: int | None = None,
    ) -> None:
        self.name, self.about, self.source, self.limit = name, about, source, limit
        self._make = make
        self._made: Framing | Protocol | None = None

    @property
    def constant(self) -> str:
        """Its name in this module."""
        return {"9p": "NINE_P"}.get(self.name) or self.name.upper().replace("-", "_")

    @property
    def made(self) -> Framing | Protocol:
        """The framing, or the Protocol, always the same object."""
        if self._made is None:
            self._made = self._make()
        return self._made

    @property
    def sides(self) -> dict[str, Framing]:
        """The framings by their names: one, or `name.client` and `name.server`."""
        made = self.made
        if isinstance(made, Protocol):
            return {f"{self.name}.client": made.client, f"{self.name}.server": made.server}
        return {self.name: made}


def others() -> dict[str, Any]:
    """The entry points by which other packages name framings, not loaded yet."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group="framewire.framings")}


def load_other(name: str, point: Any) -> Framing | Protocol:
    """What the entry point `point` stands for; DeclarationError if it cannot be loaded or is no framing."""
    try:
        made = point.load()
    except Exception as error:
        raise DeclarationError(
            f"framing {name!r}: the entry point {point.value} fails: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(made, (Framing, Protocol)):
        raise DeclarationError(f"framing {name!r}: the entry point {point.value} is no framing: {made!r}")
    return made
