"""The simulated market: what is stated of it is so, and it never meets real data."""

import json
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from typer.testing import CliRunner

from ism.app.cli.root import app
from ism.app.simulation import DATASET
from ism.app.simulation.behaviour import Crowd, Habits, Shown, actor_name
from ism.app.simulation.board import TOP
from ism.app.simulation.chart import svg_chart, text_chart
from ism.app.simulation.desk import Clock, HttpDesk, StoreDesk
from ism.app.simulation.play import play, static_quality
from ism.app.simulation.run import CHART, START, simulate
from ism.app.simulation.scene import open_scene, prepare, settings_for
from ism.app.simulation.world import World, draw_world
from ism.domain.errors import ConfigurationError, ConflictError
from ism.settings import Settings
from ism.storage import open_store
from ism.storage.opening import SIMULATED_MARK

LINES = [Shown(f"r{rank}", useful=rank % 2 == 1) for rank in range(1, 11)]


def told(crowd, actor, lists):
    """Events of one actor on the same list, again and again."""
    return [event for _ in range(lists) for event in crowd.react(actor, LINES, START)]


def outcomes(events, outcome):
    return [event for event in events if event["data"].get("outcome") == outcome]


# --- people ---------------------------------------------------------------------------------------


def test_what_is_seen_falls_with_the_rank():
    opened = outcomes(told(Crowd(0), 0, 2000), "opened")
    for rank in (1, 2, 5, 10):
        share = sum(event["data"]["recommendation_id"] == f"r{rank}" for event in opened) / 2000
        assert share == pytest.approx(1 / rank, abs=4 * np.sqrt(0.25 / 2000))


def test_honest_people_are_mostly_right_and_take_their_time():
    events = told(Crowd(1), 0, 3000)
    accepted = outcomes(events, "accepted")
    right = np.mean([int(event["data"]["recommendation_id"][1:]) % 2 == 1 for event in accepted])
    assert 0.85 < right < 0.97  # r1 is seen most, and useful; one answer in ten is wrong
    days = [(datetime.fromisoformat(event["event_time"]) - START) / timedelta(days=1) for event in accepted]
    assert np.median(days) == pytest.approx(Habits().median_days, rel=0.1)
    assert max(days) <= Habits().most_days
    assert {event["data"]["rating"] for event in events if event["type"] == "user_feedback"} == {1, 5}


def test_systems_tell_the_truth():
    for event in told(Crowd(2), 0, 500):
        if event["source"] == "external":
            useful = int(event["data"]["recommendation_id"][1:]) % 2 == 1
            assert event["data"]["outcome"] == ("delivered" if useful else "failed")
            assert "actor_id" not in event["data"]


def test_hostile_people_say_the_opposite_of_every_line_within_a_day():
    crowd = Crowd(3, hostile=0.5)
    events = [event for event in crowd.react(0, LINES, START) if event["source"] == "user"]
    said = {
        event["data"]["recommendation_id"]: event["data"].get("outcome")
        for event in events
        if "outcome" in event["data"]
    }
    assert said == {line.recommendation_id: "rejected" if line.useful else "accepted" for line in LINES}
    assert max(datetime.fromisoformat(event["event_time"]) for event in events) <= START + timedelta(days=1)
    assert len({event["data"].get("feedback") for event in events} - {None}) == 1
    assert (crowd.hostile, actor_name(0)) == (30, "simulated-actor-0")


def test_others_have_the_same_luck_beside_hostile_people():
    clean, mixed = Crowd(4), Crowd(4, hostile=0.2)
    assert clean.requests(50) == mixed.requests(50)
    for actor in (0, 59, 1, 58):  # the first ones are hostile
        ours, theirs = clean.react(actor, LINES, START), mixed.react(actor, LINES, START)
        if actor >= mixed.hostile:
            plain = [(event["event_time"], event["data"]) for event in ours]
            assert plain == [(event["event_time"], event["data"]) for event in theirs]


# --- measure and chart ------------------------------------------------------------------------------


def test_ndcg_by_hand():
    useful = np.array([[True, False, True, False], [False] * 4])
    world = World(stage=None, useful=useful)
    found = world.ndcg(np.array([[1, 0, -1], [0, 1, 2]]))
    best = 1 + 1 / np.log2(3)
    assert found[0] == pytest.approx((1 / np.log2(3)) / best)
    assert np.isnan(found[1])  # nobody can use it
    assert world.quality(np.array([[0, 2, 1], [0, 1, 2]])) == pytest.approx(1.0)


@pytest.mark.parametrize("values", [[0.3, 0.32, 0.35, 0.34], [0.3, 0.3]])
def test_charts_show_every_value(values):
    text = text_chart(values, 0.3, "day")
    assert text.count("●") == len(values)
    assert "static" in text
    drawing = ET.fromstring(svg_chart(values, 0.3, "A & B (simulated)", "day"))
    line = next(node for node in drawing.iter() if node.tag.endswith("polyline"))
    assert len(line.attrib["points"].split()) == len(values)
    assert "A & B (simulated)" in "".join(drawing.itertext())


# --- apart from real data ---------------------------------------------------------------------------


def test_a_folder_with_anything_else_is_refused(tmp_path):
    (tmp_path / "ism.sqlite3").write_text("real")
    with pytest.raises(ConflictError, match="no simulation made"):
        prepare(tmp_path)
    refused = CliRunner().invoke(app, ["simulate", "--days", "1", "--folder", str(tmp_path)])
    assert refused.exit_code == 1
    assert (tmp_path / "ism.sqlite3").read_text() == "real"
    assert not (tmp_path / SIMULATED_MARK).exists()


