"""How long `framewire connect` takes to its first connect, beside `python -c pass`, in turns.

Shown are the minima of 60 runs, and the median of the ratios of all pairs.

python bench/first_connect.py
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from statistics import median
from time import perf_counter

# As an installed command has it: what is imported was compiled once.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def main() -> None:
    nothing, connects = [], []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        command = ["connect", f":{listener.getsockname()[1]}", "u32", "x", "-n1", "-q"]
        for _ in range(61):
            began = perf_counter()
            subprocess.run([sys.executable, "-c", "pass"], env=ENVIRONMENT)
            nothing.append(perf_counter() - began)
            began = perf_counter()
            with subprocess.Popen(
                [sys.executable, "-m", "framewire", *command], env=ENVIRONMENT, stderr=subprocess.DEVNULL
            ):
                conn, _ = listener.accept()
                connects.append(perf_counter() - began)
                conn.close()
    del nothing[0], connects[0]  # in which it was compiled
    ratio, paired = min(connects) / min(nothing), median(b / a for a, b in zip(nothing, connects))
    print(
        f"pass {min(nothing) * 1e3:.1f} ms, connect {min(connects) * 1e3:.1f} ms: "
        f"{ratio:.2f} times, {paired:.2f} as the median of pairs"
    )


if __name__ == "__main__":
    main()
