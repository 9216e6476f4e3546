"""Stands in for Supabase's HTTP API: as much of PostgREST as the connector speaks, before a real PostgreSQL.

Each request runs as the role that its key claims, in one transaction, as PostgREST does it; errors have its codes. What
it does is written after https://docs.postgrest.org (12): tables and views, operators, logical operators, renaming, JSON
columns, ordering, limits, upsert, `Prefer`, errors.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import jwt
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

SECRET = "a-secret-of-the-project-for-tests-only"
RESET = """
    do $$ begin
      if not exists (select 1 from pg_roles where rolname = 'anon') then
        create role anon nologin;
      end if;
      if not exists (select 1 from pg_roles where rolname = 'service_role') then
        create role authenticated nologin; create role service_role nologin bypassrls;
      end if;
    end $$;
    drop schema if exists public cascade;
    drop schema if exists auth cascade;
    create schema public;
    create schema auth;
    grant usage on schema public, auth to anon, authenticated, service_role;
    alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
    alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
    create function auth.jwt() returns jsonb language sql stable as
      $$ select coalesce(nullif(current_setting('request.jwt.claims', true), '')::jsonb, '{}'::jsonb) $$;
    create function auth.uid() returns uuid language sql stable as $$ select (auth.jwt() ->> 'sub')::uuid $$;
