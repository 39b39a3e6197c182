"""`python -m bertdistill.engine` is `bertdistill-tui engine`. It must not be imported.

The one module of `engine` that may name `app`; `pyproject.toml` lists the exception.
"""

from __future__ import annotations

import sys

from bertdistill.app.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "engine")
    main()
