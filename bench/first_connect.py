"""How long `framewire connect` takes to its first connect, beside `python -c pass`: the minimum of 30 runs.

python bench/first_connect.py
"""

from __future__ import annotations

import socket
import subprocess
import sys
from time import perf_counter


def main() -> None:
    best = {"pass": 9.0, "connect": 9.0}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        command = ["connect", f":{listener.getsockname()[1]}", "u32", "x", "-n1", "-q"]
        for _ in range(30):
            began = perf_counter()
            subprocess.run([sys.executable, "-c", "pass"])
            best["pass"] = min(best["pass"], perf_counter() - began)
            began = perf_counter()
            with subprocess.Popen([sys.executable, "-m", "framewire", *command]):
                conn, _ = listener.accept()
                best["connect"] = min(best["connect"], perf_counter() - began)
                conn.close()
    ratio = best["connect"] / best["pass"]
    print(f"pass {best['pass'] * 1e3:.1f} ms, connect {best['connect'] * 1e3:.1f} ms: {ratio:.2f} times")


if __name__ == "__main__":
    main()
