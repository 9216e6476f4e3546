"""Where commands find the market: a running server that owns the data folder, else the folder itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, cast

from ism.app.cli.feedback_backend import FeedbackBackend, FolderFeedback, ServerFeedback
from ism.app.cli.judging_backend import FolderJudging, JudgingBackend, ServerJudging
from ism.app.record import ServerRecord, read_record
from ism.domain.errors import ImportRefusedError, InvalidInputError, IsmError, RowProblem

if TYPE_CHECKING:
    import httpx

    from ism.app.wiring import Application
    from ism.data.imports.templates import Kind
    from ism.domain.fusion import FusionSwitch
    from ism.settings import Settings
    from ism.storage import Role

Json = dict[str, Any]
Progress = Callable[[int, int | None], None]
_HERE = "command line"  # who acts where no server runs
_TIMEOUT = 600.0  # seconds; a large import takes minutes


class RemoteError(IsmError):
    """The server refused; the message is its own."""


class Backend(Protocol):
    """What commands ask for; answers are JSON values, the same from both backends."""

    def match(self, question: Json) -> Json:
        """Body and answer of ``POST /api/matches``."""
        ...

    def engines(self) -> list[Json]:
        """``name``, ``state`` and ``detail`` of each engine."""
        ...

    def import_file(self, path: Path, kind: Kind | None, dry_run: bool, progress: Progress) -> Json:
        """Import a file; the answer of ``POST /api/import``."""
        ...

    def list_keys(self) -> list[Json]:
        """Every key without its secret."""
        ...

    def create_key(self, name: str, role: Role) -> Json:
        """A new key with its text."""
        ...

    def revoke_key(self, key_id: str) -> Json:
        """The revoked key."""
        ...

    def rotate_key(self, key_id: str) -> Json:
        """The key that took the place of another one, with its text."""
        ...

    def audit(self, limit: int) -> list[Json]:
        """Entries of the audit log, newest first."""
        ...

    def verify_audit(self, head: str | None) -> Json:
        """The answer of ``GET /api/audit/verify``."""
        ...

    def backup(self) -> Json:
        """A new backup."""
        ...

    def list_backups(self) -> list[Json]:
        """Those that there are."""
        ...

    def sync(self, wanted: Json) -> Json:
        """Body and answer of ``POST /api/marketplace/sync``."""
        ...

    @property
    def feedback(self) -> FeedbackBackend:
        """What happened after matches."""
        ...

    def fusion_models(self) -> Json:
        """The answer of ``GET /api/fusion/models``."""
        ...

    def use_fusion_model(self, model_id: str, reason: str) -> Json:
        """The answer of ``PUT /api/fusion/active``."""
        ...

    def revert_fusion_model(self) -> Json:
        """The answer of ``POST /api/fusion/revert``."""
        ...

    @property
    def judging(self) -> JudgingBackend:
        """What follows from it."""
        ...

    def begin_optimization(self, wanted: Json) -> Json:
        """The status of a new search."""
        ...

    def optimization(self, optimization_id: str) -> Json:
        """A search with its trials."""
        ...

    def list_optimizations(self) -> list[Json]:
        """The status of every search."""
        ...

    def cancel_optimization(self, optimization_id: str) -> Json:
        """The status of a search that was ended."""
        ...

    def request_retraining(self, wanted: Json) -> Json:
        """A new retraining job."""
        ...

    def retraining_job(self, job_id: str) -> Json:
        """A job with its moves and reports."""
        ...

    def list_models(self) -> list[Json]:
        """What serves under each name."""
        ...

    def model_versions(self, name: str) -> list[Json]:
        """Versions of a model."""
        ...

    def model_version(self, name: str, version: str) -> Json:
        """One version with its reports."""
        ...

    def model_diff(self, name: str, one: str, other: str) -> Json:
        """Where two versions differ."""
        ...

    def move_model(self, action: str, name: str, wanted: Json) -> Json:
        """Promote or roll back; what serves then."""
        ...


@contextmanager
def connect(settings: Settings, matching: bool = False) -> Iterator[Backend]:
    """The backend of a data folder.

    Args:
        settings: name the folder.
        matching: whether engines are needed.
    """
    import httpx  # noqa: PLC0415 - not for `--help`

    record = read_record(settings.data_dir)
    if record is not None:
        headers = {"X-API-Key": record.token}
        with httpx.Client(base_url=record.url, headers=headers, timeout=_TIMEOUT, trust_env=False) as client:
            if _answers(client):
                yield ServerBackend(client, record)
                return
    from ism.app.wiring import open_application  # noqa: PLC0415 - only where no server runs

    with open_application(settings, warm=matching) as application:
        yield FolderBackend(application)


class ServerBackend:
    """Asks a running server.

    Args:
        client: reaches it with the local token.
        record: of the server.
    """

    def __init__(self, client: httpx.Client, record: ServerRecord) -> None:
        self._client, self._record = client, record

    def match(self, question: Json) -> Json:
        """Body and answer of ``POST /api/matches``."""
        return self._json("POST", "/api/matches", json=question)

    def engines(self) -> list[Json]:
        """``name``, ``state`` and ``detail`` of each engine."""
        return cast("list[Json]", self._json("GET", "/api/engines")["engines"])

    def import_file(self, path: Path, kind: Kind | None, dry_run: bool, progress: Progress) -> Json:
        """Send a file; progress counts its bytes."""
        if not path.is_file():
            raise InvalidInputError("file", str(path), "Give a file; stop the server to import a folder.")
        query = {"dry_run": str(dry_run).lower(), **({"kind": kind} if kind else {})}
        size = path.stat().st_size
        with path.open("rb") as file:
            told = cast("BinaryIO", _Told(file, lambda done: progress(done, size)))
            return self._json("POST", "/api/import", params=query, files={"file": (path.name, told)})

    def list_keys(self) -> list[Json]:
        """Every key without its secret."""
        return cast("list[Json]", self._json("GET", "/api/keys")["keys"])

    def create_key(self, name: str, role: Role) -> Json:
        """A new key with its text."""
        return self._json("POST", "/api/keys", json={"name": name, "role": role})

    def revoke_key(self, key_id: str) -> Json:
        """The revoked key."""
        return self._json("DELETE", f"/api/keys/{key_id}")

    def rotate_key(self, key_id: str) -> Json:
        """The key that took the place of another one, with its text."""
        return self._json("POST", f"/api/keys/{key_id}/rotate")

    def audit(self, limit: int) -> list[Json]:
        """Entries of the audit log, newest first."""
        return cast("list[Json]", self._json("GET", "/api/audit", params={"limit": limit})["entries"])

    def verify_audit(self, head: str | None) -> Json:
        """The answer of ``GET /api/audit/verify``."""
        return self._json("GET", "/api/audit/verify", params={"head": head} if head else {})

    def backup(self) -> Json:
        """A new backup."""
        return self._json("POST", "/api/backups")

    def list_backups(self) -> list[Json]:
        """Those that there are."""
        return cast("list[Json]", self._json("GET", "/api/backups")["backups"])

    def sync(self, wanted: Json) -> Json:
        """Body and answer of ``POST /api/marketplace/sync``."""
        return self._json("POST", "/api/marketplace/sync", json=wanted)

    @property
    def feedback(self) -> FeedbackBackend:
        """What happened after matches."""
        return ServerFeedback(self._json)

    def fusion_models(self) -> Json:
        """The answer of ``GET /api/fusion/models``."""
        return self._json("GET", "/api/fusion/models")

    def use_fusion_model(self, model_id: str, reason: str) -> Json:
        """The answer of ``PUT /api/fusion/active``."""
        return self._json("PUT", "/api/fusion/active", json={"model_id": model_id, "reason": reason})

    def revert_fusion_model(self) -> Json:
        """The answer of ``POST /api/fusion/revert``."""
        return self._json("POST", "/api/fusion/revert")

    @property
    def judging(self) -> JudgingBackend:
        """What follows from it."""
        return ServerJudging(self._json)

    def begin_optimization(self, wanted: Json) -> Json:
        """The status of a new search."""
        return self._json("POST", "/api/optimizations", json=wanted)

    def optimization(self, optimization_id: str) -> Json:
        """A search with its trials."""
        return self._json("GET", f"/api/optimizations/{optimization_id}")

    def list_optimizations(self) -> list[Json]:
        """The status of every search."""
        return cast("list[Json]", self._json("GET", "/api/optimizations")["optimizations"])

    def cancel_optimization(self, optimization_id: str) -> Json:
        """The status of a search that was ended."""
        return self._json("DELETE", f"/api/optimizations/{optimization_id}")

    def request_retraining(self, wanted: Json) -> Json:
        """A new retraining job."""
        return self._json("POST", "/api/retraining-jobs", json=wanted)

    def retraining_job(self, job_id: str) -> Json:
        """A job with its moves and reports."""
        return self._json("GET", f"/api/retraining-jobs/{job_id}")

    def list_models(self) -> list[Json]:
        """What serves under each name."""
        return cast("list[Json]", self._json("GET", "/api/models")["models"])

    def model_versions(self, name: str) -> list[Json]:
        """Versions of a model."""
        return cast("list[Json]", self._json("GET", f"/api/models/{name}/versions")["versions"])

    def model_version(self, name: str, version: str) -> Json:
        """One version with its reports."""
        return self._json("GET", f"/api/models/{name}/versions/{version}")

    def model_diff(self, name: str, one: str, other: str) -> Json:
        """Where two versions differ."""
        found = self._json("GET", f"/api/models/{name}/diff", params={"one": one, "other": other})
        return cast("Json", found["differences"])

    def move_model(self, action: str, name: str, wanted: Json) -> Json:
        """Promote or roll back; what serves then."""
        return self._json("POST", f"/api/models/{name}/{action}", json=wanted)

    def _json(self, method: str, path: str, **more: Any) -> Json:
        import httpx  # noqa: PLC0415 - imported by `connect` before

        try:
            response = self._client.request(method, path, **more)
        except httpx.HTTPError as error:
            message = f"The server at {self._record.url} (process {self._record.pid}) does not answer: {error}."
            raise RemoteError(message) from error
        body: Json = response.json()
        if response.is_error:
            raise _refusal(body)
        return body


class FolderBackend:
    """Works on the folder itself.

    Args:
        application: opened on it.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def match(self, question: Json) -> Json:
        """Body and answer of ``POST /api/matches``."""
        from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 - only where no server runs

        from ism.app.asking import answer  # noqa: PLC0415 - as above
        from ism.app.http.schemas import MatchRequest  # noqa: PLC0415 - as above
        from ism.domain.match import MatchResult  # noqa: PLC0415 - as above

        try:
            asked = MatchRequest.model_validate(question)
        except ValidationError as error:
            raise RemoteError("\n".join(map(_plain, error.errors()))) from error
        return cast("Json", TypeAdapter(MatchResult).dump_python(answer(self._application, asked), mode="json"))

    def engines(self) -> list[Json]:
        """``name``, ``state`` and ``detail`` of each engine."""
        return cast("list[Json]", self._application.engines())

    def import_file(self, path: Path, kind: Kind | None, dry_run: bool, progress: Progress) -> Json:
        """Import a file or folder; progress counts its rows."""
        from ism.data.imports.limits import Limits  # noqa: PLC0415 - only where something is imported

        limits = Limits(max_unpacked_bytes=self._application.settings.max_unpacked_bytes)
        return asdict(self._application.import_file(path, kind, dry_run, limits, progress))

    def list_keys(self) -> list[Json]:
        """Every key without its secret."""
        return [_key_json(key) for key in self._application.auth.list_keys()]

    def create_key(self, name: str, role: Role) -> Json:
        """A new key with its text."""
        key, text = self._application.auth.create(name, role, _HERE)
        return {**_key_json(key), "key": text}

    def revoke_key(self, key_id: str) -> Json:
        """The revoked key."""
        return _key_json(self._application.auth.revoke(key_id, _HERE))

    def rotate_key(self, key_id: str) -> Json:
        """The key that took the place of another one, with its text."""
        key, text = self._application.auth.rotate(key_id, _HERE)
        return {**_key_json(key), "key": text}

    def audit(self, limit: int) -> list[Json]:
        """Entries of the audit log, newest first."""
        return [entry.as_dict() for entry in self._application.store.audit.entries(limit=limit)]

    def verify_audit(self, head: str | None) -> Json:
        """The answer of ``GET /api/audit/verify``."""
        return asdict(self._application.store.audit.check(head))

    def backup(self) -> Json:
        """A new backup."""
        return asdict(self._application.backups.create(_HERE))

    def list_backups(self) -> list[Json]:
        """Those that there are."""
        return [asdict(backup) for backup in self._application.backups.list()]

    def sync(self, wanted: Json) -> Json:
        """Body and answer of ``POST /api/marketplace/sync``."""
        from ism.app.http.routes.marketplace import ExchangeRequest, exchange  # noqa: PLC0415 - only where no server runs

        return exchange(self._application, ExchangeRequest.model_validate(wanted))

    @property
    def feedback(self) -> FeedbackBackend:
        """What happened after matches."""
        return FolderFeedback(self._application)

    def fusion_models(self) -> Json:
        """The answer of ``GET /api/fusion/models``."""
        from ism.app.http.routes.fusion import fusion_models  # noqa: PLC0415 - only where no server runs

        return fusion_models(self._application).model_dump(mode="json")

    def use_fusion_model(self, model_id: str, reason: str) -> Json:
        """The answer of ``PUT /api/fusion/active``."""
        return _switch_json(self._application.fusion.registry.use(model_id, actor=_HERE, reason=reason))

    def revert_fusion_model(self) -> Json:
        """The answer of ``POST /api/fusion/revert``."""
        return _switch_json(self._application.fusion.revert(actor=_HERE))

    @property
    def judging(self) -> JudgingBackend:
        """What follows from it."""
        return FolderJudging(self._application)

    def begin_optimization(self, wanted: Json) -> Json:
        """The status of a new search."""
        return self._application.tuning.begin(wanted)

    def optimization(self, optimization_id: str) -> Json:
        """A search with its trials."""
        return self._application.tuning.optimizer.get_optimization(optimization_id)

    def list_optimizations(self) -> list[Json]:
        """The status of every search."""
        return self._application.tuning.optimizer.list_optimizations()

    def cancel_optimization(self, optimization_id: str) -> Json:
        """The status of a search that was ended."""
        return self._application.tuning.cancel(optimization_id)

    def request_retraining(self, wanted: Json) -> Json:
        """A new retraining job."""
        job = self._application.retraining.pipeline.request(
            wanted["model_name"], wanted["trigger_type"], wanted["config"]
        )
        return job.as_dict()

    def retraining_job(self, job_id: str) -> Json:
        """A job with its moves and reports."""
        from ism.app.http.routes.models import show_job  # noqa: PLC0415 - only where no server runs

        return show_job(job_id, self._application)

    def list_models(self) -> list[Json]:
        """What serves under each name."""
        return self._application.retraining.models()

    def model_versions(self, name: str) -> list[Json]:
        """Versions of a model."""
        return self._application.retraining.versions(name)

    def model_version(self, name: str, version: str) -> Json:
        """One version with its reports."""
        return self._application.retraining.version(name, version)

    def model_diff(self, name: str, one: str, other: str) -> Json:
        """Where two versions differ."""
        return self._application.retraining.diff(name, one, other)

    def move_model(self, action: str, name: str, wanted: Json) -> Json:
        """Promote or roll back; what serves then."""
        retraining = self._application.retraining
        move = retraining.promote if action == "promote" else retraining.rollback
        return cast("Json", cast("Any", move)(name, actor="command line", **wanted))


