"""Parts of ``python -m bench fusion`` on small made-up data."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from bench import fusion
from bench.fusion_adaptive import adaptive
from ism.data.public import folder, trec7
from ism.domain.errors import InvalidInputError
from ism.fusion import lists


def made_up(count: int = 10) -> dict[str, trec7.Topic]:
    """Run 0 knows what is relevant, run 1 nothing."""
    rng = np.random.default_rng(0)
    found = {}
    for number in range(count):
        items = [f"d{item}" for item in range(40)]
        relevant = set(rng.choice(items, 6, replace=False).tolist())
        good = {item: float((item in relevant) + rng.random()) for item in items}
        bad = {item: float(rng.random()) for item in items}
        runs = [dict(sorted(run.items(), key=lambda entry: -entry[1])) for run in (good, bad)]
        found[str(number)] = trec7.Topic(runs, frozenset(relevant))
    return found


def test_average_precision_by_hand() -> None:
    """Relevant at ranks 1 and 3 of three relevant items: (1 + 2/3) / 3."""
    relevant = np.asarray([True, False, True, False])
    assert fusion.average_precision(np.arange(4), relevant, 3) == pytest.approx((1 + 2 / 3) / 3)
    assert fusion.average_precision(np.arange(4), relevant, 0) == 0.0


def test_learnt_weights_find_the_run_that_knows() -> None:
    topics = made_up()
    ranked = {name: lists.ranked_lists(topic.runs) for name, topic in topics.items()}
    found = fusion.quality(topics, ranked)
    assert found["map"]["learned"]["mean"] > found["map"]["rrf"]["mean"]
    assert found["difference"]["rrf"]["interval"][0] > 0
    assert (found["topics"], found["runs"]) == (10, 2)


def test_the_section_shows_what_was_found() -> None:
    topics = made_up(5)
    ranked = {name: lists.ranked_lists(topic.runs) for name, topic in topics.items()}
    row = {"difference": 1e-12, "ours_ms": 0.1, "ranx_ms": 3.0, "ratio": 30.0, "ratio_from_dicts": 25.0}
    found = {
        "trec7": fusion.quality(topics, ranked),
        "ranx": {"methods": {"rrf": row}, "normalisations": {"max": 0.0}},
        "pairs": {"weighted_sum": 9.0},
        "adaptive": adaptive(seeds=1),
        "coverage": {"simulated groups": [{"level": 0.9, "coverage": 0.93, "size": 4.0}]},
    }
    said = fusion.section(found, "made here")
    for words in ("| rrf | 1.0e-12 | 0.100 | 3.00 | 30 | 25 |", "made here", "| weighted_sum | 9.00 |", "fixed share"):
        assert words in said


def test_runs_and_judgements_are_read(tmp_path: Path) -> None:
    runs = tmp_path / "trec7" / "runs"
    runs.mkdir(parents=True)
    with gzip.open(tmp_path / "trec7" / "qrels.txt.gz", "wt") as file:
        file.write("1 0 a 1\n1 0 b 0\n2 0 c 1\n")
    with gzip.open(runs / "x.res.gz", "wt") as file:
        file.write("1 Q0 b 0 1.5 x\n1 Q0 a 1 2.5 x\n")
    found = trec7.topics(tmp_path)
    assert found["1"] == trec7.Topic([{"a": 2.5, "b": 1.5}], frozenset({"a"}))
    assert list(found["1"].runs[0]) == ["a", "b"]
    assert found["2"].runs == [{}]
    with gzip.open(runs / "x.res.gz", "wt") as file:
        file.write("1 Q0 b\n")
    with pytest.raises(InvalidInputError, match="line 1"):
        trec7.topics(tmp_path)
    with pytest.raises(InvalidInputError, match="public data sets"):
        trec7.topics(tmp_path / "nowhere")


@pytest.mark.public_data
def test_trec7_as_published() -> None:
    data = folder()
    if data is None or not (data / "trec7").is_dir():
        pytest.skip("the public data sets are not here")
    found = trec7.topics(data)
    assert len(found) == 25
    assert {len(topic.runs) for topic in found.values()} == {20}
    assert all(topic.relevant for topic in found.values())
