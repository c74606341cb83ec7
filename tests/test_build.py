"""Packaging: what a build does with and without a C compiler, and what the sdist and the wheels hold.

Everything is built from the sdist, as an installer does where no wheel fits.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

import pytest

pytest.importorskip("setuptools", "77")
pytest.importorskip("Cython", "3.2")

ROOT = Path(__file__).parent.parent
NATIVE = {path.stem for path in (ROOT / "src/framewire/_native").glob("*.pyx")}
NOT_INHERITED = ("CC", "CFLAGS", "LDFLAGS", "LD_PRELOAD", "ASAN_OPTIONS", "PYTHONMALLOC")
NO_COMPILER = {"CC": "/bin/false"}
COMPILER = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]

cpython = pytest.mark.skipif(sys.implementation.name != "cpython", reason="the extension is for CPython")
compiler = pytest.mark.skipif(not shutil.which(COMPILER), reason=f"no C compiler {COMPILER}")


def run(arguments: Sequence[str | Path], cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if k not in NOT_INHERITED and not k.startswith("FRAMEWIRE_")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**kept, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def build_wheel(tree: Path, **variables: str) -> tuple[int, str, list[Path]]:
    """The exit status, the log and the wheel (none after a failure) of a build in `tree`."""
    out = tree / "wheels"
    shutil.rmtree(out, ignore_errors=True)
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(out)]
    done = run(["-m", "pip", "wheel", "-v", *options, "."], tree, **variables)
    return done.returncode, done.stdout, list(out.glob("*.whl"))


def names(wheel: Path) -> set[str]:
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


def backend_of(wheel: Path, directory: Path) -> str:
    """The backend that the unpacked `wheel` chooses when nothing is asked for."""
    with ZipFile(wheel) as archive:
        archive.extractall(directory)
    code = "from framewire import _backend; print(_backend.name)"
    return run(["-c", code], directory, PYTHONPATH=str(directory)).stdout.strip()


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of this checkout, built from a copy so that no product is left in it."""
    copy = tmp_path_factory.mktemp("checkout") / "framewire"
    shutil.copytree(
        ROOT,
        copy,
        ignore=shutil.ignore_patterns(
            ".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "build", "dist"
        ),
    )
    done = run(["-c", "from setuptools import build_meta; build_meta.build_sdist('dist')"], copy)
    assert done.returncode == 0, done.stdout
    (archive,) = (copy / "dist").iterdir()
    return archive


@pytest.fixture(scope="module")
def tree(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked sdist. Its build/ survives from test to test, as it does for a developer."""
    place = tmp_path_factory.mktemp("sdist")
    done = run(["-m", "tarfile", "-e", sdist, place], place)
    assert done.returncode == 0, done.stdout
    (unpacked,) = place.iterdir()
    return unpacked


def test_sdist_holds_the_sources_and_nothing_generated(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {f"src/framewire/_native/{stem}.pyx" for stem in NATIVE}
    wanted |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "csrc").rglob("*.[ch]")}
    wanted |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("test_*.py")}
    wanted |= {path.relative_to(ROOT).as_posix() for path in (ROOT / "src").rglob("*.px[di]")}
    wanted |= {"LICENSE", "Makefile", "README.md", "setup.py", "csrc/tests/Makefile", ".ci/run"}
    assert wanted <= held
    assert not {f"src/framewire/_native/{stem}.c" for stem in NATIVE} & held
    assert not {name for name in held if name.endswith((".so", ".pyd", ".o", ".pyc"))}


def test_no_extension_asked_for(tree: Path, tmp_path: Path) -> None:
    status, log, wheels = build_wheel(tree, FRAMEWIRE_BUILD_EXTENSION="no", **NO_COMPILER)
    assert status == 0, log
    assert wheels[0].name.endswith("-py3-none-any.whl")
    assert not {name for name in names(wheels[0]) if name.endswith((".so", ".pyd"))}
    assert backend_of(wheels[0], tmp_path) == "pure"


def test_wheel_is_typed_complete_and_needs_nothing(tree: Path) -> None:
    _, log, wheels = build_wheel(tree, FRAMEWIRE_BUILD_EXTENSION="no")
    held = names(wheels[0])
    package = ROOT / "src"
    for pattern in ("*.py", "*.pyi", "py.typed"):
        assert {path.relative_to(package).as_posix() for path in package.rglob(pattern)} <= held
    assert {Path(name).suffix for name in held if name.startswith("framewire/")} <= {".py", ".pyi", ".typed"}
    with ZipFile(wheels[0]) as archive:
        (metadata,) = (name for name in held if name.endswith(".dist-info/METADATA"))
        lines = archive.read(metadata).decode().splitlines()
    assert "License-Expression: MIT" in lines
    assert not [line for line in lines if line.startswith("Requires-Dist:") and "extra ==" not in line]


def test_any_other_value_is_an_error(tree: Path) -> None:
    done = run(["setup.py", "--version"], tree, FRAMEWIRE_BUILD_EXTENSION="true")
    assert done.returncode != 0
    assert "FRAMEWIRE_BUILD_EXTENSION='true': it takes auto, yes or no" in done.stdout


@pytest.mark.slow
@cpython
@compiler
def test_compiler_then_none_in_the_same_tree(tree: Path, tmp_path: Path) -> None:
    """A pure build after a native one must not ship the module that lies in build/."""
    status, log, wheels = build_wheel(tree)
    assert status == 0, log
    held = names(wheels[0])
    assert "none-any" not in wheels[0].name
    assert NATIVE == {Path(name).name.partition(".")[0] for name in held if name.endswith((".so", ".pyd"))}
    assert not {name for name in held if name.endswith((".pyx", ".pxd", ".c", ".h"))}
    assert wheels[0].stat().st_size < 100_000 * len(NATIVE), "is there debugging information in it?"
    assert backend_of(wheels[0], tmp_path / "native") == "native"

    status, log, wheels = build_wheel(tree, **NO_COMPILER)
    assert status == 0, log
    assert wheels[0].name.endswith("-py3-none-any.whl")
    assert not {name for name in names(wheels[0]) if name.endswith((".so", ".pyd"))}
    assert "*** framewire: no framewire._native." in log
    assert backend_of(wheels[0], tmp_path / "pure") == "pure"


@pytest.mark.slow
@cpython
def test_extension_demanded_without_a_compiler(tree: Path) -> None:
    status, log, wheels = build_wheel(tree, FRAMEWIRE_BUILD_EXTENSION="yes", **NO_COMPILER)
    assert status != 0
    assert not wheels
    assert "/bin/false" in log