"""  # a project's roles and functions, as Supabase makes them
MOST_ROWS = 1000  # of an answer: Supabase's own default
_PATH = re.compile(r"/rest/v1/([A-Za-z_][A-Za-z0-9_]*)")
_COMPARE = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_STATUS = {"42501": 403, "23505": 409, "23503": 409}


def key_of(role: str, **claims: Any) -> str:
    """A key of the project, as its settings show it."""
    return jwt.encode({"role": role, "iss": "supabase", **claims}, SECRET, "HS256")


class RefusedError(Exception):
    """A request that PostgREST refuses itself."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Project:
    """A Supabase project on loopback, before a database.

    Args:
        database: URL of it.

    Attributes:
        url: what SUPABASE_URL is.
        requests: method, address and headers of each request.
        trouble: called with each request; may raise, sleep, or return a status to answer instead.
        after: called before each answer goes out, when what was asked is done.
        most_rows: of an answer.
    """

    def __init__(self, database: str) -> None:
        self.database, self.most_rows = database, MOST_ROWS
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.trouble: Callable[[str, str], int | None] = lambda method, path: None
        self.after: Callable[[str, str], None] = lambda method, path: None
        project = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer in two packets would wait for the acknowledgement of the first
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                project._serve(self)

            def do_POST(self) -> None:
                project._serve(self)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._local = threading.local()
        self._connections: list[psycopg.Connection[Any]] = []
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for connection in self._connections:
            connection.close()

    def sql(self, text: str, *values: Any) -> list[dict[str, Any]]:
        """Run a statement as the database's owner; its rows."""
        with psycopg.connect(self.database, autocommit=True, row_factory=dict_row) as connection:
            # Several statements at once can have no parameters.
            done = connection.execute(text, values or None)
            return done.fetchall() if done.description is not None else []

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        self.requests.append((handler.command, handler.path, dict(handler.headers)))
        more: dict[str, str] = {}
        try:
            told = self.trouble(handler.command, handler.path)
            if told is not None:
                status, answer = told, {"message": "trouble"}
                more = {"Retry-After": "0"}
            else:
                status, answer = self._answer(handler, body)
        except RefusedError as error:
            status, answer = error.status, {"code": error.code, "message": str(error), "details": None, "hint": None}
        except psycopg.Error as error:
            code = error.sqlstate or "XX000"
            status, answer = _STATUS.get(code, 404 if code == "42P01" else 400), {"code": code, "message": str(error)}
            status = 401 if status == 403 and self._claims(handler)["role"] == "anon" else status
        except ConnectionAbortedError:
            handler.close_connection = True
            return
        try:
            self.after(handler.command, handler.path)
        except ConnectionAbortedError:
            handler.close_connection = True
            return
        sent = b"" if answer is None else json.dumps(answer).encode()
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(sent)), **more}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(sent)

    def _answer(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, Any]:
        claims = self._claims(handler)
        parts = urlsplit(handler.path)
        table = _PATH.fullmatch(unquote(parts.path))
        if table is None:
            raise RefusedError(404, "PGRST125", "Invalid path specified in request URL")
        query = parse_qsl(parts.query, keep_blank_values=True)
        with self._transaction(claims) as connection:
            self._know(connection, table[1])
            if handler.command == "POST":
                return self._insert(connection, table[1], query, json.loads(body), handler.headers.get("Prefer", ""))
            return 200, self._select(connection, table[1], query)

    def _claims(self, handler: BaseHTTPRequestHandler) -> dict[str, Any]:
        key = handler.headers.get("apikey")
        bearer = handler.headers.get("Authorization", "").removeprefix("Bearer ")
        if not key:
            raise RefusedError(401, "", "No API key found in request")
        try:
            jwt.decode(key, SECRET, ["HS256"])  # the gateway's own check
            claims: dict[str, Any] = jwt.decode(bearer or key, SECRET, ["HS256"], options={"verify_aud": False})
        except jwt.PyJWTError as error:
            raise RefusedError(401, "PGRST301", "JWT invalid") from error
        return {"role": "anon", **claims}

    @contextmanager
    def _transaction(self, claims: dict[str, Any]) -> Iterator[psycopg.Connection[Any]]:
        connection = getattr(self._local, "connection", None)
        if connection is None or connection.closed:
            connection = self._local.connection = psycopg.connect(self.database, row_factory=dict_row)
            self._connections.append(connection)
        with connection.transaction():
            connection.execute(sql.SQL("set local role {}").format(sql.Identifier(claims["role"])))
            connection.execute("select set_config('request.jwt.claims', %s, true)", (json.dumps(claims),))
            yield connection

    @staticmethod
    def _know(connection: psycopg.Connection[Any], table: str) -> None:
        """PostgREST answers for tables of its schema cache only."""
        if (
            connection.execute("select to_regclass('public.' || quote_ident(%s)) as it", (table,)).fetchone()["it"]
            is None
        ):
            raise RefusedError(404, "PGRST205", f"Could not find the table 'public.{table}' in the schema cache")

    def _select(self, connection: psycopg.Connection[Any], table: str, query: list[tuple[str, str]]) -> list[Any]:
        named = dict(query)
        columns, order = _columns(named.get("select", "*")), _order(named.get("order", ""))
        where = _filters([(name, value) for name, value in query if name not in {"select", "order", "limit"}])
        limit = sql.Literal(min(int(named.get("limit", self.most_rows)), self.most_rows))
        rows = sql.SQL("select {} from public.{} {} {} limit {}").format(
            columns, sql.Identifier(table), where, order, limit
        )
        whole = sql.SQL("select coalesce(json_agg(row_to_json(t)), '[]') as found from ({}) t").format(rows)
        found: list[Any] = connection.execute(whole).fetchone()["found"]
        return found

    def _insert(
        self, connection: psycopg.Connection[Any], table: str, query: list[tuple[str, str]], rows: Any, prefer: str
    ) -> tuple[int, Any]:
        rows = rows if isinstance(rows, list) else [rows]
        names = sorted({name for row in rows for name in row})
        known = {
            row["column_name"]
            for row in connection.execute(
                "select column_name from information_schema.columns where table_schema = 'public' and table_name = %s",
                (table,),
            )
        }
        for name in names:
            if name not in known and known:
                raise RefusedError(
                    400, "PGRST204", f"Could not find the '{name}' column of '{table}' in the schema cache"
                )
        into = sql.SQL(", ").join(map(sql.Identifier, names))
        taken, key = sql.SQL(""), dict(query).get("on_conflict")
        if "resolution=ignore-duplicates" in prefer:
            on = sql.SQL("({})").format(sql.Identifier(key)) if key else sql.SQL("")
            taken = sql.SQL("on conflict {} do nothing").format(on)
        source = sql.SQL("select {} from json_populate_recordset(null::public.{}, %s::json)").format(
            into, sql.Identifier(table)
        )
        if not names:  # an empty list asks for the right to write, and writes nothing
            source = sql.SQL("select * from json_populate_recordset(null::public.{}, %s::json)").format(
                sql.Identifier(table)
            )
        head = sql.SQL("insert into public.{} ").format(sql.Identifier(table))
        head += sql.SQL("({}) ").format(into) if names else sql.SQL("")
        connection.execute(head + source + sql.SQL(" ") + taken, (json.dumps(rows),))
        return 201, None


