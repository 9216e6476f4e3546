"""The launcher, in whose process measuring ends once when the file ``die`` appears in the working folder."""

import sys
from pathlib import Path

from ism.monitoring.metrics import Collector

MARK = Path("die")


def _until_told(self: Collector) -> None:
    while not self._background.over.wait(0.05):
        if MARK.exists():
            MARK.unlink()
            return


Collector._run = _until_told

if __name__ == "__main__":
    from ism.app.cli.root import app

    app(["serve", *sys.argv[1:]])
