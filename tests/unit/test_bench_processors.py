"""What a measure says of who took the processors."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time

from bench.processors import of_port, taken_s


def test_a_process_is_found_by_the_port_at_which_it_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        assert of_port(port) == os.getpid()

    assert of_port(port) is None


def test_what_a_child_took_counts_when_it_is_gone() -> None:
    code = "import time\nwhile time.process_time() < 0.1: pass"
    # A shell that waits for it, as a server's first process does.
    command = ["sh", "-c", '"$0" -c "$1"; cat', sys.executable, code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write(b"echoed\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == b"echoed\n"
        took = taken_s({"shell": shell.pid})["shell"]
        shell.stdin.close()

    assert took >= 0.05  # Ticks are hundredths of a second, and are not all counted.


def test_a_process_that_is_not_there_took_nothing() -> None:
    before = time.process_time()

    took = taken_s({"nobody": 2**22 + 1})

    assert took["nobody"] == 0
    assert took["worker"] >= before