def _columns(told: str) -> sql.Composable:
    if told == "*":
        return sql.SQL("*")
    parts = []
    for item in told.split(","):
        alias, _, path = item.rpartition(":") if ":" in item else ("", "", item)
        name = alias or (path.rpartition(">")[2] if "->" in path else path)
        parts.append(sql.SQL("{} as {}").format(_column(path), sql.Identifier(name)))
    return sql.SQL(", ").join(parts)


def _column(path: str) -> sql.Composable:
    """``properties->a->>b``."""
    name, *rest = re.split(r"(->>?)", path)
    made: sql.Composable = sql.Identifier(name)
    for arrow, step in zip(rest[::2], rest[1::2], strict=True):
        made = sql.SQL("({} {} {})").format(made, sql.SQL(arrow), sql.Literal(int(step) if step.isdigit() else step))
    return made


def _order(told: str) -> sql.Composable:
    if not told:
        return sql.SQL("")
    parts = []
    for item in told.split(","):
        name, *how = item.split(".")
        words = {"asc": "asc", "desc": "desc", "nullslast": "nulls last", "nullsfirst": "nulls first"}
        parts.append(sql.SQL("{} {}").format(_column(name), sql.SQL(" ".join(words[word] for word in how))))
    return sql.SQL("order by {}").format(sql.SQL(", ").join(parts))


def _filters(told: list[tuple[str, str]]) -> sql.Composable:
    if not told:
        return sql.SQL("")
    parts = [_logic(name, value) if name in {"or", "and"} else _condition(name, value) for name, value in told]
    return sql.SQL("where {}").format(sql.SQL(" and ").join(parts))


def _logic(name: str, value: str) -> sql.Composable:
    """``or=(a.gt.1,and(a.eq.1,b.gt."x"))``."""
    parts: list[sql.Composable] = []
    for item in _split(value[1:-1]):
        nested = re.fullmatch(r"(or|and)(\(.*\))", item, re.DOTALL)
        if nested is not None:
            parts.append(_logic(nested[1], nested[2]))
        else:
            column, _, rest = item.partition(".")
            parts.append(_condition(column, rest, quoted=True))
    return sql.SQL("({})").format(sql.SQL(f" {name} ").join(parts))


def _condition(column: str, told: str, quoted: bool = False) -> sql.Composable:
    operator, _, value = told.partition(".")
    if told == "not.is.null":
        return sql.SQL("{} is not null").format(_column(column))
    if operator == "in":
        values = [sql.Literal(_bare(item)) for item in _split(value[1:-1])]
        return sql.SQL("{} in ({})").format(_column(column), sql.SQL(", ").join(values or [sql.Literal(None)]))
    if operator not in _COMPARE:
        raise RefusedError(400, "PGRST100", f'"failed to parse filter ({told})"')
    literal = sql.Literal(_bare(value) if quoted else value)
    return sql.SQL("{} {} {}").format(_column(column), sql.SQL(_COMPARE[operator]), literal)


def _split(told: str) -> list[str]:
    """At commas outside of quotes and parentheses."""
    items, item, depth, inside, escaped = [], "", 0, False, False
    for sign in told:
        if escaped:
            item, escaped = item + sign, False
            continue
        if inside and sign == "\\":
            item, escaped = item + sign, True
            continue
        inside ^= sign == '"'
        depth += 0 if inside else (sign == "(") - (sign == ")")
        if sign == "," and not inside and not depth:
            items.append(item)
            item = ""
        else:
            item += sign
    return [*items, item] if told else []


def _bare(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return re.sub(r"\\(.)", r"\1", value[1:-1])


def wait_until(found: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Return when it is so; fail after a while."""
    ends = time.monotonic() + limit_s
    while not found():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.02)
