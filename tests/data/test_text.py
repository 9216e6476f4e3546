import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ism.data.text import CachedEncoder, SentenceModel, bundled_model
from ism.domain.errors import ConfigurationError
from ism.testing.sample import WordEncoder

TEXTS = [
    "fly ash",
    "Coal fly ash from a power station, 50,000 t/yr (EWC 10 01 02)",
    "spent grain",
    "x",
    "Käserei-Molke, Süßmolke",
    "boues de papeterie désencrées — 35 % de matière sèche",
    "高炉水砕スラグ",
    "зола уноса",
    "♻️ recycled 🏭 plastics",
    "naïve café \u200b zero\u00a0width",
    "H2SO4 96% / NaOH (aq.) & <b>Fe</b>",
    "tab\tand\nnewline",
    "word " * 600,  # longer than the model reads
    "antidisestablishmentarianism" * 20,
]


@pytest.fixture(scope="module")
def model() -> SentenceModel:
    return SentenceModel()


# Each text's vector by sentence-transformers 6.2.0 on torch 2.13.0, told by four sums over all its components.
TOLD = [
    [-0.97558, -0.423459, 0.120077, 0.222226],
    [0.244711, -1.727601, 0.969518, 1.532454],
    [0.459622, -0.666815, -0.217604, 0.618777],
    [0.515208, -0.776317, 0.603199, 0.915753],
    [0.161413, 0.490183, 1.452686, -0.31294],
    [-0.025681, -1.083539, -0.229046, -0.286663],
    [-0.103925, -0.826304, 0.839847, 0.390173],
    [-0.44232, 0.342367, -0.051539, 0.816256],
    [0.357844, -0.538903, -0.9563, -0.299966],
    [0.885888, -0.545476, -0.059341, -0.958539],
    [-0.819528, -1.519539, 0.265919, -0.471268],
    [0.223258, 0.686517, 0.399615, 0.139357],
    [-0.141843, 0.167919, 0.257652, 0.164867],
    [-0.062142, -0.918755, 0.606197, -0.434463],
]


def test_vectors_are_those_that_sentence_transformers_gave(model):
    waves = np.cos(np.outer(np.arange(1, 385), np.arange(1, 5)))
    np.testing.assert_allclose(model.encode(TEXTS) @ waves, TOLD, atol=1e-5)


