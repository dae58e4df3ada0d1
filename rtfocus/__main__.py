"""The entry of the command line, also as `python -m rtfocus`."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; Ctrl-C is quiet even while that is still being imported."""
    try:
        from rtfocus.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
