import pytest

from ism.storage import Store
from ism.testing.store_checks import STORE_CHECKS, StoreCheck


@pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
def test_store_keeps_its_promises(check: StoreCheck, store: Store) -> None:
    check(store)


def test_every_check_is_run():
    from ism.testing import store_checks

    defined = {name for name in vars(store_checks) if name.startswith("check_")}
    assert {check.__name__ for check in STORE_CHECKS} == defined
