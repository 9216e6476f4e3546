import json
import threading

import pytest

from ism.domain.errors import ArtifactError, ConflictError, NotFoundError


def served(registry):
    """What the pointer's version says, read from checked files."""
    version = next(v for v in registry.versions() if v.version_id == registry.deployment("matching").champion)
    return json.loads((registry.folder_of(version) / "engine.json").read_text())["model"]


def test_promotion_and_rollback_move_the_pointer_and_train_nothing(registry, make_version):
    one, two = make_version(1), make_version(2)
    registry.promote(one, "ada", "first")
    registry.promote(two, "ada", "better")
    assert served(registry) == 2
    registry.rollback("matching", "ada", "complaints")
    assert served(registry) == 1
    assert [(e.action, e.to_version, e.actor) for e in registry.ledger("matching")] == [
        ("promote", one.version_id, "ada"),
        ("promote", two.version_id, "ada"),
        ("rollback", one.version_id, "ada"),
    ]
    assert registry.promote(one, "ada", "again") == registry.deployment("matching")  # nothing to do
    assert len(registry.versions()) == 2


@pytest.mark.parametrize("gate", ["HOLD", "REJECT"])
def test_only_what_passed_the_gate_is_promoted(registry, make_version, gate):
    with pytest.raises(ConflictError, match=gate):
        registry.promote(make_version(1, gate=gate), "ada", "please")
    assert registry.deployment("matching").champion is None


def test_a_corrupt_version_is_refused_by_its_digest_and_the_champion_stays(registry, make_version, blobs, tmp_path):
    one, two = make_version(1), make_version(2)
    registry.promote(one, "ada", "first")
    registry.promote(two, "ada", "better")
    digest = one.files["engine.json"]
    (tmp_path / "blobs" / digest[:2] / digest).write_text('{"model": 666}')
    (tmp_path / "serving" / one.artifact / "engine.json").write_text('{"model": 666}')
    with pytest.raises(ArtifactError, match=digest):
        registry.rollback("matching", "ada", "complaints")
    assert served(registry) == 2
    assert len(registry.ledger("matching")) == 2


def test_files_that_were_changed_where_they_are_used_are_taken_out_anew(registry, make_version, tmp_path):
    one = make_version(1)
    registry.promote(one, "ada", "first")
    (tmp_path / "serving" / one.artifact / "engine.json").write_text('{"model": 666}')
    assert served(registry) == 1


def test_of_two_promoters_who_saw_the_same_one_gets_a_conflict(registry, make_version):
    versions, ready, results = [make_version(1), make_version(2)], threading.Barrier(2), []

    def promote(version):
        ready.wait()
        try:
            registry.promote(version, "ada", "race", generation=0)
            results.append("won")
        except ConflictError:
            results.append("conflict")

    threads = [threading.Thread(target=promote, args=(version,)) for version in versions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == ["conflict", "won"]


def test_a_challenger_at_a_time(registry, make_version):
    one, two, three = make_version(1), make_version(2), make_version(3)
    registry.promote(one, "ada", "first")
    registry.shadow(two, "job", "staged")
    with pytest.raises(ConflictError, match="shadow"):
        registry.canary(three, 0.1, "job", "impatient")
    canary = registry.canary(two, 0.1, "job", "shadow was fine")
    assert (canary.champion, canary.challenger, canary.share) == (one.version_id, two.version_id, 0.1)
    assert registry.canary(two, 0.1, "job", "again").generation == canary.generation
    assert registry.withdraw(two, "job", "harm").challenger is None
    assert served(registry) == 1


def test_a_version_that_never_served_cannot_be_returned_to(registry, make_version):
    one, two = make_version(1), make_version(2)
    with pytest.raises(ConflictError, match="nothing to return from"):
        registry.rollback("matching", "ada", "why not")
    registry.promote(one, "ada", "first")
    with pytest.raises(ConflictError, match="never champion"):
        registry.rollback("matching", "ada", "why not", to=two)


def test_before_the_first_champion_served_the_engine_of_every_start(registry, make_version):
    one = make_version(1)
    registry.promote(one, "ada", "first")
    assert registry.rollback("matching", "ada", "complaints").champion is None
    assert registry.rollback("matching", "ada", "a mistake").champion == one.version_id


def test_a_change_by_somebody_who_saw_another_state_is_refused(registry, make_version):
    one, two = make_version(1), make_version(2)
    seen = registry.promote(one, "ada", "first").generation
    registry.canary(two, 0.1, "job", "fine", generation=seen)
    for change in (
        lambda: registry.withdraw(two, "job", "harm", generation=seen),
        lambda: registry.shadow(two, "job", "again", generation=seen),
        lambda: registry.rollback("matching", "job", "alarm", generation=seen),
    ):
        with pytest.raises(ConflictError):
            change()


def test_retention_keeps_what_serves_and_forgets_no_lineage(registry, make_version, blobs):
    versions = [make_version(number) for number in range(6)]
    registry.promote(versions[0], "ada", "first")
    registry.promote(versions[1], "ada", "better")
    gone = registry.retire("matching", keep=2)
    assert sorted(v.number for v in gone) == [3, 4]
    assert len(registry.versions()) == 6
    assert set(blobs.digests()) == {d for n in (0, 1, 4, 5) for d in versions[n].files.values()}
    with pytest.raises(ArtifactError, match="deleted"):
        registry.folder_of(next(v for v in registry.versions() if v.number == 3))
    registry.rollback("matching", "ada", "still possible")
    assert served(registry) == 0


def test_versions_are_found_by_number_or_identifier_and_compared(registry, make_version):
    one, two = make_version(1), make_version(2, gate="HOLD")
    assert registry.find("matching", "v2") == registry.find("matching", two.version_id[:8]) == two
    with pytest.raises(NotFoundError):
        registry.find("matching", "9")
    found = registry.diff(one, two)
    assert found["params.n"] == {"from": 1, "to": 2}
    assert found["gate"] == {"from": "PASS", "to": "HOLD"}
    assert "snapshot" not in found