@pytest.mark.slow  # half a minute, nearly all of it to import and to warm up torch
@pytest.mark.filterwarnings("ignore")  # those of torch and its companions
def test_vectors_are_those_of_sentence_transformers(model, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", "1")
    reference = pytest.importorskip("sentence_transformers", reason="comes with the sentence model's package")
    theirs = reference.SentenceTransformer(str(bundled_model()), device="cpu").encode(TEXTS, normalize_embeddings=True)
    ours = model.encode(TEXTS)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_meaning_is_near_and_far(model):
    ash, pozzolan, cheese = model.encode(["coal fly ash", "ash from burning coal", "whey from a cheese dairy"])
    assert ash @ pozzolan > 0.7
    assert ash @ cheese < 0.4


def test_a_vector_does_not_depend_on_its_batch(model):
    texts = [text[:200] for text in TEXTS]
    together = model.encode(texts)
    np.testing.assert_allclose(together, np.concatenate([model.encode([text]) for text in texts]), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)


def test_blank_texts_are_the_zero_vector(model):
    vectors = model.encode(["", "fly ash", " \n\t "])
    assert vectors.shape == (3, 384) == (3, model.dimension)
    assert not vectors[0].any()
    assert not vectors[2].any()
    assert vectors[1].any()
    assert model.encode([]).shape == (0, 384)


def test_texts_that_are_not_unicode_do_no_harm(model):
    broken, marked = model.encode(["fly \ud83d ash", "fly ? ash"])
    np.testing.assert_allclose(broken, marked, atol=1e-6)


def test_no_network_is_needed():
    """A fresh process that can resolve and reach nothing encodes a text."""
    program = (
        "import socket\n"
        "def refuse(*_a, **_k): raise SystemExit('the network was asked')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from ism.data.text import SentenceModel\n"
        "print(SentenceModel().encode(['fly ash']).shape)\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "(1, 384)"), done.stderr


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path):
    with pytest.raises(ConfigurationError, match=r"has no config\.json"):
        SentenceModel(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    for name in ("tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ConfigurationError, match="'gpt2'"):
        SentenceModel(tmp_path)


def test_the_name_tells_models_apart(model, tmp_path: Path):
    """Models of one family differ in nothing but their weights; a shared name would mix up their cached vectors."""
    twin = tmp_path / "twin"
    twin.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (twin / name).write_bytes((bundled_model() / name).read_bytes())
    assert SentenceModel(twin).name == model.name == SentenceModel().name
    assert SentenceModel(twin, max_tokens=16).name != model.name
    weights = bytearray((twin / "model.safetensors").read_bytes())
    half = len(weights) // 2
    weights[half:] = bytes(len(weights) - half)
    (twin / "model.safetensors").write_bytes(weights)
    assert SentenceModel(twin).name != model.name


class Counting(WordEncoder):
    """Counts what it is asked to encode."""

    def __init__(self, dimension: int = 24) -> None:
        super().__init__(dimension)
        self.asked: list[str] = []

    def encode(self, texts):
        self.asked += texts
        return super().encode(texts)


def test_only_new_texts_are_encoded(tmp_path: Path):
    counting = Counting()
    cached = CachedEncoder(counting, tmp_path / "deep" / "cache.db")
    first = cached.encode(["a", "b", "a", ""])
    assert counting.asked == ["a", "b", ""]
    np.testing.assert_array_equal(first, WordEncoder(24).encode(["a", "b", "a", ""]))
    np.testing.assert_array_equal(cached.encode(["b", "c"]), WordEncoder(24).encode(["b", "c"]))
    assert counting.asked == ["a", "b", "", "c"]
    cached.close()
    cached.close()
    again = Counting()
    reopened = CachedEncoder(again, tmp_path / "deep" / "cache.db")
    np.testing.assert_array_equal(reopened.encode(["a", "b", "a", ""]), first)
    assert again.asked == []
    assert (reopened.name, reopened.dimension, reopened.encode([]).shape) == ("words-24", 24, (0, 24))


def test_another_model_does_not_read_the_vectors_of_the_first(tmp_path: Path):
    CachedEncoder(Counting(24), tmp_path / "cache.db").encode(["a"])
    other = Counting(48)
    assert CachedEncoder(other, tmp_path / "cache.db").encode(["a"]).shape == (1, 48)
    assert other.asked == ["a"]


def test_what_the_caller_does_to_a_vector_stays_with_the_caller():
    cached = CachedEncoder(WordEncoder(24))
    cached.encode(["a"])[:] = 9.0
    np.testing.assert_array_equal(cached.encode(["a"]), WordEncoder(24).encode(["a"]))


def test_memory_is_bounded():
    counting = Counting()
    cached = CachedEncoder(counting, memory_limit=3)
    texts = [str(number) for number in range(10)]
    np.testing.assert_array_equal(cached.encode(texts), WordEncoder(24).encode(texts))
    assert len(cached._memory) == 3
    cached.encode(["9", "8", "7"])
    assert len(counting.asked) == 10


@pytest.mark.parametrize("damage", ["garbage", "vector"])
def test_a_damaged_cache_only_costs_time(tmp_path: Path, damage: str):
    path = tmp_path / "cache.db"
    cached = CachedEncoder(Counting(), path)
    cached.encode(["a"])
    cached.close()
    if damage == "garbage":
        path.write_bytes(b"this is no database" * 100)
    else:
        with sqlite3.connect(path) as file:
            file.execute("UPDATE vector SET value = x'00'")
    counting = Counting()
    repaired = CachedEncoder(counting, path)
    np.testing.assert_array_equal(repaired.encode(["a"]), WordEncoder(24).encode(["a"]))
    assert counting.asked == ["a"]
    repaired.close()
    assert CachedEncoder(Counting(), path).encode(["a"]).any()


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path: Path):
    """Another process holds the file: vectors still come, and are kept once it lets go."""
    cached = CachedEncoder(Counting(), tmp_path / "cache.db")
    cached._file.execute("PRAGMA busy_timeout=10")
    holder = sqlite3.connect(tmp_path / "cache.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    np.testing.assert_array_equal(cached.encode(["a"]), WordEncoder(24).encode(["a"]))
    holder.execute("ROLLBACK")
    np.testing.assert_array_equal(cached.encode(["b"]), WordEncoder(24).encode(["b"]))
    assert holder.execute("SELECT count(*) FROM vector").fetchone() == (1,)


def test_threads_share_a_cache(tmp_path: Path):
    cached = CachedEncoder(WordEncoder(24), tmp_path / "cache.db", memory_limit=5)
    texts = [str(number) for number in range(40)]
    wrong: list[str] = []

    def ask(offset: int) -> None:
        mine = texts[offset:] + texts[:offset]
        if not np.array_equal(cached.encode(mine), WordEncoder(24).encode(mine)):
            wrong.append(mine[0])

    threads = [threading.Thread(target=ask, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text(alphabet=st.characters(exclude_categories=())), max_size=5))
def test_any_text_can_be_cached(texts):
    vectors = CachedEncoder(WordEncoder(24)).encode(texts)
    np.testing.assert_array_equal(vectors, WordEncoder(24).encode(texts))
