"""Tokens of a Supabase project: genuine ones are taken, forged ones are not, and its key set is asked for sparingly."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from app_fakes import FakeMatcher
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from starlette.testclient import TestClient

from ism.app import supabase
from ism.app.auth import NoRoleError
from ism.app.http.app import create_app
from ism.app.supabase import SupabaseTokens
from ism.app.wiring import open_application
from ism.domain.errors import ConfigurationError
from ism.settings import Settings

EC, RSA = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
OTHER_EC, OTHER_RSA = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
WEAK, P384 = rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP384R1())
SECRET = b"a-shared-secret-of-32-bytes-long"
Key = Any


def public(key: Key, key_id: str, algorithm: str) -> dict[str, Any]:
    shape = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    return {**shape.to_jwk(key.public_key(), as_dict=True), "kid": key_id, "alg": algorithm, "use": "sig"}


def key_set() -> dict[str, Any]:
    shared = {"kty": "oct", "kid": "shared", "alg": "HS256", "k": b64(SECRET)}
    other_use = {**public(OTHER_EC, "for-encryption", "ES256"), "use": "enc"}
    mixed = public(OTHER_RSA, "mixed", "ES256")
    keys = [
        public(EC, "e", "ES256"),
        public(RSA, "r", "RS256"),
        public(WEAK, "weak", "RS256"),
        shared,
        other_use,
        mixed,
    ]
    return {"keys": [*keys, public(P384, "p384", "ES384"), {"kid": "broken", "kty": "EC", "crv": "P-256", "x": "?"}]}


class Project:
    """Stands in for a Supabase project: serves a key set, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked, self.body, self.status = 0, json.dumps(key_set()).encode(), 200
        project = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                project.asked += 1
                found = self.path == "/auth/v1/.well-known/jwks.json"
                self.send_response(project.status if found else 404)
                if project.status == 302:
                    self.send_header("Location", f"{project.url}/elsewhere")
                self.end_headers()
                self.wfile.write(project.body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def project() -> Iterator[Project]:
    made = Project()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def tokens(project: Project) -> SupabaseTokens:
    return SupabaseTokens(Settings(supabase_url=project.url, _env_file=None))


def claims(project: Project, **changes: object) -> dict[str, Any]:
    now = int(time.time())
    told = {"iss": f"{project.url}/auth/v1", "aud": "authenticated", "exp": now + 600, "iat": now, "sub": "user-1"}
    told |= {"role": "authenticated", "app_metadata": {"ism_role": "operator"}} | changes
    return {name: value for name, value in told.items() if value is not ...}


def signed(project: Project, key: Key = EC, alg: str = "ES256", kid: object = "e", **changes: object) -> str:
    headers = {"alg": alg} if kid is ... else {"alg": alg, "kid": kid}
    return jwt.encode(claims(project, **changes), key, alg, headers)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hand(project: Project, header: object, signature: bytes | Callable[[bytes], bytes] = b"") -> str:
    text = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims(project)).encode())}"
    made = signature(text.encode()) if callable(signature) else signature
    return f"{text}.{b64(made)}"


def hmac_with(secret: bytes) -> Callable[[bytes], bytes]:
    return lambda text: hmac.new(secret, text, hashlib.sha256).digest()


