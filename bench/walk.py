"""``python -m bench.walk``: one retraining job of the real `matching` engine from its request to BAKED, as Markdown.

The market is simulated (`ism.testing.history`), and so are the requests in shadow and the outcomes of the canary. What
the job does with them is what it always does.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from ism.retraining.e_process import Arm, ArmOutcome
from ism.retraining.opening import parts_of
from ism.retraining.parts import ShadowCount
from ism.retraining.pipeline import AIRetrainingPipeline
from ism.settings import Settings
from ism.storage import open_store
from ism.testing.history import history
from ism.testing.sample import WordEncoder

_DONORS = 30  # of each of the eight materials
_ACCEPTED: dict[Arm, float] = {"champion": 0.30, "challenger": 0.38}  # simulated share of accepted offers


@dataclass
class SimulatedTraffic:
    """Requests in shadow, and companies that come to the canary one after another."""

    companies: int = 0
    requests: int = 0
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    _seen: list[ArmOutcome] = field(default_factory=list)

    def shadow(self, version_id: str) -> ShadowCount:
        """All went well."""
        return ShadowCount(self.requests, 0)

    def outcomes(self, model_name: str, version_id: str) -> list[ArmOutcome]:
        """A share of the companies is answered by the challenger."""
        for number in range(len(self._seen), self.companies):
            arm: Arm = "challenger" if self._rng.uniform() < 0.1 else "champion"
            accepted = float(self._rng.uniform() < _ACCEPTED[arm])
            self._seen.append(ArmOutcome(f"company-{number}", arm, accepted))
        return self._seen

    def alarm(self, model_name: str, version_id: str) -> str | None:
        """None."""
        return None


def main() -> None:
    """Run the job and print its ledger and its evidence."""
    traffic, now = SimulatedTraffic(), [datetime(2026, 3, 2, 2, 0, tzinfo=UTC)]
    with tempfile.TemporaryDirectory(prefix="ism-walk-") as folder:
        settings = Settings(data_dir=Path(folder), _env_file=None)
        companies, exchanges = history(_DONORS)
        with open_store(settings) as store:
            store.bulk_upsert([*companies, *exchanges])
            parts = replace(parts_of(store, WordEncoder(), settings, traffic), clock=lambda: now[0])
            pipeline = AIRetrainingPipeline(parts, background=False)
            job = pipeline.request("matching", "schedule", {"retraining_type": "full"})
            for hour in range(24 * 60):
                now[0] += timedelta(hours=1)
                traffic.requests, traffic.companies = 20 * hour, 5 * hour
                pipeline.run_due()
                if pipeline.job(job.job_id).completed_at is not None:
                    break
            _tell(pipeline, job.job_id)


def _tell(pipeline: AIRetrainingPipeline, job_id: str) -> None:
    lines = ["| at | state | why |", "|---|---|---|"]
    lines += [f"| {m.at:%Y-%m-%d %H:%M} | {m.to_state} | {m.reason} |" for m in pipeline.moves(job_id)]
    for report in pipeline.reports(job_id):
        lines += ["", report.replace("# Gate", "### Gate")]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
