"""pytest fixtures for programs that use framewire. Every pytest run loads this, so it imports nothing yet."""

from __future__ import annotations

import pytest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    import framewire.testing


@pytest.fixture
def framewire_pair() -> Iterator[Callable[..., tuple[Any, Any]]]:
    """Makes two connected connections for a framing: `a, b = framewire_pair(framing)`; closed at the end."""
    import framewire

    made: list[Any] = []

    def make(framing: Any, send_framing: Any = None, **options: Any) -> tuple[Any, Any]:
        made.extend(framewire.socketpair(framing, send_framing, **options))
        return made[-2], made[-1]

    yield make
    for conn in made:
        conn.abort()


@pytest.fixture
def framewire_scripted() -> Iterator[Callable[..., framewire.testing.ScriptedPeer]]:
    """Makes `framewire.testing.ScriptedPeer`s, and checks at the end that each has done all its steps."""
    from framewire.testing import ScriptedPeer

    made: list[ScriptedPeer] = []

    def make(framing: Any = None) -> ScriptedPeer:
        made.append(ScriptedPeer(framing))
        return made[-1]

    yield make
    for peer in made:
        peer.done()


@pytest.fixture
def framewire_clock() -> framewire.testing.FakeClock:
    """A `framewire.testing.FakeClock`."""
    from framewire.testing import FakeClock

    return FakeClock()
