"""One suite over both backends: every test that takes `backend` runs twice."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import signal
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType

import pytest
from hypothesis import settings
from loops import loop as loop

import framewire
from framewire import _backend, server, sockets

# FRAMEWIRE_TEST=full (make exhaustive) asks for the long versions of the exhaustive and random tests; =quick
# for fewer random examples, where .ci/run repeats the suite on other interpreters and builds.
LEVEL = os.environ.get("FRAMEWIRE_TEST", "normal")
FULL = LEVEL == "full"
SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")


def examples(normal: int, full: int) -> int:
    """How many random examples a test takes at this level."""
    return {"quick": normal // 5, "normal": normal, "full": full}[LEVEL]


# A shell's job in the background ignores it, and so would every program that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Examples for type checkers: not to be run.
collect_ignore = ["typing"]
settings.register_profile("framewire", deadline=None, max_examples=examples(120, 5000))
settings.load_profile("framewire")


def peak_memory(call: Callable[[], object]) -> int:
    """The most bytes that Python held during `call`: the least of three runs, as xdist takes some."""
    peaks = []
    for _ in range(3):
        tracemalloc.start()
        try:
            call()
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
    return min(peaks)


def named(value: object) -> str:
    """How a test is named by a parameter: short, and alike in every process that shares the suite."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))[:60]


def _missing(name: str) -> str:
    try:
        _backend.load(name)
    except ImportError as error:
        return str(error)
    return ""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--backend", choices=["native", "pure", "both"], default="both")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Three for two cores: a third of the time, tests wait for a peer."""
    return max(1, (os.cpu_count() or 1) * 3 // 2)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Each loop and each backend runs in every test run, and their fourth combination where there is time."""
    for item in items:
        if "uvloop" in item.name and "pure" in item.name:
            item.add_marker(pytest.mark.slow)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "backend" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--backend")
        metafunc.parametrize("backend", ["native", "pure"] if chosen == "both" else [chosen], indirect=True)


# The modules whose classes inherit from a backend's, each after those that it imports.
STANDING_ON_IT = ["packers", "cursors", "_connection", "sockets"]
STANDING_ON_IT += [
    f"aio.{name}" for name in ("connection", "protocol", "stream", "dialing", "server", "engine")
] + ["aio"]


@cache
def modules_over(name: str) -> dict[str, ModuleType]:
    """These modules over a backend: themselves, or other copies over the other one."""
    own = {short: importlib.import_module(f"framewire.{short}") for short in STANDING_ON_IT}
    if name == framewire.backend:
        return own
    copies: dict[str, ModuleType] = {}
    with pytest.MonkeyPatch.context() as patch:
        for part in ("channel", *_backend._LATER):
            patch.setattr(_backend, part, getattr(_backend.load(name), part), raising=False)
        for short, module in own.items():
            assert module.__spec__ is not None
            spec = importlib.util.spec_from_file_location(
                module.__name__,
                module.__spec__.origin,
                submodule_search_locations=module.__spec__.submodule_search_locations,
            )
            assert spec is not None and spec.loader is not None
            copies[short] = importlib.util.module_from_spec(spec)
            patch.setitem(sys.modules, module.__name__, copies[short])
            spec.loader.exec_module(copies[short])
    return copies


def module_over(module: ModuleType, name: str) -> ModuleType:
    """One of these modules over a backend."""
    return modules_over(name)[module.__name__.removeprefix("framewire.")]


@pytest.fixture
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[_backend.Backend]:
    """The backend under test: framings, records and `framewire`'s connections made in the test run on it."""
    reason = _missing(request.param)
    if reason and os.environ.get("FRAMEWIRE_BACKEND") == "native":
        pytest.fail(reason)
    if reason:
        pytest.skip(f"built without the extension: {reason}")
    chosen = _backend.load(request.param)
    over = modules_over(chosen.name)  # first: what it imports stands on the backend that is really there
    monkeypatch.setattr(_backend, "codec", chosen.codec)
    monkeypatch.setattr(_backend, "byteorder", chosen.byteorder)
    monkeypatch.setattr(_backend, "channel", chosen.channel)
    for later in _backend._LATER:
        monkeypatch.setattr(_backend, later, getattr(chosen, later), raising=False)
    monkeypatch.setattr(_backend, "name", chosen.name)
    monkeypatch.setattr(framewire, "aio", over["aio"])
    monkeypatch.setitem(sys.modules, "framewire.aio", over["aio"])
    monkeypatch.setitem(sys.modules, "framewire.aio.engine", over["aio.engine"])
    for public in sockets.__all__:
        monkeypatch.setattr(framewire, public, getattr(over["sockets"], public))
        if hasattr(server, public):
            monkeypatch.setattr(server, public, getattr(over["sockets"], public))
    yield chosen
