from functools import partial

import pytest

from ism.engines import catalog
from ism.testing import engine_checks
from ism.testing.engine_checks import ENGINE_CHECKS, EngineCheck
from ism.testing.sample import WordEncoder


@pytest.mark.parametrize("check", ENGINE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", catalog.names())
def test_engine_keeps_its_promises(name: str, check: EngineCheck) -> None:
    encoder = WordEncoder()
    check(partial(catalog.make, name, encoder), encoder)


def test_every_check_is_run():
    defined = {name for name in vars(engine_checks) if name.startswith("check_")}
    assert {check.__name__ for check in ENGINE_CHECKS} == defined
