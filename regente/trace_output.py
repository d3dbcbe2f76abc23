"""What a service tells beside its work: JSON lines for machines, readable ones on a terminal.

Everything that uses `logging`, libraries too, goes through structlog; those are heard from
warnings on.
"""

from __future__ import annotations

import logging
import sys
from typing import Final

import structlog

_OURS: Final = ("regente", "events", "statemachines", "projections", "conductor", "compute")


def set_up(level: str) -> None:
    """Leave every line on stderr, ours from `level` on."""
    renderer = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer()
    )
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in _OURS:
        logging.getLogger(name).setLevel(level.upper())
