import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from ism.domain.errors import InvalidInputError
from ism.domain.market import Exchange
from ism.engines.evidence import Evidence, StoreEvidence
from ism.engines.snapshot_files import read_snapshot
from ism.engines.split import SplitRule
from ism.retraining.snapshot import EVIDENCE, WrittenSnapshot, evidence_frame, make_snapshot, open_snapshot
from ism.retraining.validate import problems
from ism.testing.history import history
from ism.testing.sample import WordEncoder

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
RULE = SplitRule(AS_OF)


class Rows:
    """Evidence that is given."""

    def __init__(self, rows, order=1):
        self._rows, self._order = rows, order

    def companies(self):
        return history(3)[0][:: self._order]

    def listings(self):
        return []

    def evidence(self):
        return self._rows[:: self._order]


def day(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def row(number, happened="2020-01-01", donor=None, taker=None, **changes):
    kind, place = number % 8, number // 8
    exchange = Exchange(
        f"e{number:03}", donor or f"donor-{kind}-{place}", taker or f"taker-{kind}-{place}", "ash", ewc="10 01 02"
    )
    when = day(happened) if happened else None
    return Evidence(exchange, when, when and when + timedelta(days=90), **changes)


def rows(count=20):
    return [row(number, f"{2000 + number}-01-01") for number in range(count)]


def parts(made):
    frame = pl.read_parquet(made.folder / EVIDENCE)
    return dict(zip(frame["exchange_id"], frame["part"], strict=True))


def test_the_store_s_exchanges_are_split_in_time(store, tmp_path):
    companies, exchanges = history()
    store.bulk_upsert([*companies, *exchanges])
    made = make_snapshot(StoreEvidence(store, timedelta(days=90)), WordEncoder(), RULE, tmp_path)
    assert made.counts["train"] > 60
    assert 15 <= made.counts["fresh"] <= 30
    train, fresh = read_snapshot(made.train), read_snapshot(made.fresh)
    assert len(train.market.precedents) == made.counts["train"]
    assert train.times.max() < fresh.times.min()
    assert problems(made) == []


def test_equal_contents_have_equal_digests_in_any_order(tmp_path):
    one = make_snapshot(Rows(rows()), WordEncoder(), RULE, tmp_path / "a")
    other = make_snapshot(Rows(rows(), order=-1), WordEncoder(), RULE, tmp_path / "b")
    changed = make_snapshot(Rows(rows(19)), WordEncoder(), RULE, tmp_path / "c")
    assert one.digest == other.digest != changed.digest
    assert open_snapshot(tmp_path / "a", one.digest) == one
    assert make_snapshot(Rows(rows()), WordEncoder(), RULE, tmp_path / "a") == one
    assert [path.name for path in (tmp_path / "a").iterdir()] == [one.digest]


def test_what_has_not_matured_waits_and_what_is_not_dated_is_known(tmp_path):
    given = [*rows(16), row(16, "2025-12-01"), row(17, None)]
    made = make_snapshot(Rows(given), WordEncoder(), RULE, tmp_path)
    found = parts(made)
    assert (found["e016"], found["e017"]) == ("gap", "train")
    assert problems(made) == []


def test_between_the_cutoff_and_what_it_takes_to_know_is_a_gap(tmp_path):
    cutoff = day("2015-02-01")
    given = [*rows(14), row(14, "2015-01-01"), row(15, "2016-01-01"), row(16, "2017-01-01")]
    found = parts(make_snapshot(Rows(given), WordEncoder(), replace(RULE, cutoff=cutoff), tmp_path))
    assert (found["e013"], found["e014"], found["e015"]) == ("train", "gap", "fresh")


def test_partners_that_are_known_are_nothing_fresh_and_undated_ones_do_not_leak(tmp_path):
    given = [
        *rows(14),
        row(20, "2019-01-01", "donor-0-0", "taker-0-0"),  # e000 again
        row(21, "2019-01-01", "donor-1-2", "taker-1-3"),
        row(22, None, "donor-1-2", "taker-1-3"),
        row(23, "2019-06-01"),
    ]  # fmt: skip
    made = make_snapshot(Rows(given), WordEncoder(), replace(RULE, cutoff=day("2016-01-01")), tmp_path)
    found = parts(made)
    assert (found["e020"], found["e021"], found["e022"]) == ("gap", "fresh", "gap")
    assert problems(made) == []


@pytest.mark.parametrize(("name", "value"), [("fresh_share", 0.0), ("fresh_share", 1.0), ("maturity_days", -1.0)])
def test_a_rule_that_cuts_nothing_is_refused(name, value):
    with pytest.raises(InvalidInputError, match=name):
        replace(RULE, **{name: value})


def tampered(made, change, tmp_path):
    """The snapshot with its evidence changed and sealed again, as a faulty writer would."""
    from ism.retraining import snapshot

    frame = change(pl.read_parquet(made.folder / EVIDENCE))
    frame.write_parquet(made.folder / EVIDENCE)
    about = json.loads((made.folder / "about.json").read_text())
    about["digests"][EVIDENCE] = snapshot.hashlib.sha256((made.folder / EVIDENCE).read_bytes()).hexdigest()
    (made.folder / "about.json").write_text(json.dumps(about))
    return WrittenSnapshot(made.digest, made.folder, made.learnt, made.cutoff, made.counts)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: f.drop("known_at"), "known_at is missing"),
        (lambda f: f.with_columns(delivered_tonnes=1.0), "delivered_tonnes is unknown"),
        (lambda f: f.with_columns(pl.col("quantity_t_per_year").cast(pl.String)), "quantity_t_per_year is String"),
        (lambda f: f.with_columns(part=pl.lit("train")), "'fresh' is empty"),
        (lambda f: f.with_columns(part=pl.lit("fresh")), "'train' is empty"),
        (lambda f: f.with_columns(from_company=pl.lit("one")), "come from one company"),
        (lambda f: f.with_columns(recorded_at=pl.col("happened_at") + pl.duration(days=1)), "written down after"),
        (lambda f: f.with_columns(known_at=pl.lit(AS_OF)), "known only after the cutoff"),
        (lambda f: f.with_columns(happened_at=pl.lit(AS_OF)), "happened only after the cutoff"),
        (lambda f: f.with_columns(happened_at=pl.lit(day("1990-01-01"))), "happened before the cutoff"),
        (lambda f: f.with_columns(from_company=pl.lit("a"), to_company=pl.lit("b")), "learnt from, too"),
    ],
)  # fmt: skip
def test_what_must_not_be_learnt_from_is_refused_with_the_reason(change, reason, tmp_path):
    made = make_snapshot(Rows(rows()), WordEncoder(), RULE, tmp_path)
    assert problems(made) == []
    assert any(reason in found for found in problems(tampered(made, change, tmp_path)))


