"""What a search costs beside a bare Optuna loop, and whether it finds more than chance does."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from tqdm import tqdm

from bench.maestri import read_cases
from bench.setup import Options, text_encoder
from ism.data.market import Market, Receivers
from ism.data.public import maestri, required_file
from ism.domain.errors import EngineError
from ism.engines import catalog
from ism.engines.base import ParamValue, Snapshot
from ism.engines.process import Limits, Worker
from ism.engines.process.worker import Report
from ism.engines.snapshot_files import read_snapshot, write_snapshot
from ism.engines.validation import fold_scores, taking
from ism.settings import Settings
from ism.tuning.config import OptimizationConfig
from ism.tuning.driver import NICE
from ism.tuning.optimizer import FOLDER, AIHyperparameterOptimizer

TITLE = "Search for parameters: overhead, and against random search"
NEEDS_DATA = True
TARGET = 0.05  # overhead of a trial
_COMPARED = ("matching", "gnn")  # as far as the catalogue has them
_LIMIT = 3600.0  # seconds that any one part may take
NOTES = """\
**Overhead.** The same engine, sampler, seed and number of trials both ways, in turns: as `AIHyperparameterOptimizer`
does it (its own process, a forked process for each trial, journal, status file), and as a bare loop: Optuna in memory,
the snapshot read once, the objective called as a function, on one thread and at the same low priority as the trials.
Both draw the same parameters. The time of a trial is from its beginning to the next one's, the least of all rounds, as
whatever else a machine does can only add to it; the first trial, which loads the libraries, is left out of both.

