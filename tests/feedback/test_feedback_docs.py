"""The worked examples of docs/feedback.md are what the code says."""

import doctest
from pathlib import Path

import pytest

import ism
from ism.feedback import censoring, influence, priority, quarantine, schedule, trust

PAGE = Path(ism.__file__).parents[1] / "docs" / "feedback.md"


def test_the_examples_of_the_page():
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 15
    assert result.failed == 0


@pytest.mark.parametrize("module", [censoring, influence, priority, quarantine, schedule, trust])
def test_the_examples_of_the_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
