"""The vectors that come with the package are those of the model, and none is missing."""

import numpy as np
import pytest

from ism.data.bundled import BundledVectors, bundled_texts
from ism.data.text import SentenceModel


class Nobody:
    """Stands for the model by name, and fails when it is asked for a vector."""

    dimension = 384

    def __init__(self, name: str) -> None:
        self.name = name

    def encode(self, texts):
        raise AssertionError(f"not bundled: {list(texts)[:3]}; run `python -m ism.data.bundled`")


def test_no_text_of_the_package_is_missing() -> None:
    texts = bundled_texts()
    vectors = BundledVectors(Nobody(SentenceModel().name)).encode(texts)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_they_are_the_models_own() -> None:
    texts = bundled_texts()[::60]
    model = SentenceModel()
    cosine = (BundledVectors(model).encode(texts) * model.encode(texts)).sum(axis=1)
    np.testing.assert_allclose(cosine, 1.0, atol=1e-4)


def test_other_texts_and_other_models_reach_the_encoder() -> None:
    model = SentenceModel()
    text = "a text that nobody bundled"
    np.testing.assert_array_equal(BundledVectors(model).encode([text]), model.encode([text]))
    with pytest.raises(AssertionError, match="not bundled"):
        BundledVectors(Nobody("another-model")).encode(bundled_texts()[:1])