class _Told:
    """A file that tells how far it was read."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], None]) -> None:
        self._file, self._tell = file, tell

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._tell(self._file.tell())
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _answers(client: httpx.Client) -> bool:
    """Whether the recorded server is the one that listens there."""
    import httpx  # noqa: PLC0415 - imported by `connect` before

    try:
        return client.get("/api/keys", timeout=5.0).status_code == 200
    except httpx.HTTPError:
        return False


def _refusal(body: Json) -> IsmError:
    """A problem document as the error that it came from."""
    errors = body.get("errors", [])
    cells = [_cell(entry) for entry in errors]
    if body.get("detail", "").startswith("Nothing was imported") and all(cells):
        total = int("".join(filter(str.isdigit, body["detail"].split(":")[-1])) or len(cells))
        return ImportRefusedError([cell for cell in cells if cell], total)
    lines = [f"{entry['field']}: {entry['value']!r} cannot be used. {entry['reason']}" for entry in errors]
    return RemoteError("\n".join(lines) or body.get("detail", "The server refused."))


def _cell(entry: Json) -> RowProblem | None:
    place, found, column = entry["field"].partition(", column ")
    number = place.removeprefix("row ")
    if not found or not number.isdigit():
        return None
    # The value was shortened by the server already; RowProblem would quote it again.
    return tuple.__new__(RowProblem, (int(number), column, str(entry["value"]), entry["reason"]))


def _plain(error: Any) -> str:
    from ism.app.http.problems import of_validation  # noqa: PLC0415 - only where a question was refused

    entry = of_validation([error])[0]
    return f"{entry.field}: {entry.value!r} cannot be used. {entry.reason}"


def _switch_json(switch: FusionSwitch) -> Json:
    return {**asdict(switch), "switched_at": switch.switched_at.isoformat()}


def _key_json(key: Any) -> Json:
    from ism.app.http.routes.keys import KeyAnswer  # noqa: PLC0415 - only where keys are printed

    return KeyAnswer.of(key).model_dump(mode="json")
