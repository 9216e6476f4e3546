"""API keys, for administrators."""

from datetime import datetime

from fastapi import Request
from pydantic import BaseModel, Field

from ism.app.http.access import MAY_MANAGE, App, api_router, get_caller
from ism.app.http.schemas import KeyIn
from ism.storage import ApiKey, Role

router = api_router("Keys")


class KeyAnswer(BaseModel):
    """A key without its secret."""

    key_id: str
    name: str
    role: Role
    created_at: datetime
    revoked_at: datetime | None

    @classmethod
    def of(cls, key: ApiKey) -> "KeyAnswer":
        """What may be told of a stored key."""
        return cls(
            key_id=key.key_id, name=key.name, role=key.role, created_at=key.created_at, revoked_at=key.revoked_at
        )


class NewKeyAnswer(KeyAnswer):
    """A new key with its text."""

    key: str = Field(description="Send it as X-API-Key. It is shown this once.")


@router.get("/api/keys", dependencies=MAY_MANAGE, summary="List API keys")
def list_keys(application: App) -> dict[str, list[KeyAnswer]]:
    """All keys, revoked ones included, without their secrets."""
    return {"keys": [KeyAnswer.of(key) for key in application.auth.list_keys()]}


@router.post("/api/keys", status_code=201, dependencies=MAY_MANAGE, summary="Make an API key")
def make_key(wanted: KeyIn, application: App, request: Request) -> NewKeyAnswer:
    """A new key; its text is in this answer only."""
    key, text = application.auth.create(wanted.name, wanted.role, get_caller(request).name)
    return NewKeyAnswer(**KeyAnswer.of(key).model_dump(), key=text)


@router.post("/api/keys/{key_id}/rotate", status_code=201, dependencies=MAY_MANAGE, summary="Replace an API key")
def rotate_key(key_id: str, application: App, request: Request) -> NewKeyAnswer:
    """A new key of the same name and role; the old one ends at once."""
    key, text = application.auth.rotate(key_id, get_caller(request).name)
    return NewKeyAnswer(**KeyAnswer.of(key).model_dump(), key=text)


@router.delete("/api/keys/{key_id}", dependencies=MAY_MANAGE, summary="Revoke an API key")
def revoke_key(key_id: str, application: App, request: Request) -> KeyAnswer:
    """End a key; it stays listed."""
    return KeyAnswer.of(application.auth.revoke(key_id, get_caller(request).name))
