"""A small engine for tests of the pipeline: who took this waste code before? It trains in no time, in this process."""

import json
import time
from dataclasses import dataclass, field
from datetime import timedelta

import numpy as np

from ism.domain.errors import IsmError
from ism.engines import catalog
from ism.engines.base import Engine, Param
from ism.engines.evidence import StoreEvidence
from ism.engines.files import read_about, write_about
from ism.engines.params import resolve
from ism.engines.process import Outcome
from ism.retraining.comparison import GatePolicy
from ism.retraining.config import RetrainingConfig
from ism.retraining.e_process import ArmOutcome
from ism.retraining.opening import registry_of
from ism.retraining.parts import Parts, ShadowCount
from ism.retraining.training import fit_calibrate_save
from ism.testing.history import history
from ism.testing.sample import WordEncoder


class CountingEngine(Engine):
    """Share of a receiver in the precedents of the same waste code, blended with noise."""

    name = "counting"

    def __init__(self):
        self._noise, self._seed = 0.0, 0

    def fit(self, snapshot, params=None, seed=0):
        self._noise = float(resolve(self.search_space(), params)["noise"])
        self._seed = seed

    def score(self, market, offers, rows=None):
        rows = np.arange(len(market.receivers)) if rows is None else rows
        past = market.precedents
        out = np.zeros((len(offers), len(rows)), np.float32)
        for place in range(len(offers)):
            same = past.receiver[past.ewc[:, 2] == offers.ewc[place, 2]]
            counts = np.bincount(same, minlength=len(market.receivers))[rows] + 0.01
            noise = np.random.default_rng([self._seed, int(abs(offers.latitude[place]) * 1000)]).uniform(size=len(rows))
            out[place] = (1 - self._noise) * counts / (counts.max() + 1) + self._noise * noise * 0.9
        return out

    def explain(self, market, offers, offer, row):
        return []

    @classmethod
    def search_space(cls):
        return {"noise": Param(0.0, 0.0, 1.0)}

    def save(self, folder):
        write_about(folder, self.name, 1, noise=self._noise, seed=self._seed)

    @classmethod
    def load(cls, folder):
        made, about = cls(), read_about(folder, cls.name, 1)
        made._noise, made._seed = about["noise"], about["seed"]
        return made


def train_here(arguments, limits, on_report=None, stop=None):
    """Trains in this process: the process of its own has tests of its own."""
    started = time.perf_counter()
    try:
        result = fit_calibrate_save(**json.loads(json.dumps(arguments)), report=lambda values: None)
    except IsmError as error:
        return Outcome("failed", None, str(error), 0.0, 0.0)
    return Outcome("done", result, "", time.perf_counter() - started, 100.0)


@dataclass
class Seen:
    """Observations that a test sets."""

    requests: int = 100
    failures: int = 0
    arms: list[ArmOutcome] = field(default_factory=list)
    reason: str | None = None

    def shadow(self, version_id):
        return ShadowCount(self.requests, self.failures)

    def outcomes(self, model_name, version_id):
        return self.arms

    def alarm(self, model_name, version_id):
        return self.reason


def arms(champion, challenger, count=1500, seed=0):
    rng = np.random.default_rng(seed)
    return [
        ArmOutcome(f"c{n}", arm, float(rng.uniform() < (challenger if arm == "challenger" else champion)))
        for n, arm in enumerate(rng.choice(["champion", "challenger"], count))
    ]


def install():
    catalog.ENGINES["counting"] = "counting:CountingEngine"


def fill(store, donors=30, seed=0):
    companies, exchanges = history(donors, seed)
    store.bulk_upsert([*companies, *exchanges])


def parts_on(store, settings, clock, observations=None, train=train_here, search=None, **config):
    """Parts of a pipeline on a small engine; nothing waits unless a test says so."""
    made = RetrainingConfig(
        **{"bake": timedelta(0), "cool_down": timedelta(0), "gate": GatePolicy(draws=500), **config}
    )
    return Parts(
        store=store.retraining,
        registry=registry_of(store, settings),
        source=lambda: StoreEvidence(store, made.maturity),
        encoder=WordEncoder(),
        folder=settings.data_dir / "retraining",
        config=made,
        train=train,
        search=search,
        observations=observations or Seen(arms=arms(0.3, 0.5)),
        clock=clock,
    )
