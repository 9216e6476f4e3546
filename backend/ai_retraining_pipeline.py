"""The documented door to the retraining pipeline; as a program it runs the jobs of the default data folder."""

import sys
import threading

from ism.domain.retraining import RetrainingJob
from ism.retraining.pipeline import AIRetrainingPipeline

__all__ = ["AIRetrainingPipeline", "RetrainingJob"]


def main() -> None:
    """Run jobs until interrupted."""
    pipeline = AIRetrainingPipeline()
    pipeline.start()
    sys.stdout.write("Running the retraining jobs of the data folder (ISM_DATA_DIR). Stop with Ctrl+C.\n")
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        pipeline.close()


if __name__ == "__main__":
    main()
