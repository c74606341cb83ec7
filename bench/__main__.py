"""python -m bench [NAME ...]: every ratio beside its goal.

NAME is a part of a case's name or of its rival's. Exit status 1 if two sides disagree about the result;
a goal that is missed is reported, not an error.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from importlib import metadata
from typing import Any

import framewire

from . import live
from .cases import CASES, FORBIDDEN, QUICK, STREAM, Case, modules_loaded
from .paired import DISTURBED, compare, pin


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("bench", description="Paired benchmarks, each ratio beside its goal.")
    made.add_argument(
        "names", nargs="*", metavar="NAME", help="only cases with this in their or their rival's name"
    )
    made.add_argument("--pairs", type=int, default=9, help="pairs a ratio is the median of (default 9)")
    made.add_argument(
        "--quick", action="store_true", help="short streams and rounds: does it run, not how fast"
    )
    made.add_argument("--json", metavar="FILE", help="write all pairs there")
    made.add_argument("--list", action="store_true", help="name the cases and do nothing")
    return made


def processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":")[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or "unknown processor"


def setting() -> dict[str, Any]:
    """What the figures depend on."""
    packages = sorted({package for case in CASES for package in case.packages})
    versions = {}
    for package in packages:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "framewire": framewire.__version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "machine": f"{os.cpu_count()} CPUs, {processor()}, {platform.system()} {platform.release()}",
        "rivals": versions,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def judged(case: Case, median: float) -> bool:
    return median <= case.goal if case.at_most else median >= case.goal


def run(case: Case, pairs: int, quick: bool) -> dict[str, Any]:
    """One case: its figures, or why there are none."""
    row: dict[str, Any] = {"name": case.name, "rival": case.rival, "goal": case.goal, "at_most": case.at_most}
    row["note"] = case.note
    try:
        ours, theirs = case.make(QUICK if quick else STREAM)
    except ImportError as error:
        return {**row, "skipped": str(error)}
    if case.name.startswith("import "):
        row["loads"] = modules_loaded(case.name.split()[1])
    elif ours.proof() != theirs.proof():
        return {**row, "wrong": True}
    pairs = min(pairs, case.most_pairs)
    ratio = compare(ours.time, theirs.time, pairs, 0.002 if quick else case.seconds)
    if case.at_most:
        ratio = type(ratio)(tuple(1 / value for value in ratio.values))
    row.update(ratios=ratio.values, median=ratio.median, spread=ratio.spread)
    row["met"] = judged(case, ratio.median) and not row.get("loads")
    return row


def line(row: dict[str, Any]) -> str:
    title = f"{row['name'] + ' : ' + row['rival']:<46}"
    if "skipped" in row:
        return f"{title} skipped: {row['skipped']}"
    if "wrong" in row:
        return f"{title} WRONG: the two sides do not give the same result"
    sign = "<=" if row["at_most"] else ">="
    text = f"{title}{row['median']:8.3g}  ±{row['spread']:3.0f} %   {sign} {row['goal']:<5g}"
    text += "pass" if row["met"] else "short"
    if row.get("loads"):
        text += f": loads {', '.join(row['loads'])}, and should load none of {', '.join(FORBIDDEN)}"
    text += " (disturbed)" if row["spread"] > DISTURBED else ""
    return text + (f"\n    {row['note']}" if row["note"] else "")


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    chosen = [
        case
        for case in CASES
        if not options.names or any(name in case.name or name in case.rival for name in options.names)
    ]
    if options.pairs < 1 or not chosen:
        parser().error("--pairs must be at least 1" if chosen else "no case has such a name: see --list")
    if options.list:
        for case in chosen:
            print(f"{case.name} : {case.rival}")
        return 0
    about = setting()
    print(f"framewire {about['framewire']} on {about['python']}; {about['machine']}; {pin()}")
    print("rivals: " + ", ".join(f"{name} {version}" for name, version in about["rivals"].items()))
    print(f"medians of {options.pairs} pairs, CPU time, collector off while timing; ± is half of max - min")
    if about["load"] is not None and about["load"] > 0.5:
        print(f"load {about['load']:.2f}: other work runs here; trust the ratios with a small ±")
    cpus = "two CPUs" if len(live.CPUS) > 1 else "the only CPU"
    print(f"live: wall time of two processes, one way on {cpus}; TCP with {live.CONTROL} congestion control")
    if options.quick:
        print("quick: the figures only show that everything runs")
    rows = []
    for case in chosen:
        rows.append(run(case, options.pairs, options.quick))
        print(line(rows[-1]), flush=True)
    met, judged_rows = sum(row.get("met", False) for row in rows), [row for row in rows if "met" in row]
    print(f"{met} of {len(judged_rows)} goals met, {sum('skipped' in row for row in rows)} skipped")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(
                {**about, "pairs": options.pairs, "quick": options.quick, "cases": rows}, file, indent=1
            )
    return int(any("wrong" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())
