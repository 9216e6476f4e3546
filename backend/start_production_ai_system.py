"""The documented launcher: the same as ``ism serve``, with the same options."""

import sys

from ism.app.cli.root import app


def main() -> None:
    """Start the server with the options of the command line."""
    app(["serve", *sys.argv[1:]], prog_name="start_production_ai_system.py")


if __name__ == "__main__":
    main()