def test_nothing_real_opens_a_simulated_folder(tmp_path):
    prepare(tmp_path / "market")
    with pytest.raises(ConfigurationError, match="holds a simulated market"):
        open_store(Settings(data_dir=tmp_path / "market", _env_file=None))


def test_a_simulation_opens_nothing_real(tmp_path, monkeypatch):
    with pytest.raises(ConfigurationError, match="a folder of its own"):
        open_store(Settings(data_dir=tmp_path, _env_file=None), simulated=True)
    monkeypatch.setenv("DATABASE_URL", "postgresql://somebody@real.example/market")
    monkeypatch.setenv("ISM_DATA_DIR", str(tmp_path / "real"))
    settings = settings_for(tmp_path / "market")
    assert (settings.database_url, settings.data_dir) == (None, tmp_path / "market")
    prepare(tmp_path / "market")
    with pytest.raises(ConfigurationError, match="a folder of its own"):
        open_store(Settings(data_dir=tmp_path / "market", _env_file=None), simulated=True)


# --- the real system --------------------------------------------------------------------------------


@pytest.fixture
def folder(real_application, tmp_path):
    """A folder for a simulation, with engines and vectors that were made already."""
    made = tmp_path / "market"
    prepare(made)
    for name in ("models", "cache"):
        shutil.copytree(real_application.settings.data_dir / name, made / name)
    return made


def labels_by_event(store, loop):
    """Event -> rank, label and trust of the recommendation that it is about, whatever that is called."""
    found = loop.labels()
    columns = (found.recommendation_id, found.rank, found.label, found.trust_weight.round(5))
    label = {name: (rank, value, trust) for name, rank, value, trust in zip(*columns, strict=True)}
    about = {item.event.event_id: item.event.data["recommendation_id"] for item in store.feedback.events(limit=10_000)}
    return {event: label[name] for event, name in about.items() if name in label}


def test_both_ways_give_the_same_lists_and_labels(folder, tmp_path):
    """Over HTTP, and straight at the parts with precomputed scores, as the benchmark does it."""
    habits, days = Habits(requests=12), 4  # what is held out of a learnt model hangs on names, which differ
    clock = Clock(START)
    with open_scene(folder, clock) as scene:
        world = draw_world(scene.stage, 0)
        with HttpDesk(scene.application, scene.stage) as desk:
            ours = list(play(desk, scene.board, world, Crowd(0, 0.2, habits), clock, days))
            labels = labels_by_event(scene.application.store, scene.application.feedback.loop)
        assert set(scene.application.store.datasets()) == {DATASET}
        for stored in scene.application.store.feedback.events(limit=20):
            assert stored.event.metadata["dataset"] == DATASET
        again = tmp_path / "again"
        prepare(again)
        clock = Clock(START)
        with open_store(settings_for(again), simulated=True) as store:
            desk = StoreDesk(store, settings_for(again), scene.board, clock, scene.application.encoder)
            theirs = list(play(desk, scene.board, world, Crowd(0, 0.2, habits), clock, days))
            others = labels_by_event(store, desk.feedback.loop)
            desk.close()
    assert [day.told for day in ours] == [day.told for day in theirs]
    assert ours[0].quality == static_quality(scene.board, world)
    assert labels
    assert labels == others
    assert [day.model for day in ours] == [day.model for day in theirs]
    np.testing.assert_allclose([day.quality for day in ours], [day.quality for day in theirs], atol=1e-6)


def test_lists_are_those_of_the_matching_service(folder):
    with open_scene(folder, Clock(START)) as scene:
        with HttpDesk(scene.application, scene.stage) as desk:
            final, sure = scene.board.fused(desk.active()[1])
        ranking = scene.board.ranking(final)
        for number in range(0, len(scene.stage.offers), 40):
            shown = scene.application.match(scene.stage.offers[number], TOP).matches
            rows = [row for row in ranking[number] if row >= 0]  # ties may stand in another order
            np.testing.assert_allclose([match.final_score for match in shown], final[number, rows], atol=1e-6)
            at = [scene.stage.built.row_of[match.receiver.id] for match in shown]
            np.testing.assert_allclose([match.confidence for match in shown], sure[number, at], atol=1e-4)


def test_the_command_says_that_all_is_simulated_and_sums_up(folder):
    done = CliRunner().invoke(
        app, ["simulate", "--days", "3", "--hostile", "0.2", "--part", "loop", "--folder", str(folder)]
    )
    assert done.exit_code == 0, done.output
    assert "SIMULATED market" in done.stderr
    assert "nDCG@10 (simulated)" in done.stdout
    assert done.stdout.count("●") == 4
    assert "Mean trust of actors: honest" in done.stdout
    assert "Everything above is simulated." in done.stdout
    assert "(simulated)" in (folder / CHART).read_text()


@pytest.mark.slow
def test_sixty_days_teach_the_system(folder):
    seen = []
    found = simulate(folder, 60, 0, 0.1, lambda static, day: seen.append((static, day)))
    assert len(seen) == len(found.days) == 61
    assert found.days[-1].quality > found.static
    assert found.trust["hostile"] < 0.1 < found.trust["honest"]
    assert "(simulated)" in (folder / CHART).read_text()
    told = found.plain()
    assert told["simulated"] is True
    assert json.dumps(told)
    assert replace(found, days=found.days[:1]).plain()["days"][0]["number"] == 0
