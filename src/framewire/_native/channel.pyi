from collections.abc import Callable
from typing import Any, TypeVar

from typing_extensions import disjoint_base

from .._transport import Transport
from .receiving import Receiver

__all__ = ["Channel"]

_T = TypeVar("_T")

@disjoint_base
class Channel(Receiver[_T]):
    def __init__(
        self,
        transport: Transport,
        *,
        codec: tuple[Callable[..., Any] | None, ...] | None = None,
        high_water: int = 1048576,
        frame_timeout: float | None = None,
        idle_timeout: float | None = None,
        heartbeat: bytes | None = None,
        peer_timeout: float | None = None,
    ) -> None: ...
    @property
    def events(self) -> int: ...
    def _serve(self, handler: Callable[[Any, Any], Any], wait: bool) -> Any: ...
    def _check(self) -> float: ...
    def close(self, timeout: float | None = 5.0) -> None: ...
    def abort(self) -> None: ...
    def _detach(self) -> bytes: ...
    def _upgrade(self, transport: Transport) -> None: ...
