"""The client: one host, limits of time and size, tries again what may pass, and never tells the key."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from marketplace_fakes import STEEL
from marketplace_project import reset
from postgrest_standin import Project, key_of
from pydantic import SecretStr

from ism.app.marketplace import postgrest
from ism.app.marketplace.postgrest import EndedError, PostgRest, RefusedError, listed, quoted
from ism.domain.errors import ConfigurationError, MarketplaceError
from ism.settings import Settings


@pytest.fixture(scope="module")
def filled(database: str) -> str:
    reset(database)
    return database


@pytest.fixture
def project(filled: str) -> Iterator[Project]:
    """The same rows for all of these tests, which only add tables."""
    opened = Project(filled)
    opened.sql("drop table if exists odd, kept, private")
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgrest, "_PAUSES_S", (0.0, 0.0, 0.0))


@pytest.fixture
def client(connected: Settings) -> Iterator[PostgRest]:
    opened = PostgRest(connected)
    yield opened
    opened.close()


def test_columns_are_renamed_ordered_filtered_and_reached_within_json(client: PostgRest) -> None:
    columns = {"material": "material_name", "ewc": "properties->>ewc"}
    found = client.select("materials", columns, [("quantity", "gte.3")], "quantity.desc", 2)
    assert found == [{"material": "blast furnace slag", "ewc": None}, {"material": "fly ash", "ewc": "100102"}]


@pytest.mark.parametrize("value", ["a,b", 'q"uote', "back\\slash", "(paren)", "dot.dot", "ä ö", "100%", "a&b=c", "+"])
def test_identifiers_may_hold_any_sign(project: Project, client: PostgRest, value: str) -> None:
    project.sql("create table odd (id text); insert into odd values ('other')")
    project.sql("insert into odd values (%s)", value)
    project.sql("grant select on odd to service_role")
    assert client.select("odd", {"id": "id"}, [("id", listed([value, "x"]))], limit=9) == [{"id": value}]
    same = f"(id.gt.{quoted('zzz')},and(id.eq.{quoted(value)},id.gte.{quoted(value)}))"
    assert client.select("odd", {"id": "id"}, [("or", same)], limit=9)[0] == {"id": value}
    assert {"id": value} not in client.select("odd", {"id": "id"}, [("id", f"gt.{value}")], limit=9)


def test_what_is_there_already_is_left_as_it_is(project: Project, client: PostgRest) -> None:
    project.sql("create table kept (id text primary key, n int); grant all on kept to service_role")
    client.insert("kept", [{"id": "a", "n": 1}], "id")
    client.insert("kept", [{"id": "a", "n": 2}, {"id": "b", "n": 3}], "id")
    client.insert("kept", [])
    assert project.sql("select * from kept order by 1") == [{"id": "a", "n": 1}, {"id": "b", "n": 3}]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 408])
def test_what_may_pass_is_tried_again(project: Project, client: PostgRest, status: int) -> None:
    answers = iter([status, status, None])
    project.trouble = lambda method, path: next(answers)
    assert len(client.select("companies", {"id": "id"}, limit=9)) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 301, 302, 307, 308])
def test_what_will_not_pass_is_asked_once(project: Project, client: PostgRest, status: int) -> None:
    project.trouble = lambda method, path: status
    with pytest.raises(RefusedError, match=str(status)):
        client.select("companies", {"id": "id"})
    assert len(project.requests) == 1  # and no redirect is followed


def test_a_lost_answer_is_asked_for_again_and_written_once(project: Project, client: PostgRest) -> None:
    project.sql("create table kept (id text primary key); grant all on kept to service_role")
    lost = iter([True, False])

    def lose(method: str, path: str) -> None:
        if next(lost):
            raise ConnectionAbortedError

    project.after = lose
    client.insert("kept", [{"id": "a"}], "id")
    assert project.sql("select * from kept") == [{"id": "a"}]
    assert len(project.requests) == 2


def test_a_project_that_is_away_is_told_without_waiting_for_ever(connected: Settings) -> None:
    away = PostgRest(connected.model_copy(update={"supabase_url": "http://127.0.0.1:9"}))
    with pytest.raises(MarketplaceError, match="does not answer"):
        away.select("companies", {"id": "id"})


@pytest.fixture
def answering() -> Iterator[Callable[[Callable[[BaseHTTPRequestHandler], None]], str]]:
    """A server on loopback that answers as a test wants; its address."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[BaseHTTPRequestHandler], None]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *args: object) -> None:
                pass

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        servers[-1].daemon_threads = True
        threading.Thread(target=servers[-1].serve_forever, args=(0.05,), daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_an_answer_that_drips_is_given_up(connected: Settings, answering, monkeypatch: pytest.MonkeyPatch) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(200):
            handler.wfile.write(b" ")
            time.sleep(0.01)

    monkeypatch.setattr(postgrest, "_PAUSES_S", ())
    changed = {"supabase_url": answering(drip), "marketplace_request_s": 0.2}
    with pytest.raises(MarketplaceError, match="does not answer"):
        PostgRest(connected.model_copy(update=changed)).select("companies", {"id": "id"})


def test_an_answer_that_never_ends_is_given_up(connected: Settings, answering, monkeypatch: pytest.MonkeyPatch) -> None:
    def pour(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(40):
            handler.wfile.write(b"[" * 4096)

    monkeypatch.setattr(postgrest, "MOST_BYTES", 65_536)
    with pytest.raises(MarketplaceError, match=r"more than 65,536 bytes"):
        PostgRest(connected.model_copy(update={"supabase_url": answering(pour)})).select("companies", {"id": "id"})


@pytest.mark.parametrize("body", [b"<html>", b"[NaN]", b'{"a": 1}', b"[1]", b"[" * 5000])
def test_an_answer_that_is_no_list_of_rows_is_refused(connected: Settings, answering, body: bytes) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(body)

    with pytest.raises(MarketplaceError, match="Is SUPABASE_URL"):
        PostgRest(connected.model_copy(update={"supabase_url": answering(answer)})).select("companies", {"id": "id"})


def test_a_redirect_to_another_host_is_not_followed(connected: Settings, answering) -> None:
    asked: list[str] = []
    elsewhere = answering(lambda handler: asked.append(handler.path))

    def redirect(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(307)
        handler.send_header("Location", f"{elsewhere}/latest/meta-data")
        handler.end_headers()

    with pytest.raises(RefusedError, match="307"):
        PostgRest(connected.model_copy(update={"supabase_url": answering(redirect)})).select("companies", {"id": "id"})
    assert asked == []


def test_proxies_of_the_environment_are_not_used(
    client: PostgRest, connected: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert len(PostgRest(connected).select("companies", {"id": "id"}, limit=9)) == 4


@pytest.mark.parametrize(
    "url",
    [
        "http://project.example",
        "https://user:secret@project.example",
        "https://project.example?x=1",
        "https://project.example#x",
        "https://",
        "https://project.example:port",
        "file:///etc/passwd",
        "//project.example",
    ],
)
def test_an_address_that_is_more_or_less_than_an_https_address_is_refused(connected: Settings, url: str) -> None:
    with pytest.raises(ConfigurationError, match="SUPABASE_URL"):
        PostgRest(connected.model_copy(update={"supabase_url": url}))


@pytest.mark.parametrize(
    "key", [key_of("anon"), key_of("authenticated"), "sb_publishable_abc", "a key", "kéy", "line\nline", "x" * 9000]
)
def test_a_key_that_cannot_be_the_service_role_s_is_refused_without_being_told(connected: Settings, key: str) -> None:
    """With a public key, row-level security would hide rows without a word."""
    with pytest.raises(ConfigurationError, match="SUPABASE_SERVICE_ROLE_KEY") as told:
        PostgRest(connected.model_copy(update={"supabase_service_role_key": SecretStr(key)}))
    assert key not in str(told.value)


def test_both_kinds_of_secret_keys_are_sent_as_the_project_wants_them(connected: Settings, project: Project) -> None:
    for key in ("sb_secret_abc", key_of("service_role")):
        given = connected.model_copy(update={"supabase_service_role_key": SecretStr(key)})
        project.trouble = lambda method, path: 400
        with pytest.raises(RefusedError):
            PostgRest(given).select("companies", {"id": "id"})
        headers = {name.lower(): value for name, value in project.requests[-1][2].items()}
        assert (headers["apikey"], headers["authorization"]) == (key, f"Bearer {key}")


def test_neither_key_nor_rows_are_told(connected: Settings, project: Project, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = connected.supabase_service_role_key
    assert secret is not None
    client = PostgRest(connected)
    client.select("companies", {"id": "id", "name": "name"}, limit=9)
    project.sql("create table private (id text primary key); grant all on private to service_role")
    client.insert("private", [{"id": "a-private-value"}])
    with pytest.raises(RefusedError, match="409, 23505") as told:
        client.insert("private", [{"id": "a-private-value"}])
    said = caplog.text + str(told.value) + repr(told.value)
    assert secret.get_secret_value() not in said
    assert "a-private-value" not in said


def test_what_is_stopped_asks_nothing_more(connected: Settings, project: Project) -> None:
    ending = threading.Event()
    ending.set()
    with pytest.raises(EndedError):
        PostgRest(connected, ending).select("companies", {"id": "id"})
    assert project.requests == []


# --- the stand-in answers as PostgREST documents it ---


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("companies?select=nothing&limit=0", 400, "42703"),
        ("nothing?select=id", 404, "PGRST205"),
        ("companies?id=like.x", 400, "PGRST100"),
        ("companies?id=eq.no-uuid", 400, "22P02"),
    ],
)
def test_the_stand_in_refuses_with_postgrest_s_codes(project: Project, query: str, status: int, code: str) -> None:
    import httpx

    key = key_of("service_role")
    answer = httpx.get(f"{project.url}/rest/v1/{query}", headers={"apikey": key, "Authorization": f"Bearer {key}"})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


@pytest.mark.parametrize(("role", "status"), [("anon", 401), ("authenticated", 200), ("service_role", 200)])
def test_the_stand_in_asks_as_the_role_of_the_key(project: Project, role: str, status: int) -> None:
    import httpx

    answer = httpx.get(f"{project.url}/rest/v1/ai_matches", headers={"apikey": key_of(role)})
    assert answer.status_code == status
    assert httpx.get(f"{project.url}/rest/v1/ai_matches").status_code == 401
    forged = key_of("service_role")[:-3] + "abc"
    assert httpx.get(f"{project.url}/rest/v1/companies", headers={"apikey": forged}).status_code == 401
    rows = httpx.get(f"{project.url}/rest/v1/companies?id=eq.{STEEL}", headers={"apikey": key_of("service_role")})
    assert json.loads(rows.content)[0]["main_materials"] == ["iron ore", "coke"]
