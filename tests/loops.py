"""Runs a test's coroutine in an event loop of its own, asyncio's or uvloop's, and looks at what it leaves."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import warnings
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from framewire import _backend

Main = Callable[[], Awaitable[Any]]


class Loop:
    """What the loop had to report, a task that is left or a warning is an error of the test, unless it takes
    the reports itself."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reports: list[dict[str, Any]] = []

    def __call__(self, main: Main) -> Any:
        if self.name == "uvloop":
            import uvloop

            loop = uvloop.new_event_loop()
        else:
            loop = asyncio.SelectorEventLoop()
        loop.set_debug(True)
        loop.slow_callback_duration = 60
        loop.set_exception_handler(lambda _, context: self.reports.append(context))

        async def body() -> Any:
            result = await asyncio.wait_for(main(), 25)
            await asyncio.sleep(0)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks are left: {left}"
            return result

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                result = loop.run_until_complete(body())
        finally:
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()
            asyncio.set_event_loop(None)
        gc.collect()
        return result


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest, backend: _backend.Backend) -> Iterator[Loop]:
    if request.param == "uvloop" and importlib.util.find_spec("uvloop") is None:
        pytest.skip("uvloop is not installed")
    runner = Loop(request.param)
    yield runner
    assert not runner.reports, runner.reports
