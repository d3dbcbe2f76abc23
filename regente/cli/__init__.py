"""The command line: one file per noun, each of which imports what it needs when it is run.

So `regente --help` needs neither a database's driver nor a broker's, and a compute node without
the extra `conductor` has every command of which it is capable.
"""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command that the arguments name, and return its exit status."""
    from regente.cli.app import run

    return run(sys.argv[1:])
