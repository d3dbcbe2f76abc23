"""`python -m regente` is the `regente` command, for those who have no script on their PATH."""

from __future__ import annotations

from regente.launch import main

raise SystemExit(main())
