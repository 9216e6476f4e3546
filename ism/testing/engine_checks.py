"""What every engine must pass: one check for each promise of `ism.engines.base`.

An engine's author runs each of them::

    @pytest.mark.parametrize("check", ENGINE_CHECKS, ids=lambda check: check.__name__)
    def test_engine(check):
        check(MyEngine, WordEncoder())

where the first argument makes a new engine, and the encoder is the one that such engines were given.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields

import numpy as np

from ism.data.build import build_market
from ism.data.market import Floats
from ism.data.text import TextEncoder
from ism.domain.engine import Reason
from ism.domain.errors import EngineError, InvalidInputError, NotFittedError
from ism.domain.market import Company, Listing
from ism.engines.base import Snapshot
from ism.testing.engine_expect import (
    MakeEngine,
    all_scores,
    damages,
    expect_close,
    expect_explains,
    expect_proposes,
    expect_refused_or_equal,
    expect_same_reasons,
    expect_sound,
    fitted,
    loaded_again,
    new_folder,
    one_class,
    other_versions,
    same,
)
from ism.testing.sample import sample
from ism.testing.store_checks import expect, expect_refused

EngineCheck = Callable[[MakeEngine, TextEncoder], None]

SAFE_FILES = frozenset({".json", ".txt", ".parquet", ".safetensors"})


def check_refuses_before_fit(make: MakeEngine, encoder: TextEncoder) -> None:
    """Scores, reasons and files need a fitted engine."""
    case, engine = sample(encoder), make()
    market = case.built.market
    expect_refused(NotFittedError, engine.name, lambda: engine.score(market, case.offers))
    expect_refused(NotFittedError, engine.name, lambda: engine.explain(market, case.offers, 0, 0))
    with new_folder() as folder:
        expect_refused(NotFittedError, engine.name, lambda: engine.save(folder))


def check_deterministic(make: MakeEngine, encoder: TextEncoder) -> None:
    """The same snapshot and seed give the same scores: again, after another fit, and in another engine."""
    case, other = sample(encoder), sample(encoder, needs=False)
    engine, twin = fitted(make, case), fitted(make, case)
    first = all_scores(engine, case)
    expect("asked again, an engine answers the same", np.array_equal(all_scores(engine, case), first))
    expect("a twin answers the same", np.array_equal(all_scores(twin, case), first))
    for before in (other.snapshot, one_class(case)):
        engine.fit(before, None, 1)
        all_scores(engine, case)  # what an engine keeps of a market must not outlive the fit either
    engine.fit(case.snapshot, None, 0)
    expect("a fit leaves nothing of the fit before", np.array_equal(all_scores(engine, case), first))


def check_total(make: MakeEngine, encoder: TextEncoder) -> None:
    """Scores are float32, one for each pair, finite and in 0..1, whatever is known of the pair."""
    case = sample(encoder)
    engine = fitted(make, case)
    expect_sound(engine, case.built.market, case.offers, "the market it was fitted on")
    firms = [Company("new", "New site", "28.99", "PT", -33.9, 151.2), Company("bare", "Nothing known")]
    asked = [Listing("any", "bare", "need", "anything at all")]
    newer = build_market(firms, asked, (), encoder, classes=("99.00", "01.11")).market
    expect_sound(engine, newer, case.offers, "a market it never saw")
    expect_explains(engine, newer, case.offers, range(len(newer.receivers)))


def check_empty(make: MakeEngine, encoder: TextEncoder) -> None:
    """Nothing to learn from and nothing to score are ordinary cases."""
    case = sample(encoder)
    nothing = build_market((), (), (), encoder, classes=())
    unlearnt, engine = make(), fitted(make, case)
    unlearnt.fit(Snapshot(nothing.market, nothing.groups))
    for each in (unlearnt, engine):
        expect_sound(each, nothing.market, case.offers, "an empty market")
        expect("nobody is proposed from an empty market", not len(each.propose(nothing.market, case.obvious, 5)))
        expect_sound(each, case.built.market, case.offers, "a full market after an empty one")
        none = np.zeros(0, dtype=np.intp)
        expect("no offers, no scores", each.score(case.built.market, case.offers.take(none)).shape[0] == 0)
        scores = each.score(case.built.market, case.offers, none)
        expect("no receivers, no scores", scores.shape == (len(case.offers), 0))


def check_thin_markets(make: MakeEngine, encoder: TextEncoder) -> None:
    """An engine learns and scores without precedents, needs or places; with one class or group."""
    full = sample(encoder)
    past = full.built.market.precedents
    few = np.arange(3, dtype=np.intp)
    cases = {
        "no precedents": sample(encoder, exchanges=False).snapshot,
        "no needs and no sectors": sample(encoder, needs=False).snapshot,
        "no places": sample(encoder, places=False).snapshot,
        "nothing but companies": sample(encoder, exchanges=False, needs=False, places=False).snapshot,
        "one group": Snapshot(full.built.market, np.zeros(len(past), dtype=np.int32)),
        "three precedents": Snapshot(full.built.market.keeping(few), full.built.groups[few]),
        "one precedent": Snapshot(full.built.market.keeping(few[:1]), full.built.groups[few[:1]]),
        "each case a group": Snapshot(full.built.market, np.arange(len(past), dtype=np.int32)),
        "one class": one_class(full),
    }
    for name, snapshot in cases.items():
        engine = make()
        engine.fit(snapshot)
        expect_sound(engine, snapshot.market, full.offers, name)
        expect_proposes(engine, snapshot.market, full.offers)
        expect_explains(engine, snapshot.market, full.offers, range(0, len(snapshot.market.receivers), 9))


def check_rows(make: MakeEngine, encoder: TextEncoder) -> None:
    """A receiver's score does not depend on which others are scored with it, nor on their order."""
    case = sample(encoder)
    engine, size = fitted(make, case), len(case.built.market.receivers)
    everything = all_scores(engine, case)
    shuffled = np.random.default_rng(3).permutation(size).astype(np.intp)
    for rows in (shuffled, np.sort(shuffled[: size // 3]), shuffled[:2], shuffled[:1], np.repeat(shuffled, 2)):
        given = engine.score(case.built.market, case.offers, rows)
        expect_close(given, everything[:, rows], f"scores of {len(rows)} rows are those of all at these rows")


def check_rows_are_read_anew(make: MakeEngine, encoder: TextEncoder) -> None:
    """Arrays that their owner fills again are read again."""
    case = sample(encoder)
    engine, rows = fitted(make, case), np.asarray([0, 1, 2], dtype=np.intp)
    everything = all_scores(engine, case)
    expect_close(engine.score(case.built.market, case.offers, rows), everything[:, rows], "rows before")
    rows[:] = case.best
    expect_close(engine.score(case.built.market, case.offers, rows), everything[:, rows], "rows after a change")


def check_batches(make: MakeEngine, encoder: TextEncoder) -> None:
    """An offer's scores do not depend on the other offers of the batch."""
    case = sample(encoder)
    engine = fitted(make, case)
    together = all_scores(engine, case)
    for number in range(len(case.offers)):
        one = case.offers.take(np.asarray([number], dtype=np.intp))
        expect_close(engine.score(case.built.market, one), together[number : number + 1], f"offer {number} alone")
    swapped = case.offers.take(np.arange(len(case.offers), dtype=np.intp)[::-1])
    expect_close(engine.score(case.built.market, swapped), together[::-1], "offers in another order")


def check_threads(make: MakeEngine, encoder: TextEncoder) -> None:
    """Several threads that score and explain in two markets at once get what one thread gets."""
    case, other = sample(encoder), sample(encoder, needs=False)
    engine = fitted(make, case)

    def answer(number: int) -> tuple[Floats, list[Reason]]:
        asked = (case, other)[number % 2]
        return all_scores(engine, asked), engine.explain(asked.built.market, asked.obvious, 0, asked.best)

    alone = [answer(number) for number in range(2)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(answer, range(16)))
    for number, (scores, reasons) in enumerate(answers):
        expect("threads get the same scores", np.array_equal(scores, alone[number % 2][0]))
        expect("threads get the same reasons", reasons == alone[number % 2][1])


def check_proposals(make: MakeEngine, encoder: TextEncoder) -> None:
    """Proposals are distinct rows of the market, and the evident receiver is among them where there are any."""
    case = sample(encoder)
    engine = fitted(make, case)
    expect_proposes(engine, case.built.market, case.offers)
    for count in (3, 10_000):
        proposed = engine.propose(case.built.market, case.obvious, count)
        expect(f"the evident receiver is among {count} a criterion", not len(proposed) or case.best in proposed)


def check_learns(make: MakeEngine, encoder: TextEncoder) -> None:
    """The evident receiver is among the first three companies, and there is a reason for it."""
    case = sample(encoder)
    engine, market = fitted(make, case), case.built.market
    firms = np.flatnonzero(~market.receivers.sector)
    scores = engine.score(market, case.obvious, firms)[0]
    better = int((scores > scores[firms == case.best]).sum())
    expect(f"the evident receiver is among the first three companies, not behind {better}", better < 3)
    expect("the evident receiver has a reason", bool(engine.explain(market, case.obvious, 0, case.best)))


def check_reasons(make: MakeEngine, encoder: TextEncoder) -> None:
    """Every pair can be explained in sentences of known kinds, strongest first, the same each time and among others."""
    case = sample(encoder)
    engine = fitted(make, case)
    market = case.built.market
    expect_explains(engine, market, case.offers, range(0, len(market.receivers), 3))
    again = [engine.explain(market, case.obvious, 0, case.best) for _ in range(2)]
    expect("reasons are the same each time", again[0] == again[1])
    rows = np.arange(0, len(market.receivers), 7)
    for offer in range(0, len(case.offers), 5):
        together = engine.explain_all(market, case.offers, offer, rows)
        alone = [engine.explain(market, case.offers, offer, row) for row in rows.tolist()]
        expect_same_reasons(together, alone, f"offer {offer} is explained with several receivers as with each")
    expect("nobody needs no reasons", engine.explain_all(market, case.offers, 0, rows[:0]) == [])


def check_contributions(make: MakeEngine, encoder: TextEncoder) -> None:
    """Where an engine tells shares of its score, they and a constant add up to the logit of the score."""
    case = sample(encoder)
    engine = fitted(make, case)
    shares = getattr(engine, "contributions", None)
    if shares is None:
        return
    scores = np.clip(all_scores(engine, case).astype(np.float64), 1e-7, 1 - 1e-7)
    gaps = [
        np.log(scores[offer, row] / (1 - scores[offer, row]))
        - sum(shares(case.built.market, case.offers, offer, row).values())
        for offer in (0, 3, 9)
        for row in {case.best, 0, 17, len(case.built.market.receivers) - 1}
    ]
    expect(f"the rest is a constant, not {min(gaps)} to {max(gaps)}", max(gaps) - min(gaps) < 1e-2)


def check_search_space(make: MakeEngine, encoder: TextEncoder) -> None:
    """Defaults lie within what may be searched, and are what an engine uses when nothing is given."""
    case, space = sample(encoder), make().search_space()
    for name, param in space.items():
        if param.choices:
            expect(f"the default of {name} is a choice", param.default in param.choices)
            continue
        expect(f"{name} has bounds", param.low is not None and param.high is not None)
        low, high = float(param.low or 0), float(param.high or 0)
        expect(f"the default of {name} lies within its bounds", low <= float(param.default) <= high and low < high)
        expect(f"the logarithm of {name} exists", low > 0 or not param.log)
    spelled, engine = make(), fitted(make, case)
    spelled.fit(case.snapshot, {name: param.default for name, param in space.items()}, 0)
    expect("defaults are used", np.array_equal(all_scores(spelled, case), all_scores(engine, case)))


def check_refuses_parameters(make: MakeEngine, encoder: TextEncoder) -> None:
    """A parameter that is unknown or out of bounds is refused by name, and nothing is fitted."""
    case, engine = sample(encoder), make()
    bad: list[tuple[str, object]] = [("no_such_parameter", 1)]
    for name, param in engine.search_space().items():
        bad += [(name, "no such choice"), (name, None), (name, float("nan"))]
        bad += [] if param.choices else [(name, float("inf")), (name, float("-inf")), (name, True)]
        bad += [] if param.low is None else [(name, param.low - 1)]
        bad += [] if param.high is None else [(name, param.high + 1)]
    for name, value in bad:
        given = {name: value}
        expect_refused(InvalidInputError, name, lambda given=given: engine.fit(case.snapshot, given))  # type: ignore[misc]  # a bound default
    expect_refused(NotFittedError, engine.name, lambda: engine.score(case.built.market, case.offers))


def check_faithful(make: MakeEngine, encoder: TextEncoder) -> None:
    """A loaded engine answers exactly as the saved one, also after being saved again."""
    for case in (sample(encoder), sample(encoder, exchanges=False)):
        engine = fitted(make, case)
        with new_folder() as folder:
            engine.save(folder / "first")
            loaded = loaded_again(engine, folder / "first", encoder)
            loaded.save(folder / "second")
            answers = [engine, loaded, loaded_again(engine, folder / "second", encoder)]
        for twin in answers[1:]:
            expect("scores survive", np.array_equal(all_scores(twin, case), all_scores(engine, case)))
            reasons = [each.explain(case.built.market, case.obvious, 0, case.best) for each in (engine, twin)]
            expect("reasons survive", reasons[0] == reasons[1])
            proposed = [each.propose(case.built.market, case.obvious, 4) for each in (engine, twin)]
            expect("proposals survive", set(proposed[0].tolist()) == set(proposed[1].tolist()))


def check_files_are_safe(make: MakeEngine, encoder: TextEncoder) -> None:
    """Only data is written: JSON, text, parquet, safetensors; nothing that runs when it is read."""
    case = sample(encoder)
    with new_folder() as folder:
        fitted(make, case).save(folder / "model")
        files = sorted((folder / "model").rglob("*"))
        expect(
            "something is written, nothing outside the folder",
            [*folder.iterdir()] == [folder / "model"] and bool(files),
        )
        for file in files:
            expect(f"{file.name} is of a safe kind", file.is_file() and file.suffix in SAFE_FILES)
            content = file.read_bytes()
            expect(
                f"{file.name} is no pickle and no archive",
                not content.startswith((b"\x80", b"PK\x03\x04", b"\x1f\x8b")),
            )
            if file.suffix in {".json", ".txt"}:
                content.decode("utf-8")


def check_refuses_bad_files(make: MakeEngine, encoder: TextEncoder) -> None:
    """A file that is missing, cut, of another version or not what it was is refused; never a wrong score."""
    case = sample(encoder)
    engine = fitted(make, case)
    with new_folder() as folder:
        expect_refused(EngineError, "", lambda: loaded_again(engine, folder / "absent", encoder))
        engine.save(folder)
        whole = {file: file.read_bytes() for file in sorted(folder.iterdir())}
        for file, content in whole.items():
            for damage, bad in damages(content):
                file.unlink()
                if bad is not None:
                    file.write_bytes(bad)
                expect_refused_or_equal(engine, folder, case, encoder, f"{file.name}, {damage}")
                file.write_bytes(content)
            if file.suffix == ".json":
                for other in other_versions(json.loads(content)):
                    file.write_text(json.dumps(other), encoding="utf-8")
                    expect_refused(EngineError, str(folder), lambda: loaded_again(engine, folder, encoder))
                file.write_bytes(content)
        expect(
            "whole again, it loads",
            np.array_equal(all_scores(loaded_again(engine, folder, encoder), case), all_scores(engine, case)),
        )


def check_pure(make: MakeEngine, encoder: TextEncoder) -> None:
    """Fitting and answering leave market and offers as they were."""
    case, untouched = sample(encoder), sample(encoder)
    engine = fitted(make, case)
    market, rows = case.built.market, np.asarray([5, 2, 9], dtype=np.intp)
    engine.score(market, case.offers)
    engine.score(market, case.offers, rows)
    engine.propose(market, case.obvious, 5)
    engine.explain(market, case.offers, 2, case.best)
    parts = (
        (market.receivers, untouched.built.market.receivers),
        (market.precedents, untouched.built.market.precedents),
    )
    for now, before in (*parts, (case.offers, untouched.offers), (case.obvious, untouched.obvious)):
        for column in fields(now):
            expect(f"{column.name} is untouched", same(getattr(now, column.name), getattr(before, column.name)))
    expect("groups are untouched", np.array_equal(case.built.groups, untouched.built.groups))
    expect("rows are untouched", rows.tolist() == [5, 2, 9])


ENGINE_CHECKS: tuple[EngineCheck, ...] = (
    check_refuses_before_fit,
    check_deterministic,
    check_total,
    check_empty,
    check_thin_markets,
    check_rows,
    check_rows_are_read_anew,
    check_batches,
    check_threads,
    check_proposals,
    check_learns,
    check_reasons,
    check_contributions,
    check_search_space,
    check_refuses_parameters,
    check_faithful,
    check_files_are_safe,
    check_refuses_bad_files,
    check_pure,
)
