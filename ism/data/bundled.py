"""Vectors of the texts that come with the package, computed beforehand: a first start need not wait for them.

They belong to the bundled sentence model; with another model they are not used. After the knowledge base or the
demonstration market has changed, write the file again with ``python -m ism.data.bundled``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.resources import as_file, files

import numpy as np

from ism.data.text import SentenceModel, TextEncoder, Vectors

FILE = "bundled.safetensors"
_KEY_BYTES = 16


class BundledVectors:
    """Answers for bundled texts from the file, for all others from the model.

    Vectors of the file are rounded to half precision: cosines differ by less than 0.001 from the model's own.

    Args:
        encoder: computes what is not bundled.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._vectors: dict[bytes, Vectors] | None = None

    def __reduce__(self) -> tuple[type[BundledVectors], tuple[TextEncoder]]:
        """Sent to another process, it reads its vectors there."""
        return BundledVectors, (self._encoder,)

    @property
    def name(self) -> str:
        """Name of the encoder underneath."""
        return self._encoder.name

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._encoder.dimension

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape ``[len(texts), dimension]``; see `TextEncoder.encode`."""
        if self._vectors is None:
            self._vectors = _read(self._encoder)
        known, out = self._vectors, np.empty((len(texts), self.dimension), dtype=np.float32)
        keys = [_key(text) for text in texts]
        other = [row for row, key in enumerate(keys) if key not in known]
        for row, key in enumerate(keys):
            if key in known:
                out[row] = known[key]
        if other:
            out[other] = self._encoder.encode([texts[row] for row in other])
        return out


def bundled_texts() -> list[str]:
    """Every text of the package that is needed as a vector: rule materials, sector titles, the demonstration market."""
    from ism.data import demo, knowledge  # noqa: PLC0415 - read only to write or to check the file
    from ism.data.codes import nace  # noqa: PLC0415 - as above

    _, listings, exchanges = demo.load()
    texts = {name for rule in knowledge.rules() for name in (rule.material, *rule.synonyms)}
    texts |= {nace.title(code) for code in nace.all_codes()}
    texts |= {f"{item.material}. {item.description}" if item.description else item.material for item in listings}
    texts |= {exchange.material for exchange in exchanges}
    return sorted(texts)


def write() -> int:
    """Compute the vectors of `bundled_texts` and write them into the package; returns how many."""
    from safetensors.numpy import save_file  # noqa: PLC0415 - only when the file is written

    model, texts = SentenceModel(), bundled_texts()
    keys = np.frombuffer(b"".join(map(_key, texts)), dtype=np.uint8).reshape(-1, _KEY_BYTES)
    vectors = model.encode(texts).astype(np.float16)
    with as_file(files("ism.data")) as folder:
        save_file({"keys": keys, "vectors": vectors}, folder / FILE, metadata={"model": model.name})
    return len(texts)


def _read(encoder: TextEncoder) -> dict[bytes, Vectors]:
    from safetensors import safe_open  # noqa: PLC0415 - only when a text must be encoded

    with as_file(files("ism.data") / FILE) as path, safe_open(path, framework="np") as file:
        if file.metadata().get("model") != encoder.name:
            return {}
        vectors = file.get_tensor("vectors").astype(np.float32)
        keys = file.get_tensor("keys")
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return {key.tobytes(): vector for key, vector in zip(keys, vectors, strict=True)}


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:_KEY_BYTES]


if __name__ == "__main__":
    write()
