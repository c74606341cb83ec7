"""The C core's own tests, where there is a C compiler: sanitized, in both variants, every line covered."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent / "csrc" / "tests"
COMPILERS = [os.environ["CC"]] if "CC" in os.environ else ["cc", "gcc", "clang"]
CC = next((command for command in COMPILERS if shutil.which(command.split()[0])), None)

pytestmark = [
    pytest.mark.skipif(CC is None, reason=f"no C compiler: looked for {', '.join(COMPILERS)}"),
    pytest.mark.skipif(shutil.which("make") is None, reason="no make to build the C tests with"),
]


def _lacks_vectors() -> bool:
    """Whether this is a PC processor without AVX2, on which the widest loop cannot run."""
    if platform.machine().lower() not in ("x86_64", "amd64", "i386", "i686"):
        return False
    info = Path("/proc/cpuinfo")
    return info.exists() and " avx2 " not in info.read_text()


def make(target: str, build: Path, directory: Path = TESTS) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "LD_PRELOAD")}
    return subprocess.run(
        ["make", "--no-print-directory", "-C", str(directory), target, f"BUILD={build}", f"CC={CC}"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600,
    )  # fmt: skip


def test_check(tmp_path: Path) -> None:
    result = make("check", tmp_path)
    assert result.returncode == 0, result.stdout
    programs = len(list(TESTS.glob("test_*.c")))
    assert result.stdout.count("checks, 0 failed") == 2 * programs, result.stdout


@pytest.mark.skipif(shutil.which("gcov") is None, reason="line coverage needs gcov")
@pytest.mark.skipif(_lacks_vectors(), reason="this processor has no AVX2: that loop's lines cannot run")
def test_every_line_runs(tmp_path: Path) -> None:
    result = make("coverage", tmp_path)
    assert result.returncode == 0, result.stdout
    assert "fw_bytes.h" in result.stdout, result.stdout


@pytest.mark.parametrize(
    ("breakage", "report"),
    [
        ("CHECK(1 == 2);", "test_x.c:7: failed: 1 == 2"),
        ("CHECK_EQUAL(7, 8);", "got 0x7, expected 0x8"),
        ("volatile uint8_t *p = guard_copy(data, 5); CHECK(p[5]);", "AddressSanitizer"),
        ("volatile uint8_t *p = guard_copy_start(data, 5); CHECK(p[-1]);", "AddressSanitizer"),
        ("volatile int big = 2147483647; CHECK(big + 1);", "signed integer overflow"),
        ("", "0 checks"),
    ],
)
def test_the_harness_can_fail(tmp_path: Path, breakage: str, report: str) -> None:
    """A harness that never fails proves nothing: every kind of fault stops `make check`, and says where."""
    copy = tmp_path / "csrc" / "tests"
    copy.mkdir(parents=True)
    for name in ("Makefile", "check.h", "guard.h"):
        shutil.copy(TESTS / name, copy)
    (copy / "test_x.c").write_text(
        '#include "check.h"\n#include "guard.h"\nint main(void)\n{\n'
        '    static const uint8_t data[] = "12345";\n    (void)data;\n'
        f"    {breakage}\n    return check_report(__FILE__);\n}}\n"
    )
    result = make("check", tmp_path / "build", copy)
    assert result.returncode != 0, result.stdout
    assert report in result.stdout


@pytest.mark.skipif(shutil.which("gcov") is None, reason="line coverage needs gcov")
def test_an_unrun_line_fails_coverage(tmp_path: Path) -> None:
    copy = tmp_path / "csrc" / "tests"
    copy.mkdir(parents=True)
    for name in ("Makefile", "check.h", "guard.h", "coverage.awk"):
        shutil.copy(TESTS / name, copy)
    (copy.parent / "fw_x.h").write_text("int fw_x(int n);\n")
    (copy.parent / "fw_x.c").write_text(
        '#include "fw_x.h"\nint fw_x(int n)\n{\n    if (n)\n        n = 5;\n    return n;\n}\n'
    )
    (copy / "test_x.c").write_text(
        '#include "../fw_x.h"\n#include "check.h"\n#include "guard.h"\nint main(void)\n{\n'
        "    CHECK(guard_copy(NULL, 1) != guard_copy_start(NULL, 1));\n"
        "    CHECK(fw_x(0) == 0);\n    return check_report(__FILE__);\n}\n"
    )
    result = make("coverage", tmp_path / "build", copy)
    assert result.returncode != 0, result.stdout
    assert "never run: fw_x.c:5:        n = 5;" in result.stdout
    (copy / "test_x.c").write_text((copy / "test_x.c").read_text().replace("fw_x(0) == 0", "fw_x(1) == 5"))
    result = make("coverage", tmp_path / "build", copy)
    assert result.returncode == 0, result.stdout
