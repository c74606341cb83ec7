"""What `Server(mode="asyncio")` runs: a `MessageServer` in an event loop of its own, in any thread."""

from __future__ import annotations

import asyncio
from time import monotonic

from .server import MessageServer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from .._service import Service
    from ..sockets import MessageListener

    MakeLoop: TypeAlias = Callable[[], asyncio.AbstractEventLoop]

__all__ = ["Engine", "maker_of"]


def maker_of(loop: str | MakeLoop | None) -> MakeLoop:
    """The function that makes a loop; ValueError for a name of none, ImportError without uvloop."""
    if loop is None or loop == "asyncio":
        return asyncio.new_event_loop
    if loop == "uvloop":
        import uvloop

        return uvloop.new_event_loop  # type: ignore[no-any-return, unused-ignore]
    if callable(loop):
        return loop
    raise ValueError(f"loop={loop!r}: choose one of asyncio, uvloop, or a function that makes a loop")


class Engine:
    """The loop of a server, as `Server` drives those of _loops.py: `run` in one thread, `stop` from any."""

    def __init__(self, service: Service, listener: MessageListener, make: MakeLoop) -> None:
        self._service, self._listener = service, listener
        self.stop_at: float | None = None
        self._server: MessageServer | None = None
        self._orders: set[asyncio.Task[None]] = set()
        self._loop = make()

    def run(self) -> None:
        loop = self._loop
        try:
            loop.run_until_complete(self._serve())
        finally:
            try:
                left = asyncio.all_tasks(loop)
                for task in left:
                    task.cancel()
                if left:
                    loop.run_until_complete(asyncio.wait(left))
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.run_until_complete(loop.shutdown_default_executor())
            finally:
                loop.close()

    async def _serve(self) -> None:
        self._server = MessageServer._of(self._service, self._listener)
        if self.stop_at is not None:
            self._obey(max(0.0, self.stop_at - monotonic()))
        await self._server._done
        if self._orders:
            await asyncio.wait(self._orders)

    def _obey(self, grace: float) -> None:
        if self._server is not None:
            order = self._loop.create_task(self._server.shutdown(grace))
            self._orders.add(order)

    def stop(self, grace: float) -> None:
        """Drain, for at most `grace` seconds. Safe from any thread, and from the handler of a signal."""
        self.stop_at = monotonic() + grace
        try:
            self._loop.call_soon_threadsafe(self._obey, grace)
        except RuntimeError:
            pass  # it is closed: it has ended

    def runs_here(self) -> bool:
        return asyncio._get_running_loop() is self._loop

    def live(self) -> list[Any]:
        return [] if self._server is None else list(self._server._live)
