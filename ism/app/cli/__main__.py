"""``python -m ism.app.cli``: the same as ``ism``."""

from ism.app.cli import main

main()
