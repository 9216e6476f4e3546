import pytest

from ism.app.orchestrator.config import ProductionConfig, fields_of
from ism.app.orchestrator.versions import ConfigVersions
from ism.domain.errors import ConflictError, InvalidInputError
from ism.settings import Settings


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        ("feedback_enabled", 1, "true or false"),
        ("auto_deploy", "no", "true or false"),
        ("health_check_interval", 0, "whole number of seconds"),
        ("health_check_interval", True, "whole number of seconds"),
        ("health_check_interval", 2.5, "whole number of seconds"),
        ("backup_interval", 10**9, "whole number of seconds"),
        ("log_level", "LOUD", "DEBUG, INFO, WARNING, ERROR"),
        ("colour", "red", "Known fields: feedback_enabled"),
    ],
)
def test_a_bad_value_is_refused_by_name(field, value, remedy):
    with pytest.raises(InvalidInputError) as refused:
        ProductionConfig().changed({field: value})
    assert (refused.value.field, refused.value.value) == (field, value)
    assert remedy in refused.value.remedy
    if field != "colour":
        with pytest.raises(InvalidInputError, match=field):
            ProductionConfig(**{field: value})


def test_settings_and_config_say_the_same():
    settings = Settings(_env_file=None)
    assert ProductionConfig.of(settings) == ProductionConfig()
    changed = ProductionConfig(auto_deploy=False, backup_interval=90, log_level="DEBUG")
    assert ProductionConfig.of(changed.into(settings)) == changed
    assert changed.into(settings).retraining_auto_deploy is False
    assert fields_of({"host": "x", "backup_interval_s": 1, "retraining_auto_deploy": False}) == {
        "backup_interval",
        "auto_deploy",
    }


def test_versions_are_kept_and_taken_back_one_by_one(store):
    versions = ConfigVersions(store.configuration, ProductionConfig())
    assert versions.latest() == (0, ProductionConfig())
    assert versions.update({"health_check_interval": 30}, "ada", "closer") == 1
    assert versions.update({"log_level": "DEBUG", "health_check_interval": 20}, "bob", "") == 2
    assert versions.update({"log_level": "DEBUG"}, "bob", "nothing new") == 2
    with pytest.raises(InvalidInputError):
        versions.update({"log_level": "INFO", "health_check_interval": -1}, "bob", "")
    again = ConfigVersions(store.configuration, ProductionConfig(backup_interval=99))
    assert again.latest() == (2, ProductionConfig(health_check_interval=20, log_level="DEBUG", backup_interval=99))
    newest, first = again.history()
    assert newest.changes == {"health_check_interval": (30, 20), "log_level": ("INFO", "DEBUG")}
    assert (first.actor, first.reason, first.made_at.utcoffset().total_seconds()) == ("ada", "closer", 0)
    assert versions.undo("eve", "") == 3
    assert versions.latest() == (3, ProductionConfig(health_check_interval=30))
    assert versions.undo("eve", "") == 4
    assert versions.latest() == (4, ProductionConfig())
    assert [each.undoes for each in versions.history()] == [1, 2, None, None]
    with pytest.raises(ConflictError):
        versions.undo("eve", "")


def test_what_an_option_names_is_not_overruled_by_an_earlier_change(store):
    ConfigVersions(store.configuration, ProductionConfig()).update({"health_check_interval": 5}, "ada", "")
    given = ProductionConfig(health_check_interval=40)
    versions = ConfigVersions(store.configuration, given, {"health_check_interval"})
    assert versions.latest() == (1, given)
    versions.update({"health_check_interval": 6}, "ada", "said later")
    assert versions.latest()[1].health_check_interval == 6


def test_two_processes_do_not_overwrite_each_other(store):
    versions = ConfigVersions(store.configuration, ProductionConfig())
    versions.update({"log_level": "DEBUG"}, "ada", "")
    stale = store.configuration.config_versions(1)[0]
    with pytest.raises(ConflictError, match="version 1"):
        store.configuration.add_config_version(stale)
