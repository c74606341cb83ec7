"""One handler, three kinds of server: the Socket HOWTO's threads, processes and non-blocking sockets.

    python examples/three_servers.py selector                 # or threads, or processes
    python examples/three_servers.py processes tcp://127.0.0.1:9000 --proxy    # behind HAProxy, send-proxy-v2
    nc 127.0.0.1 9000                                         # in another terminal

Says who asks, how many lines he has sent, and which process answers. Ctrl-C and SIGTERM drain.
"""

import argparse
import os

import framewire as fw


def count(conn, line):
    conn.state = (conn.state or 0) + 1
    return f"{conn.peer_address} line {conn.state} process {os.getpid()}: ".encode() + line


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["threads", "processes", "selector"])
    parser.add_argument("address", nargs="?", default="tcp://127.0.0.1:9000")
    parser.add_argument("--proxy", action="store_true", help="a PROXY header begins every connection")
    options = parser.parse_args()
    server = fw.Server(count, options.address, fw.Lines(), mode=options.mode, proxy_protocol=options.proxy)
    print("listening on", server.address, flush=True)
    server.serve_forever()