def pem(key: Key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def der(key: Key) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def forged(project: Project) -> dict[str, str]:  # noqa: PLR0915 - a list of tricks, one a line
    """What people try, by name."""
    good, now = signed(project), int(time.time())
    head, body, mark = good.split(".")
    made: dict[str, str] = {}
    for name in ("none", "None", "NONE", "nOnE", ""):
        made[f"alg {name!r}"] = by_hand(project, {"alg": name, "kid": "e"})
        made[f"alg {name!r}, with the signature of another"] = by_hand(project, {"alg": name, "kid": "e"}, b"x" * 64)
    for key_id, key in (("e", EC), ("r", RSA)):
        for form in (pem, der):
            header = {"alg": "HS256", "kid": key_id}
            made[f"HS256 with the public key {key_id} as {form.__name__}"] = by_hand(
                project, header, hmac_with(form(key))
            )
        jwk = json.dumps(public(key, key_id, "HS256")).encode()
        made[f"HS256 with the JWK {key_id}"] = by_hand(project, {"alg": "HS256", "kid": key_id}, hmac_with(jwk))
    made["HS256 with a shared key of the set"] = by_hand(project, {"alg": "HS256", "kid": "shared"}, hmac_with(SECRET))
    made["HS256 with an empty secret"] = by_hand(project, {"alg": "HS256", "kid": "e"}, hmac_with(b""))
    made["another EC key"] = signed(project, OTHER_EC)
    made["another RSA key"] = signed(project, OTHER_RSA, "RS256", "r")
    made["an RSA key under the EC key's name"] = signed(project, RSA, "RS256", "e")
    made["an EC key under the RSA key's name"] = signed(project, EC, "ES256", "r")
    made["a weak RSA key"] = signed(project, WEAK, "RS256", "weak")
    made["a key for encryption"] = signed(project, OTHER_EC, "ES256", "for-encryption")
    made["a key whose kind and algorithm differ"] = signed(project, OTHER_RSA, "RS256", "mixed")
    made["a broken key"] = signed(project, OTHER_EC, "ES256", "broken")
    for alg in ("RS384", "RS512", "PS256", "PS512"):
        made[alg] = signed(project, RSA, alg, "r")
    made["ES384"] = signed(project, P384, "ES384", "p384")
    made["an unknown kid"] = signed(project, kid="unknown")
    for kid in ("../../e", "e' OR '1'='1", "", "E", "e\0"):
        made[f"kid {kid!r}"] = signed(project, kid=kid)
    made["no kid"] = signed(project, kid=...)
    for kid in (1, None, ["e"], {"e": 1}):
        made[f"kid {kid!r}"] = by_hand(project, {"alg": "ES256", "kid": kid}, b"x" * 64)
    own = public(OTHER_EC, "e", "ES256")
    for name, value in (("jwk", own), ("jku", "https://evil.example/jwks.json"), ("x5u", "https://evil.example/x")):
        made[f"own key by {name}"] = jwt.encode(claims(project), OTHER_EC, "ES256", {"kid": "e", name: value})
    made["crit"] = jwt.encode(claims(project), EC, "ES256", {"kid": "e", "crit": ["exp"]})
    wrong = {
        "ended": {"exp": now - 60}, "no exp": {"exp": ...}, "exp as text": {"exp": "soon"}, "no iat": {"iat": ...},
        "not yet issued": {"iat": now + 3600}, "not yet valid": {"nbf": now + 3600}, "no sub": {"sub": ...},
        "sub as number": {"sub": 1}, "sub with a quote": {"sub": "a'b"}, "empty sub": {"sub": ""},
        "another iss": {"iss": "https://evil.example/auth/v1"}, "iss with more": {"iss": f"{project.url}/auth/v1/"},
        "no iss": {"iss": ...}, "another aud": {"aud": "anon"}, "no aud": {"aud": ...}, "aud as number": {"aud": 1},
        "anonymous": {"is_anonymous": True}, "iss as list": {"iss": [f"{project.url}/auth/v1"]},
    }  # fmt: skip
    for name, changes in wrong.items():
        try:
            made[name] = signed(project, **changes)
        except TypeError:  # PyJWT does not sign what is no text; a forger would
            bodies = b64(json.dumps(claims(project, **changes)).encode())
            made[name] = f"{head}.{bodies}.{mark}"
    raised = b64(json.dumps(claims(project, app_metadata={"ism_role": "admin"})).encode())
    made["a raised role"] = f"{head}.{raised}.{mark}"
    made["no signature"] = f"{head}.{body}."
    made["a cut signature"] = good[:-4]
    made["a signature of zeros"] = f"{head}.{body}.{b64(bytes(64))}"  # CVE-2022-21449
    made["a DER signature"] = f"{head}.{body}.{b64(EC.sign(f'{head}.{body}'.encode(), ec.ECDSA(supabase_hash())))}"
    made["two parts"] = f"{head}.{body}"
    made["four parts"] = f"{good}.x"
    made["nothing"] = ""
    made["no base64"] = "§.§.§"
    made["a list as header"] = f"{b64(b'[]')}.{body}.{mark}"
    made["deep JSON"] = f"{b64(b'[' * 3000)}.{body}.{mark}"
    made["too long"] = signed(project, more="x" * 9000)
    return made


def supabase_hash() -> Any:
    from cryptography.hazmat.primitives.hashes import SHA256

    return SHA256()


def test_genuine_tokens_are_taken(project: Project, tokens: SupabaseTokens) -> None:
    for token in (signed(project), signed(project, RSA, "RS256", "r"), signed(project, aud=["x", "authenticated"])):
        caller = tokens.check(token)
        assert caller is not None
        assert (caller.name, caller.role) == ("supabase:user-1", "operator")
    assert project.asked == 1


def test_no_forged_token_passes(project: Project, tokens: SupabaseTokens) -> None:
    tried = forged(project)
    assert len(tried) >= 60
    assert tokens.check(signed(project)) is not None
    passed = [name for name, token in tried.items() if tokens.check(token) is not None]
    assert passed == []
    assert tokens.check(signed(project)) is not None
    assert project.asked == 1  # forgers do not make the project be asked


def test_only_the_project_gives_roles(project: Project) -> None:
    tokens = SupabaseTokens(Settings(supabase_url=project.url, _env_file=None))
    for told in (..., {}, {"ism_role": "king"}, {"ism_role": 1}, "admin"):
        with pytest.raises(NoRoleError, match="ISM_SUPABASE_DEFAULT_ROLE"):
            tokens.check(signed(project, app_metadata=told, user_metadata={"ism_role": "admin"}, ism_role="admin"))
    open_to_all = SupabaseTokens(Settings(supabase_url=project.url, supabase_default_role="viewer", _env_file=None))
    caller = open_to_all.check(signed(project, app_metadata=...))
    assert caller is not None
    assert caller.role == "viewer"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [10_000.0]
    monkeypatch.setattr(supabase.time, "monotonic", lambda: now[0])
    return now


def test_a_new_key_is_found_but_the_project_is_not_asked_more_than_twice_a_minute(
    project: Project, tokens: SupabaseTokens, clock: list[float]
) -> None:
    assert tokens.check(signed(project)) is not None
    new = signed(project, OTHER_EC, "ES256", "new")
    assert tokens.check(new) is None
    project.body = json.dumps({"keys": [public(OTHER_EC, "new", "ES256")]}).encode()
    clock[0] += supabase.FETCH_PAUSE_S + 1
    assert tokens.check(new) is not None
    assert tokens.check(signed(project)) is None  # the old key was taken away
    assert project.asked == 2
    for number in range(50):
        assert tokens.check(signed(project, kid=f"unknown-{number}")) is None
    assert project.asked == 2


@pytest.mark.parametrize("trouble", ["down", "redirect", "too long", "no JSON", "deep"])
def test_while_the_project_does_not_answer_known_keys_serve_for_a_time(
    project: Project, tokens: SupabaseTokens, clock: list[float], trouble: str
) -> None:
    token = signed(project)
    assert tokens.check(token) is not None
    project.status = {"down": 500, "redirect": 302}.get(trouble, 200)
    project.body = {"too long": b" " * 70_000, "no JSON": b"<html>", "deep": b"[" * 60_000}.get(trouble, project.body)
    clock[0] += supabase.KEPT_S + 1
    assert tokens.check(token) is not None
    clock[0] += supabase.STALE_S
    assert tokens.check(token) is None
    assert project.asked == 3


@pytest.mark.parametrize(
    "url", ["http://project.example", "ftp://127.0.0.1", "project", "http://127.0.0.1.evil.example"]
)
def test_an_address_without_encryption_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="SUPABASE_URL"):
        SupabaseTokens(Settings(supabase_url=url, _env_file=None))


