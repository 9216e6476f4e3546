"""A model's files in an S3-compatible bucket: Amazon's, MinIO's, or Supabase Storage.

Supabase's address is ``https://PROJECT.storage.supabase.co/storage/v1/s3``; its path is signed like any other.
Requests are signed as "AWS Signature Version 4" describes (Amazon S3 API reference); no library of theirs is needed
for four plain calls. Addresses are path-style (``endpoint/bucket/key``), which all of them understand.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlsplit

from ism.domain.errors import ArtifactError
from ism.storage.artifacts import checked, sha256

if TYPE_CHECKING:
    import httpx

_TIMEOUT_S = 60.0
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Bucket:
    """Where files lie, and who may reach them."""

    endpoint: str
    name: str
    region: str
    access_key: str
    secret: str


class S3Blobs:
    """Blobs in a bucket, under ``ism/models/SHA-256``; the contract is `ism.storage.artifacts.Blobs`.

    Args:
        bucket: where.
        client: sends the requests; a new one when None.
    """

    _PREFIX = "ism/models/"

    def __init__(self, bucket: Bucket, client: httpx.Client | None = None) -> None:
        import httpx  # noqa: PLC0415 - only where a bucket is used

        self._bucket = bucket
        self._client = client or httpx.Client(timeout=_TIMEOUT_S)

    def put(self, data: bytes) -> str:
        """Keep bytes; a bucket shows an object whole or not at all."""
        digest = sha256(data)
        self._send("PUT", self._key(digest), data)
        return digest

    def get(self, digest: str) -> bytes:
        """Fetch and check."""
        return checked(digest, self._send("GET", self._key(digest)).content)

    def delete(self, digest: str) -> None:
        """Forget; an object that is not there is no error to S3."""
        self._send("DELETE", self._key(digest))

    def digests(self) -> Iterator[str]:
        """All that is kept, page by page."""
        from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]  # noqa: PLC0415 - untyped; rarely needed

        token = ""
        while True:
            more = f"&continuation-token={quote(token, safe='')}" if token else ""
            page = fromstring(self._send("GET", f"?list-type=2{more}&prefix={quote(self._PREFIX, safe='')}").text)
            space = page.tag.partition("}")[0] + "}" if page.tag.startswith("{") else ""
            for key in page.iter(f"{space}Key"):
                yield str(key.text).removeprefix(self._PREFIX)
            token = page.findtext(f"{space}NextContinuationToken") or ""
            if not token:
                return

    def _key(self, digest: str) -> str:
        return f"/{self._PREFIX}{digest}"

    def _send(self, method: str, path: str, data: bytes = b"") -> httpx.Response:
        import httpx  # noqa: PLC0415 - as above

        url = f"{self._bucket.endpoint.rstrip('/')}/{self._bucket.name}{path}"
        try:
            answer = self._client.request(method, url, content=data, headers=signed(method, url, data, self._bucket))
        except httpx.HTTPError as error:
            raise ArtifactError(f"{path}: the bucket cannot be reached ({type(error).__name__}). Try again.") from error
        if answer.status_code == 404 and (method == "PUT" or path.startswith("?")):
            raise ArtifactError(f"{self._bucket.name}: there is no such bucket. Make it, private, or name another.")
        if answer.status_code == 404:
            raise ArtifactError(f"{path.rpartition('/')[2]}: the file is missing. Restore it from a backup.")
        if answer.is_error:
            remedy = "Check endpoint, bucket, region and keys."
            raise ArtifactError(f"{path}: the bucket answered {answer.status_code} to {method}. {remedy}")
        return answer


def signed(
    method: str,
    url: str,
    data: bytes,
    bucket: Bucket,
    now: datetime | None = None,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Headers of a signed request.

    Args:
        method: of HTTP.
        url: whose query, if any, is quoted already.
        data: the body.
        bucket: whose keys sign.
        now: the time of the request, UTC.
        extra: further headers to send and sign, their names in lower case.
    """
    at, parts = now or datetime.now(UTC), urlsplit(url)
    stamp, day = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
    body = hashlib.sha256(data).hexdigest()
    headers = {**(extra or {}), "host": parts.netloc, "x-amz-content-sha256": body, "x-amz-date": stamp}
    names = sorted(headers)
    query = sorted(parse_qsl(parts.query, keep_blank_values=True))
    canonical = "\n".join(
        [
            method,
            quote(parts.path or "/", safe="/-_.~"),
            "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in query),
            *(f"{name}:{headers[name].strip()}" for name in names),
            "",
            ";".join(names),
            body,
        ]
    )
    scope = f"{day}/{bucket.region}/s3/aws4_request"
    told = "\n".join([_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{bucket.secret}".encode()
    for part in (day, bucket.region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, told.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={bucket.access_key}/{scope}"
    headers["authorization"] = f"{_ALGORITHM} {credential},SignedHeaders={';'.join(names)},Signature={signature}"
    return headers
