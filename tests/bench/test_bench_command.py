import json
import sys

import pytest

from bench import __main__ as command
from bench import tri
from bench.setup import data_folder
from ism.domain.errors import ConfigurationError

STUB = {"protocol": "tri", "mrr": 0.5, "seconds": 1.0}


@pytest.fixture
def stubbed(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(tri, "run", lambda options: asked.append(options) or dict(STUB))
    monkeypatch.setattr(tri, "section", lambda found, about: f"table of {found['mrr']}\n{about}")
    monkeypatch.setattr(command, "PAGE", tmp_path / "docs" / "benchmarks.md")
    return asked, tmp_path / "docs" / "benchmarks.md"


def test_json_is_exactly_one_object(stubbed, tmp_path, capsys):
    assert command.main(["tri", "--json", "--data", str(tmp_path)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["mrr"] == 0.5
    assert told["fast"] is False
    assert told["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))


def test_the_table_is_printed_and_kept(stubbed, tmp_path, capsys):
    _, page = stubbed
    assert command.main(["tri", "--data", str(tmp_path)]) == 0
    assert "table of 0.5" in capsys.readouterr().out
    assert "<!-- begin tri -->\ntable of 0.5\n`python -m bench tri --data" in page.read_text(encoding="utf-8")


def test_a_fast_run_leaves_the_page_alone_unless_told(stubbed, tmp_path):
    asked, page = stubbed
    assert command.main(["tri", "--fast", "--data", str(tmp_path)]) == 0
    assert not page.exists()
    assert asked[0].fast
    assert command.main(["tri", "--fast", "--data", str(tmp_path), "--out", str(page)]) == 0
    assert page.exists()


def test_the_result_is_printed_even_where_the_page_cannot_be_written(stubbed, tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("x")
    assert command.main(["tri", "--json", "--data", str(tmp_path), "--out", str(blocked / "page.md")]) == 2
    printed = capsys.readouterr()
    assert json.loads(printed.out)["mrr"] == 0.5
    assert "bench tri:" in printed.err


def test_without_the_data_the_message_says_what_to_do(monkeypatch, tmp_path, capsys):
    assert command.main(["tri", "--data", str(tmp_path / "nowhere")]) == 2
    printed = capsys.readouterr()
    assert not printed.out
    assert "nowhere is not a folder" in printed.err
    assert "--data FOLDER" in printed.err
    assert "ISM_PUBLIC_DATA" in printed.err


def test_an_empty_folder_names_the_missing_file(tmp_path, capsys):
    assert command.main(["maestri", "--data", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("bench maestri: path: ")
    assert "ISM_PUBLIC_DATA" in message


def test_the_folder_given_goes_before_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("ISM_PUBLIC_DATA", str(tmp_path))
    assert data_folder(None) == tmp_path
    (other := tmp_path / "other").mkdir()
    assert data_folder(other) == other
    monkeypatch.setenv("ISM_PUBLIC_DATA", str(tmp_path / "gone"))
    with pytest.raises(ConfigurationError, match="gone"):
        data_folder(None)


def test_an_unknown_run_is_refused(capsys):
    with pytest.raises(SystemExit) as stopped:
        command.main(["everything"])
    assert stopped.value.code == 2
    assert "maestri" in capsys.readouterr().err
