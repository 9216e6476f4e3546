"""Commands that work on the folder themselves."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from app_fakes import FakeMatcher
from click.testing import Result
from typer.testing import CliRunner

from ism.app import wiring
from ism.app.cli.root import app

ASH = ["match", "--material", "coal fly ash", "--ewc", "100102", "--tonnes", "50000", "--nace", "35.11"]


@pytest.fixture(autouse=True)
def _small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ISM_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ISM_DEMO_MARKET", "false")
    monkeypatch.setattr(wiring, "_match_service", FakeMatcher)


def run(*arguments: str, code: int = 0, columns: int = 140) -> Result:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": str(columns)})
    assert result.exit_code == code, result.output
    return result


def test_match_prints_a_table_and_reasons() -> None:
    said = run(*ASH).stdout
    for words in ("coal fly ash, 10 01 02, 50,000 t/yr", "Aalborg Portland DK", "0.75", "210 km", "saves 12.5 €/t",
                  "−30 to 4", "Manufacture of cement (sector)", "Fly ash is a constituent of cement.", "EN 197-1",
                  "Without: Graph network"):  # fmt: skip
        assert words in said, words
    assert "<b>Ash</b>" in said  # a text of others is printed, never read as markup
    assert "constituent" not in run(*ASH, "--reasons", "0").stdout


def test_a_narrow_match_has_its_units_in_the_head_and_breaks_no_word() -> None:
    said = run(*ASH, columns=80).stdout
    assert "cost, €/t" in said
    assert "saves 12.5 €/t" not in said
    for word in ("Aalborg", "Portland", "Manufacture", "saves 12.5", "−30 to 4", "saves 700"):
        assert word in said, said


def test_match_prints_json_for_scripts() -> None:
    answer = json.loads(run(*ASH, "--top", "1", "--json").stdout)
    assert [match["rank"] for match in answer["matches"]] == [1]
    assert answer["offer"]["ewc"] == "10 01 02"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["match"], 1, "--material"),
        (["match", "--material", "a", "--offer-id", "b"], 1, "--offer-id"),
        (["match", "--material", "a", "--ewc", "nonsense"], 1, "offer.ewc"),
        (["match", "--material", "a", "--tonnes", "-5"], 1, "offer.quantity_t_per_year"),
        (["match", "--material", "a", "--tonnes", "nan"], 1, "offer.quantity_t_per_year"),
        (["match", "--material", "a", "--lat", "95", "--lon", "0"], 1, "offer.latitude"),
        (["match", "--offer-id", "none"], 1, "There is no listing 'none'"),
        (["match", "--material", "a", "--top", "0"], 2, "--top"),
        (["match", "--material", "a", "--no-such-option"], 2, "--no-such-option"),
        (["nonsense"], 2, "nonsense"),
        (["import", "missing.csv"], 1, "missing.csv"),
        (["keys", "revoke", "none"], 1, "none"),
        (["keys", "create", " "], 1, "name"),
        (["template", "planets"], 2, "planets"),
    ],
)
def test_refusals_name_what_is_wrong(arguments: list[str], code: int, words: str) -> None:
    result = run(*arguments, code=code)
    assert words in result.stderr
    assert result.stdout == ""


def test_a_bad_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISM_ADMIN_KEY", "short")
    assert "admin_key" in run("keys", "list", code=2).stderr


def test_tables_go_round(tmp_path: Path) -> None:
    for form in ("csv", "xlsx"):
        file = tmp_path / f"t.{form}"
        run("template", "companies", "-o", str(file))
        assert "exists already" in run("template", "companies", "-o", str(file), code=1).stderr
        run("template", "companies", "--force", "-o", str(file))
        report = json.loads(run("import", str(file), "--dry-run", "--json").stdout)
        assert (report["companies"], report["stored"]) == (1, False)
        assert "Imported 1 company." in run("import", str(file)).stdout
    csv = run("template", "exchanges").stdout_bytes
    assert csv.startswith(b"\xef\xbb\xbfexchange_id,")


def test_a_refused_import_tells_every_cell(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    file.write_text("company_id,name,nace\na,A,[red]\nb,,C\n", encoding="utf-8")
    said = run("import", str(file), code=1).stderr
    assert "Nothing was imported: 3 cells cannot be used." in said
    assert "[red]" in said


def test_keys_live(tmp_path: Path) -> None:
    made = json.loads(run("keys", "create", "robot", "--role", "service", "--json").stdout)
    assert made["key"].startswith(f"ism_{made['key_id']}_")
    assert run("keys", "create", "plain").stdout.startswith("ism_")
    keys = json.loads(run("keys", "list", "--json").stdout)["keys"]
    assert {key["name"] for key in keys} == {"robot", "plain"}
    assert made["key"] not in str(keys)
    assert "Revoked" in run("keys", "revoke", made["key_id"]).stdout


def test_engines_are_listed() -> None:
    assert "degraded" in run("engines").stdout


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from ism.app.cli.root import app\n"
        "assert CliRunner().invoke(app, ['serve', '--help']).exit_code == 0\n"
        "heavy = {'numpy', 'fastapi', 'pydantic', 'sqlalchemy', 'polars', 'torch', 'sklearn', 'scipy', 'httpx'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_server_starts_without_the_heaviest_libraries() -> None:
    code = (
        "import sys\nimport ism.app.cli.serve, ism.app.matching\n"
        "print(sorted({'torch', 'sklearn', 'pandas', 'polars', 'openpyxl'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_taken_port_is_told(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = run("serve", "--port", port, code=1).stderr
    assert f"127.0.0.1:{port} cannot be listened on" in said