def test_tokens_open_the_api(project: Project, settings: Settings) -> None:
    given = settings.model_copy(update={"supabase_url": project.url})
    with (
        open_application(given, make_matcher=FakeMatcher) as application,
        TestClient(create_app(application)) as client,
    ):
        bearer = {"Authorization": f"Bearer {signed(project)}"}
        assert client.get("/api/companies", headers=bearer).status_code == 200
        assert client.post("/api/companies", headers=bearer, json={"name": "Works"}).status_code == 201
        assert client.post("/api/keys", headers=bearer, json={"name": "x"}).status_code == 403
        none = {"Authorization": f"Bearer {signed(project, app_metadata={})}"}
        assert client.get("/api/companies", headers=none).status_code == 403
        wrong = {"Authorization": f"Bearer {signed(project, OTHER_EC)}"}
        statuses = [client.get("/api/companies", headers=wrong).status_code for _ in range(15)]
        assert statuses[0] == 401
        assert statuses[-1] == 429
        assert client.get("/api/companies", headers=bearer).status_code == 200


def test_without_a_project_no_token_is_taken(project: Project, anyone: TestClient) -> None:
    bearer = {"Authorization": f"Bearer {signed(project)}"}
    assert anyone.get("/api/companies", headers=bearer).status_code == 401