def test_a_feature_that_exists_only_after_the_outcome_is_refused(tmp_path):
    """A quantity that is written down on delivery: filled for every outcome, empty for what is still open."""

    def leaking(frame):
        done = frame.with_columns(quantity_t_per_year=pl.lit(5.0))
        young = pl.concat([done] * 2).with_columns(
            quantity_t_per_year=pl.lit(None, pl.Float64),
            known_at=pl.lit(None, frame.schema["known_at"]),
            part=pl.lit("gap"),
        )
        return pl.concat([done, young])

    made = make_snapshot(Rows(rows(24)), WordEncoder(), RULE, tmp_path)
    found = problems(tampered(made, leaking, tmp_path))
    assert any("quantity_t_per_year is filled only where an outcome is known" in one for one in found)


@pytest.mark.parametrize("name", ["about.json", EVIDENCE, "train/precedents.parquet", "fresh/receivers.parquet"])
def test_a_changed_file_is_refused(name, tmp_path):
    made = make_snapshot(Rows(rows()), WordEncoder(), RULE, tmp_path)
    with (made.folder / name).open("ab") as file:
        file.write(b" ")
    os.sync()
    if name == "about.json":
        with pytest.raises(InvalidInputError, match="seal was changed"):
            open_snapshot(tmp_path, made.digest)
    else:
        assert len(problems(made)) == 1
    with pytest.raises(InvalidInputError, match="cannot be read"):
        open_snapshot(tmp_path, "0" * 64)


def test_the_columns_are_those_that_are_declared():
    assert evidence_frame([], []).columns == evidence_frame([row(1)], ["train"]).columns
