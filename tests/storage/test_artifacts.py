import json
import pickle

import pytest

from ism.domain.errors import ArtifactError
from ism.engines.files import folder_digest
from ism.engines.matching import MatchingEngine
from ism.storage.artifacts import LocalBlobs, artifact_digest, check_safe, pack, sha256, unpack
from ism.testing.sample import WordEncoder, sample


@pytest.fixture
def blobs(tmp_path):
    return LocalBlobs(tmp_path / "blobs")


@pytest.fixture
def folder(tmp_path):
    """A small saved model."""
    made = tmp_path / "model"
    (made / "part").mkdir(parents=True)
    (made / "engine.json").write_text('{"a": 1}')
    (made / "part.json").write_text("[]")
    (made / "part" / "b.json").write_text("2")
    return made


def test_there_and_back(folder, blobs, tmp_path):
    files = pack(folder, blobs)
    digest = artifact_digest(files)
    assert digest == folder_digest(folder)
    unpack(files, digest, blobs, tmp_path / "again")
    assert folder_digest(tmp_path / "again") == digest
    assert set(blobs.digests()) == set(files.values())
    assert pack(folder, blobs) == files  # keeping the same again changes nothing


def test_a_real_engine_is_kept_and_scores_the_same(blobs, tmp_path):
    taught = sample(WordEncoder())
    engine = MatchingEngine()
    engine.fit(taught.snapshot)
    engine.save(tmp_path / "engine")
    files = pack(tmp_path / "engine", blobs)
    unpack(files, artifact_digest(files), blobs, tmp_path / "loaded")
    loaded = MatchingEngine.load(tmp_path / "loaded")
    assert (loaded.score(taught.built.market, taught.offers) == engine.score(taught.built.market, taught.offers)).all()


def test_a_changed_or_missing_file_is_refused_by_its_digest(folder, blobs, tmp_path):
    files = pack(folder, blobs)
    victim = files["engine.json"]
    path = tmp_path / "blobs" / victim[:2] / victim
    path.write_text('{"a": 2}')
    with pytest.raises(ArtifactError, match=f"{victim}.*changed"):
        unpack(files, artifact_digest(files), blobs, tmp_path / "again")
    path.unlink()
    with pytest.raises(ArtifactError, match=f"{victim}.*missing"):
        unpack(files, artifact_digest(files), blobs, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    assert [found for found in tmp_path.iterdir() if found.name.startswith(".draft")] == []
    assert blobs.put(b'{"a": 1}') == victim  # keeping it again heals it


def test_a_file_that_was_put_in_place_of_another_is_refused(folder, blobs, tmp_path):
    files = pack(folder, blobs)
    digest = artifact_digest(files)
    swapped = {**files, "engine.json": files["part.json"]}
    with pytest.raises(ArtifactError, match=digest):
        unpack(swapped, digest, blobs, tmp_path / "again")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("model.pkl", pickle.dumps({"a": 1})),
        ("model.json", pickle.dumps({"a": 1})),
        ("model.txt", pickle.dumps({"a": 1}, protocol=0)),
        ("weights.safetensors", pickle.dumps({"a": 1})),
        ("model.parquet", b"PAR1" + pickle.dumps({"a": 1})),
        ("model.pt", b"PK\x03\x04"),
        ("engine", b"{}"),
    ],
)
def test_what_could_run_code_is_refused_whatever_it_is_called(name, data, blobs, tmp_path):
    with pytest.raises(ArtifactError, match=name):
        check_safe(name, data)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / name).write_bytes(data)
    with pytest.raises(ArtifactError, match=name):
        pack(tmp_path / "model", blobs)
    files = {name: blobs.put(data)}
    with pytest.raises(ArtifactError, match=name):
        unpack(files, artifact_digest(files), blobs, tmp_path / "out")


@pytest.mark.parametrize(
    "name", ["../x.json", "/etc/x.json", "a/../../x.json", "a//x.json", "~/x.json", "a\\b.json", ""]
)
def test_a_name_that_leads_elsewhere_is_refused(name, blobs, tmp_path):
    files = {name: blobs.put(b"{}")}
    with pytest.raises(ArtifactError, match="folder"):
        unpack(files, artifact_digest(files), blobs, tmp_path / "deep" / "out")
    assert not list(tmp_path.rglob("x.json"))


def test_a_link_is_refused(folder, blobs, tmp_path):
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    (folder / "link.json").symlink_to(secret)
    with pytest.raises(ArtifactError, match="link"):
        pack(folder, blobs)


def test_what_is_no_digest_reaches_no_file(blobs):
    with pytest.raises(ArtifactError, match="no SHA-256"):
        blobs.get("../../etc/passwd")
    with pytest.raises(ArtifactError, match="missing"):
        blobs.get(sha256(json.dumps(1).encode()))
