"""DBOS: durable workflows of ten empty steps, from four threads, which is its best setting here.

Runs in its own virtual environment, set up as its documentation recommends. Prints workflows per
second as the last line.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from dbos import DBOS

STEPS = 10
THREADS = 4
WARM = 20


@DBOS.step()
def step(n: int) -> int:
    """Do nothing, durably."""
    return n


@DBOS.workflow()
def workflow(n: int) -> int:
    """Take ten steps."""
    for i in range(STEPS):
        step(i)
    return n


def main(file: str) -> None:
    """Run the workflows and print how many a second ended."""
    given = json.loads(Path(file).read_text())
    DBOS(
        config={
            "name": "bench",
            "system_database_url": given["url"],
            "log_level": "WARNING",
            "sys_db_pool_size": 40,
            "run_admin_server": False,
        }
    )
    DBOS.launch()
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(workflow, range(WARM)))
        began = time.perf_counter()
        done = list(pool.map(workflow, range(given["workflows"])))
        took = time.perf_counter() - began
    assert len(done) == given["workflows"], "Expected every workflow to end"
    DBOS.destroy()
    print(json.dumps({"workflows_per_s": given["workflows"] / took}))


if __name__ == "__main__":
    main(sys.argv[1])
