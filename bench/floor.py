"""Compiles floor.c and live.c on first use, with the flags of setup.py, into build/bench."""

from __future__ import annotations

import importlib.util
import os
import sysconfig
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["load", "module"]

HERE = Path(__file__).parent
# As setup.py has them.
FLAGS = ["-O3", "-g0", "-std=c11", "-fvisibility=hidden", "-falign-functions=64", "-falign-loops=32"]


def compiled(name: str) -> Path:
    """The module bench_NAME of NAME.c, made where it is missing or outdated; ImportError if it cannot be."""
    source = HERE / f"{name}.c"
    built = HERE.parent / "build" / "bench" / f"bench_{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    newest = max(source.stat().st_mtime, Path(__file__).stat().st_mtime)  # the flags stand here
    if built.exists() and built.stat().st_mtime >= newest:
        return built
    try:
        from setuptools import Distribution, Extension  # type: ignore[import-untyped]
        from setuptools.errors import BaseError, CCompilerError  # type: ignore[import-untyped]
    except ImportError as error:
        raise ImportError(f"the floor needs setuptools to be compiled: {error}") from error
    built.parent.mkdir(parents=True, exist_ok=True)
    # Built aside and moved into place, so that another run never loads half a file.
    with tempfile.TemporaryDirectory(dir=built.parent) as aside:
        extension = Extension(f"bench_{name}", [str(source)], extra_compile_args=FLAGS)
        distribution = Distribution({"name": f"bench_{name}", "ext_modules": [extension]})
        command: Any = distribution.get_command_obj("build_ext")
        command.build_lib = command.build_temp = aside
        command.ensure_finalized()
        try:
            command.run()
        except (BaseError, CCompilerError) as error:
            raise ImportError(f"the floor could not be compiled: {error}") from error
        os.replace(command.get_ext_fullpath(f"bench_{name}"), built)
    return built


@cache
def module(name: str) -> Any:
    """The module bench_NAME; ImportError without a C compiler."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", compiled(name))
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def load() -> Any:
    """The type Floor; ImportError without a C compiler."""
    return module("floor").Floor
