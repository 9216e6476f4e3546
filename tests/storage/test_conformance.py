import pytest

from ism.storage import Store
from ism.testing.feedback_checks import FEEDBACK_CHECKS
from ism.testing.monitoring_checks import MONITORING_CHECKS
from ism.testing.store_checks import STORE_CHECKS, StoreCheck


@pytest.mark.parametrize("check", STORE_CHECKS + FEEDBACK_CHECKS + MONITORING_CHECKS, ids=lambda check: check.__name__)
def test_store_keeps_its_promises(check: StoreCheck, store: Store) -> None:
    check(store)


def test_every_check_is_run():
    from ism.testing import feedback_checks, monitoring_checks, store_checks

    every = (STORE_CHECKS, FEEDBACK_CHECKS, MONITORING_CHECKS)
    for module, checks in zip((store_checks, feedback_checks, monitoring_checks), every, strict=True):
        defined = {name for name in vars(module) if name.startswith("check_")}
        assert {check.__name__ for check in checks} == defined