**Against random search.** Equal numbers of trials, no pruning, both begin with the engine's defaults. A seed fixes the
folds, the fits and the sampler, so that the two are paired by seed. *Found* is the best mean nDCG@10 over the folds of
the search; *held out* is that of the found parameters on groups which no search saw. Intervals are of the paired mean
difference over the seeds (Student's t, 95 %). The data are MAESTRI's cases with the sectors that occur in them as
receivers: a part, so that the repetitions can be afforded.
"""


def run(options: Options) -> dict[str, Any]:
    """Both parts."""
    started = time.perf_counter()
    trials, rounds, compared, seeds = (4, 2, 4, 2) if options.fast else (12, 3, 30, 10)
    with tempfile.TemporaryDirectory(prefix="ism-bench-") as home:
        whole, part = _snapshots(required_file(options.folder() / maestri.FILE), options.fast)
        kept, held = _without_groups(part, 0.2)
        for name, snapshot in (("whole", whole), ("kept", kept), ("part", part)):
            write_snapshot(snapshot, Path(home) / name)
        cost = overhead(Path(home), trials, rounds)
        models = [name for name in _COMPARED if name in catalog.names()]
        found = {name: against_random(Path(home), name, compared, seeds, options.jobs) for name in models}
    return {
        "protocol": "tuning",
        "overhead": cost,
        "against_random": found,
        "precedents": {"overhead": len(whole.groups), "search": len(kept.groups), "held_out": len(held.groups)},
        "seconds": time.perf_counter() - started,
    }


def _without_groups(snapshot: Snapshot, share: float) -> tuple[Snapshot, Snapshot]:
    """What is left without some groups of about that share of the precedents, and they; by chance."""
    names, sizes = np.unique(snapshot.groups, return_counts=True)
    order = np.random.default_rng(0).permutation(len(names))
    before = np.cumsum(sizes[order]) - sizes[order]
    held = np.isin(snapshot.groups, names[order[before < share * len(snapshot.groups)]])
    return taking(snapshot, np.flatnonzero(~held)), taking(snapshot, np.flatnonzero(held))


def overhead(home: Path, trials: int, rounds: int) -> dict[str, Any]:
    """Seconds of a trial, as the product runs it and as a bare loop does."""
    ours, theirs, params = [], [], []
    for number in range(rounds):
        with Worker() as worker:
            bare = _done(worker, "bare_loop", {"snapshot": str(home / "whole"), "trials": trials})
        spacing, drawn = _as_the_product(home, trials, home / f"data-{number}")
        ours.append(spacing[1:])
        theirs.append(np.asarray(bare["seconds"][1:]))
        params += [bare["params"], drawn]
    if any(each != params[0] for each in params):
        raise EngineError("The loops drew different parameters; they cannot be compared.")
    least, bare_least = np.min(ours, axis=0).mean(), np.min(theirs, axis=0).mean()
    return {
        "trials": trials,
        "rounds": rounds,
        "ours": float(least),
        "bare": float(bare_least),
        "overhead": float(least / bare_least - 1.0),
        "of_rounds": [float(one.mean() / other.mean() - 1.0) for one, other in zip(ours, theirs, strict=True)],
    }


def _as_the_product(home: Path, trials: int, data: Path) -> tuple[np.ndarray[Any, np.dtype[np.float64]], list[Any]]:
    """Spacing of the trials, and the parameters that they drew."""
    settings = Settings(data_dir=data, tuning_pruner="none", _env_file=None)
    config = OptimizationConfig("matching", n_trials=trials, timeout=_LIMIT)
    with AIHyperparameterOptimizer(settings) as optimizer:
        name = optimizer.submit(config, snapshot=home / "whole")
        ended = optimizer.wait(name, _LIMIT)
        shown = optimizer.get_optimization(name)["trials"]
    if ended["status"] != "completed":
        raise EngineError(f"The search did not complete: {ended['error_message']}")
    return _spacing(data / FOLDER / name, name), [trial["params"] for trial in shown]


def against_random(home: Path, model: str, trials: int, seeds: int, jobs: int) -> dict[str, Any]:
    """The default search and random search at equal budgets, paired by seed."""
    cases = [(seed, kind) for seed in range(seeds) for kind in ("bayesian", "random")]
    one = partial(_searched, home, model, trials)
    with (
        ThreadPoolExecutor(max(jobs, 1)) as pool,
        tqdm(total=len(cases), desc=f"tuning: {model}", unit="search") as bar,
    ):
        results = []
        for result in pool.map(one, cases):
            results.append(result)
            bar.update()
    by_kind = {
        kind: [result for (_, own), result in zip(cases, results, strict=True) if own == kind] for _, kind in cases
    }
    return {
        "trials": trials,
        "seeds": seeds,
        **{
            measure: {
                **{kind: float(np.mean([result[measure] for result in own])) for kind, own in by_kind.items()},
                "defaults": float(np.mean([result[f"defaults_{measure}"] for result in by_kind["random"]])),
                **paired([result[measure] for result in by_kind["bayesian"]], [r[measure] for r in by_kind["random"]]),
            }
            for measure in ("found", "held_out")
        },
    }


def paired(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Mean difference of pairs with its 95 % interval (Student's t)."""
    from scipy.stats import t  # noqa: PLC0415 - 0.3 s: only where intervals are told

    gap = np.asarray(ours) - np.asarray(theirs)
    width = float(t.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / np.sqrt(len(gap)))
    return {"difference": float(gap.mean()), "low": float(gap.mean()) - width, "high": float(gap.mean()) + width}


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    cost, sizes = found["overhead"], found["precedents"]
    verdict = "within" if cost["overhead"] <= TARGET else "above"
    lines = [f"## {TITLE}", "", NOTES, about, ""]
    lines += [
        f"Overhead on `matching` ({sizes['overhead']} precedents, {cost['trials']} trials, {cost['rounds']} rounds): "
        f"{cost['ours']:.3f} s a trial against {cost['bare']:.3f} s bare, {cost['overhead']:+.1%}, "
        f"{verdict} the {TARGET:.0%} that are aimed at; "
        f"means of single rounds {min(cost['of_rounds']):+.1%} to {max(cost['of_rounds']):+.1%}.",
        "",
        f"Against random search ({sizes['search']} precedents searched, {sizes['held_out']} held out):",
        "",
        "| engine | trials | seeds | measure | defaults | random | default search | difference |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, result in found["against_random"].items():
        for measure in ("found", "held_out"):
            one = result[measure]
            lines.append(
                f"| `{name}` | {result['trials']} | {result['seeds']} | {measure.replace('_', ' ')} "
                f"| {one['defaults']:.4f} | {one['random']:.4f} | {one['bayesian']:.4f} "
                f"| {one['difference']:+.4f} ({one['low']:+.4f} to {one['high']:+.4f}) |"
            )
    lines += ["", *(_verdict(name, result) for name, result in found["against_random"].items())]
    return "\n".join(lines)


def bare_loop(snapshot: str, trials: int, report: Report) -> dict[str, Any]:
    """Optuna in memory around the objective as a function; seconds and parameters of each trial."""
    os.nice(NICE)
    study, score = _study("bayesian", 0), _objective("matching", read_snapshot(Path(snapshot)), 0)
    study.optimize(score, n_trials=trials)
    begun = [trial.datetime_start.timestamp() for trial in study.trials]
    ended = study.trials[-1].datetime_complete.timestamp()
    return {"seconds": np.diff([*begun, ended]).tolist(), "params": [trial.params for trial in study.trials]}


def best_found(home: str, model: str, kind: str, trials: int, seed: int, report: Report) -> dict[str, float]:
    """One search, and what its result is worth on what was held out."""
    snapshot = read_snapshot(Path(home) / "kept")
    study = _study(kind, seed, model)
    study.optimize(_objective(model, snapshot, seed), n_trials=trials)
    held = partial(_held_out, Path(home), model, snapshot, seed)
    return {
        "found": study.best_value,
        "held_out": held(study.best_params),
        "defaults_found": study.trials[0].value,
        "defaults_held_out": held({}),
    }


def _study(kind: str, seed: int, model: str = "matching") -> Any:
    import optuna  # noqa: PLC0415 - 0.4 s: only in processes that search

    from ism.tuning.methods import sampler_of  # noqa: PLC0415 - as above

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = sampler_of(OptimizationConfig(model, kind, seed=seed))
    study = optuna.create_study(sampler=sampler, direction="maximize")
    space = catalog.engine_class(model).search_space()
    study.enqueue_trial({name: param.default for name, param in space.items()})
    return study


def _objective(model: str, snapshot: Snapshot, seed: int) -> Any:
    from ism.tuning.space import suggest  # noqa: PLC0415 - only in processes that search

    space, make = catalog.engine_class(model).search_space(), partial(catalog.make, model, catalog.text_encoder())

    def score(trial: Any) -> float:
        folds = list(fold_scores(snapshot, make, suggest(trial, space), "accuracy", seed))
        return float(np.average([fold.value for fold in folds], weights=[fold.questions for fold in folds]))

    return score


def _held_out(home: Path, model: str, kept: Snapshot, seed: int, params: Mapping[str, ParamValue]) -> float:
    """Mean nDCG@10 on the held-out groups of an engine that learnt from all of ``kept``."""
    from ism.engines.metrics import metric  # noqa: PLC0415 - beside its only use
    from ism.engines.validation import question_values  # noqa: PLC0415 - as above

    _, held = _without_groups(read_snapshot(home / "part"), 0.2)
    engine = catalog.make(model, catalog.text_encoder())
    engine.fit(kept, params, seed)
    return float(np.mean(question_values(engine, kept, held, metric("accuracy"), seed)))


def _searched(home: Path, model: str, trials: int, case: tuple[int, str]) -> dict[str, float]:
    with Worker() as worker:
        arguments = {"home": str(home), "model": model, "kind": case[1], "trials": trials, "seed": case[0]}
        result: dict[str, float] = _done(worker, "best_found", arguments)
        return result


def _done(worker: Worker, function: str, arguments: Mapping[str, Any]) -> Any:
    outcome = worker.run(f"bench.tuning:{function}", arguments, Limits(seconds=_LIMIT))
    if outcome.status != "done":
        raise EngineError(f"{function} ended as {outcome.status}: {outcome.reason}")
    return outcome.result


def _spacing(folder: Path, name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Seconds from the beginning of each trial to the next one's, the last to its own end."""
    import optuna  # noqa: PLC0415 - only here in this process

    from ism.tuning.storage import open_storage  # noqa: PLC0415 - as above

    trials = optuna.load_study(study_name=name, storage=open_storage(folder)).trials
    begun = [trial.datetime_start.timestamp() for trial in trials if trial.datetime_start is not None]
    ended = trials[-1].datetime_complete
    return np.diff([*begun, begun[-1] if ended is None else ended.timestamp()])


def _verdict(name: str, result: Mapping[str, Any]) -> str:
    found, told = result["found"], f"On `{name}` the default search"
    if found["low"] > 0:
        return f"{told} finds more than random search: the interval of the difference is above zero.  "
    if found["high"] < 0:
        return f"{told} finds less than random search: the interval of the difference is below zero.  "
    return f"{told} does not beat random search: the interval of the difference holds zero.  "


def _snapshots(path: Path, fast: bool) -> tuple[Snapshot, Snapshot]:
    """All cases with every sector as receiver, and with only the sectors that occur."""
    frame = maestri.cases(path)
    cases = read_cases(frame.filter(pl.col("group") < 6) if fast else frame, text_encoder())
    whole = Snapshot(cases.market, cases.precedent_groups)
    return whole, Snapshot(_occurring(cases.market), cases.precedent_groups)


def _occurring(market: Market) -> Market:
    """Only the receivers that have a precedent."""
    home, past = market.receivers, market.precedents
    rows, place = np.unique(past.receiver, return_inverse=True)
    asks = np.flatnonzero(np.isin(home.need_owner, rows))
    fewer = Receivers(
        ids=[home.ids[row] for row in rows],
        names=[home.names[row] for row in rows],
        kinds=[home.kinds[row] for row in rows],
        nace=home.nace[rows],
        latitude=home.latitude[rows],
        longitude=home.longitude[rows],
        countries=[home.countries[row] for row in rows],
        needs=home.needs[asks],
        need_owner=np.searchsorted(rows, home.need_owner[asks]).astype(np.intp),
        need_texts=[home.need_texts[ask] for ask in asks],
        need_terms=home.need_terms[asks],
    )
    columns = {name: getattr(past, name) for name in past.__dataclass_fields__}
    return Market(fewer, type(past)(**{**columns, "receiver": place.astype(np.intp)}), market.generation)
