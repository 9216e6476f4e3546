"""The signature against Amazon's own worked example; the calls against a bucket in memory that checks signatures."""

from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from ism.domain.errors import ArtifactError
from ism.storage.artifacts import artifact_digest, pack, sha256, unpack
from ism.storage.object_storage import Bucket, S3Blobs, signed

EXAMPLE = Bucket(
    "https://examplebucket.s3.amazonaws.com",
    "",
    "us-east-1",
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
)
AT = datetime(2013, 5, 24, tzinfo=UTC)


@pytest.mark.parametrize(
    ("url", "extra", "signature"),
    [
        (  # "GET Object" and "Get Bucket (List Objects)" of the Amazon S3 API reference, Signature Calculations
            "https://examplebucket.s3.amazonaws.com/test.txt",
            {"range": "bytes=0-9"},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J",
            {},
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_signatures_are_those_of_amazon_s_examples(url, extra, signature):
    assert signed("GET", url, b"", EXAMPLE, AT, extra)["authorization"].endswith(f"Signature={signature}")


class MemoryBucket:
    """Answers like S3, two keys a page; refuses what is not signed with the right secret."""

    def __init__(self, bucket):
        self._bucket, self.objects = bucket, {}

    def __call__(self, request):
        at = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        wanted = signed(request.method, str(request.url), request.content, self._bucket, at)["authorization"]
        if request.headers["authorization"] != wanted:
            return httpx.Response(403)
        parts = urlsplit(str(request.url))
        home = f"{urlsplit(self._bucket.endpoint).path}/{self._bucket.name}"
        if not parts.path.startswith(home):
            return httpx.Response(404)  # no such bucket
        key = parts.path.removeprefix(home).removeprefix("/")
        if request.method == "PUT":
            self.objects[key] = request.content
        elif request.method == "DELETE":
            self.objects.pop(key, None)
        elif parts.query:
            return self._listed(parse_qs(parts.query))
        else:
            return httpx.Response(200, content=self.objects[key]) if key in self.objects else httpx.Response(404)
        return httpx.Response(200)

    def _listed(self, query):
        after = query.get("continuation-token", [""])[0]
        keys = [key for key in sorted(self.objects) if key.startswith(query["prefix"][0]) and key > after]
        more = f"<NextContinuationToken>{keys[1]}</NextContinuationToken>" if len(keys) > 2 else ""
        found = "".join(f"<Contents><Key>{key}</Key></Contents>" for key in keys[:2])
        return httpx.Response(
            200,
            text=f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{found}{more}</ListBucketResult>',
        )


@pytest.fixture
def bucket():
    return Bucket("http://127.0.0.1:9", "models", "eu-west-1", "key", "secret")


@pytest.fixture
def memory(bucket):
    return MemoryBucket(bucket)


@pytest.fixture
def blobs(bucket, memory):
    return S3Blobs(bucket, httpx.Client(transport=httpx.MockTransport(memory)))


def test_a_model_there_and_back(blobs, tmp_path):
    (tmp_path / "model").mkdir()
    for number in range(5):
        (tmp_path / "model" / f"{number}.json").write_text(str(number))
    files = pack(tmp_path / "model", blobs)
    unpack(files, artifact_digest(files), blobs, tmp_path / "again")
    assert (tmp_path / "again" / "3.json").read_text() == "3"
    assert sorted(blobs.digests()) == sorted(files.values())
    blobs.delete(files["3.json"])
    blobs.delete(files["3.json"])
    assert len(list(blobs.digests())) == 4


def test_a_changed_or_missing_file_is_refused_by_its_digest(blobs, memory):
    digest = blobs.put(b"{}")
    memory.objects[f"ism/models/{digest}"] = b"[]"
    with pytest.raises(ArtifactError, match=f"{digest}.*changed"):
        blobs.get(digest)
    with pytest.raises(ArtifactError, match="missing"):
        blobs.get(sha256(b"other"))


def test_wrong_keys_and_a_bucket_that_is_away_are_told_apart(bucket, memory):
    from dataclasses import replace

    client = httpx.Client(transport=httpx.MockTransport(memory))
    with pytest.raises(ArtifactError, match=r"403.*keys"):
        S3Blobs(replace(bucket, secret="wrong"), client).put(b"{}")
    with pytest.raises(ArtifactError, match="cannot be reached"):
        S3Blobs(bucket).put(b"{}")


def test_supabase_s_address_has_a_path_which_is_signed():
    """As its settings show it under Storage, S3 connection."""
    project = Bucket("https://abc.storage.supabase.co/storage/v1/s3", "ism", "eu-central-1", "key", "secret")
    memory = MemoryBucket(project)
    blobs = S3Blobs(project, httpx.Client(transport=httpx.MockTransport(memory)))
    digest = blobs.put(b"{}")
    assert list(memory.objects) == [f"ism/models/{digest}"]
    assert (blobs.get(digest), list(blobs.digests())) == (b"{}", [digest])


def test_a_bucket_that_does_not_exist_is_told_from_a_file_that_is_missing(bucket, memory):
    from dataclasses import replace

    other = S3Blobs(replace(bucket, name="other"), httpx.Client(transport=httpx.MockTransport(memory)))
    with pytest.raises(ArtifactError, match="no such bucket"):
        other.put(b"{}")
    with pytest.raises(ArtifactError, match="no such bucket"):
        list(other.digests())
