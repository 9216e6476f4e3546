"""What every store must pass: one check for each promise of `ism.storage.Store`.

A store's author runs each of them on a fresh, empty store::

    @pytest.mark.parametrize("check", STORE_CHECKS, ids=lambda check: check.__name__)
    def test_store(check, my_empty_store):
        check(my_empty_store)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

from ism.domain.errors import ConflictError, InvalidInputError, IsmError, NotFoundError, StorageError
from ism.domain.market import Company, Exchange, Listing, Recommendation
from ism.domain.production import ConfigVersion
from ism.storage.base import ApiKey, BulkResult, MarketValue, Store, WebSession

StoreCheck = Callable[[Store], None]

MILL = Company(
    "mill", "Papierfabrik Grünwald \U0001f3ed", "17.12", "DE", 48.0421, 11.5256, "fine papers", "survey 2024"
)
KILN = Company("kiln", "Kiln & Söhne", "23.51")
SLUDGE = Listing(
    "sludge",
    "mill",
    "offer",
    "de-inking sludge",
    "50 % dry",
    "03 03 05",
    12_500.5,
    -18.0,
    False,
    date(2024, 1, 1),
    date(2026, 12, 31),
)
MARL = Listing("marl", "kiln", "need", "calcareous filler")
DELIVERY = Exchange(
    "delivery",
    "mill",
    "kiln",
    "de-inking sludge",
    "",
    "03 03 05",
    9_000.0,
    2011,
    "operating",
    "raw meal",
    "doi:10/x",
    "page 3",
)
MARKET: tuple[MarketValue, ...] = (MILL, KILN, SLUDGE, MARL, DELIVERY)
NOW = datetime(2025, 3, 30, 1, 59, 59, 123456, tzinfo=UTC)


class _InterruptedError(Exception):
    """Raised by a source of values in the middle of a bulk write."""


def expect(promise: str, kept: bool) -> None:
    """Fail with the promise that was broken; unlike ``assert`` it also works under ``python -O``."""
    if not kept:
        raise AssertionError(f"broken promise: {promise}")


def expect_refused(error: type[Exception], names: str, call: Callable[[], object]) -> None:
    """Fail unless the call raises the error with ``names`` in its message."""
    try:
        result = call()
    except error as refusal:
        expect(f"the {error.__name__} names {names!r}, not: {refusal}", names in str(refusal))
    else:
        raise AssertionError(f"broken promise: {names!r} is refused with {error.__name__}; got {result!r}")


def check_round_trip(store: Store) -> None:
    """Values come back as they went in, known and unknown fields alike."""
    for value in MARKET:
        store.create(value)
    expect("get returns what was created", _all(store) == set(MARKET))
    got = store.get(Listing, "sludge")
    expect(
        "types survive", (type(got.hazardous), type(got.valid_from), type(got.price_eur_per_t)) == (bool, date, float)
    )
    expect("unknown stays unknown", store.get(Listing, "marl").hazardous is None)


def check_create_refuses(store: Store) -> None:
    """A taken identifier, an unknown company and an unknown identifier are each refused by name."""
    store.create(MILL)
    before = store.generation()
    expect_refused(ConflictError, "'mill'", lambda: store.create(replace(KILN, company_id="mill")))
    expect_refused(ConflictError, "'mill'", lambda: store.create(MILL, dataset="other"))
    expect_refused(InvalidInputError, "company_id: 'kiln'", lambda: store.create(MARL))
    expect_refused(InvalidInputError, "to_company: 'kiln'", lambda: store.create(DELIVERY))
    expect_refused(NotFoundError, "'kiln'", lambda: store.get(Company, "kiln"))
    expect_refused(InvalidInputError, "kind", lambda: store.get(str, "kiln"))  # type: ignore[type-var]  # wrong on purpose
    expect("what was refused left no trace", _all(store) == {MILL} and store.generation() == before)


def check_values_are_sound(store: Store) -> None:
    """What a database would keep wrongly, or could not keep, is refused by field; limits themselves are kept."""
    bad: list[tuple[str, MarketValue]] = [
        ("latitude", replace(MILL, latitude=float("nan"))),
        ("latitude", replace(MILL, latitude=90.001)),
        ("longitude", replace(MILL, longitude=float("-inf"))),
        ("name", replace(MILL, name="")),
        ("name", replace(MILL, name="a\0b")),
        ("description", replace(MILL, description="half \ud83d")),
        ("description", replace(MILL, description=None)),  # type: ignore[arg-type]  # wrong on purpose
        ("company_id", replace(MILL, company_id="")),
        ("company_id", replace(MILL, company_id="x" * 201)),
        ("quantity_t_per_year", replace(SLUDGE, quantity_t_per_year=-0.1)),
        ("quantity_t_per_year", replace(SLUDGE, quantity_t_per_year=float("inf"))),
        ("price_eur_per_t", replace(SLUDGE, price_eur_per_t=float("nan"))),
        ("kind", replace(SLUDGE, kind="gift")),  # type: ignore[arg-type]  # wrong on purpose
        ("valid_until", replace(SLUDGE, valid_until=date(2023, 12, 31))),
        ("valid_from", replace(SLUDGE, valid_from=NOW)),
        ("hazardous", replace(SLUDGE, hazardous=1)),  # type: ignore[arg-type]  # wrong on purpose
        ("status", replace(DELIVERY, status="rumoured")),  # type: ignore[arg-type]  # wrong on purpose
        ("year_start", replace(DELIVERY, year_start=20_011)),
    ]
    store.bulk_upsert(MARKET)
    for field, value in bad:
        expect_refused(InvalidInputError, f"{field}:", lambda value=value: store.create(value))  # type: ignore[misc]  # a bound default
        expect_refused(InvalidInputError, f"{field}:", lambda value=value: store.bulk_upsert([value]))  # type: ignore[misc]  # as above
    edge = Company("x" * 200, " ", latitude=-90.0, longitude=180, description="quotes ' \" ; -- \n\t %s :x é")
    store.create(edge)
    expect("limits are inclusive and odd texts survive", store.get(Company, "x" * 200) == edge)
    expect("what was refused left no trace", _all(store) == {*MARKET, edge})


def check_pages(store: Store) -> None:
    """Pages follow each other in code-point order, without gaps or repetitions."""
    names = ["b", "B", "a", "A", "é", "z", "Z", "_", "10", "9", "\U0001f600", "\uffff"]
    store.bulk_upsert(Company(name, "n") for name in names)
    seen: list[str] = []
    after = None
    while True:
        page = store.page(Company, after=after, limit=5)
        seen += [company.company_id for company in page.items]
        after = page.after
        if after is None:
            break
    expect(f"identifiers come in code-point order: {seen}", seen == sorted(names))
    expect("a page that is exactly full is the last one", store.page(Company, limit=len(names)).after is None)
    expect("an empty page ends", store.page(Company, after="\U0010ffff").items == [])
    for limit in (0, -1, 1_001):
        expect_refused(InvalidInputError, "limit", lambda limit=limit: store.page(Company, limit=limit))  # type: ignore[misc]  # a bound default


def check_filters(store: Store) -> None:
    """Filters select by equality, together, in pages and counts alike."""
    store.bulk_upsert(MARKET)
    store.create(Company("demo", "Demo", country="DE"), dataset="demo")
    expect("one filter", store.page(Listing, where={"kind": "offer"}).items == [SLUDGE])
    expect("two filters", store.page(Listing, where={"kind": "offer", "company_id": "kiln"}).items == [])
    for side in ("mill", "kiln"):
        expect(
            "an exchange is found from either side",
            store.page(Exchange, where={"company_id": side}).items == [DELIVERY],
        )
    expect("a side can be named", store.count(Exchange, {"to_company": "mill"}) == 0)
    expect("a dataset is a filter", store.count(Company, {"country": "DE", "dataset": "demo"}) == 1)
    expect("count without a filter", store.count(Company) == 3)
    expect_refused(InvalidInputError, "colour", lambda: store.page(Company, where={"colour": "red"}))
    expect_refused(InvalidInputError, "kind", lambda: store.count(Listing, {"kind": 7}))


def check_update(store: Store) -> None:
    """An update changes the named fields only, and nothing when it is refused."""
    store.bulk_upsert(MARKET)
    changed = store.update(Listing, "sludge", {"quantity_t_per_year": None, "material": "paper sludge"})
    expect("the whole value is returned", changed == replace(SLUDGE, quantity_t_per_year=None, material="paper sludge"))
    expect("and stored", store.get(Listing, "sludge") == changed)
    before = store.generation()
    expect_refused(NotFoundError, "'gone'", lambda: store.update(Company, "gone", {"name": "x"}))
    expect_refused(InvalidInputError, "listing_id", lambda: store.update(Listing, "sludge", {"listing_id": "new"}))
    expect_refused(InvalidInputError, "colour", lambda: store.update(Listing, "sludge", {"colour": "grey"}))
    expect_refused(InvalidInputError, "company_id", lambda: store.update(Listing, "sludge", {"company_id": "gone"}))
    expect_refused(
        InvalidInputError, "longitude", lambda: store.update(Company, "mill", {"name": "new", "longitude": 180.5})
    )
    expect("a refused update leaves everything", store.get(Company, "mill") == MILL and store.generation() == before)


def check_delete(store: Store) -> None:
    """A company takes its listings with it, and stays while exchanges name it."""
    store.bulk_upsert(MARKET)
    expect_refused(ConflictError, "'delivery'", lambda: store.delete(Company, "kiln"))
    expect("a refused delete leaves everything", _all(store) == set(MARKET))
    store.delete(Exchange, "delivery")
    store.delete(Company, "kiln")
    expect("its listings are gone, others stay", _all(store) == {MILL, SLUDGE})
    expect_refused(NotFoundError, "'kiln'", lambda: store.delete(Company, "kiln"))


def check_bulk(store: Store) -> None:
    """A bulk write creates and replaces, across batches, with references within it; the last value wins."""
    values: list[MarketValue] = []
    for number in range(1_500):
        values.append(Company(f"c{number}", "first"))
        values.append(Listing(f"l{number}", f"c{number}", "offer", "slag"))
        values.append(Exchange(f"e{number}", f"c{number}", f"c{number // 2}", "slag"))
    expect("all are created", store.bulk_upsert(iter(values)) == BulkResult(4_500, 0))
    again = [Company("c0", "second"), Company("new", "first"), Company("c0", "third"), Company("new", "fourth")]
    expect("counts add up to what was handed in", store.bulk_upsert(again) == BulkResult(1, 3))
    expect("the last value wins", [store.get(Company, key).name for key in ("c0", "new")] == ["third", "fourth"])
    expect("replacing a company keeps its listings", store.count(Listing) == 1_500)
    expect("nothing is also something", store.bulk_upsert([]) == BulkResult(0, 0))


def check_bulk_is_all_or_nothing(store: Store) -> None:
    """A bulk write that fails late, for whatever reason, leaves nothing; its error is passed on."""
    store.bulk_upsert(MARKET)
    before = store.generation()

    def source(last: Callable[[], MarketValue]) -> Iterator[MarketValue]:
        yield replace(MILL, name="overwritten")
        yield from (Company(f"c{number}", "n") for number in range(2_500))
        yield last()

    def interrupt() -> MarketValue:
        raise _InterruptedError("the file ended here")

    expect_refused(_InterruptedError, "the file ended here", lambda: store.bulk_upsert(source(interrupt)))
    expect_refused(
        InvalidInputError, "latitude", lambda: store.bulk_upsert(source(lambda: replace(KILN, latitude=91.0)))
    )
    expect_refused(
        InvalidInputError,
        "company_id: 'gone'",
        lambda: store.bulk_upsert(source(lambda: replace(MARL, company_id="gone"))),
    )
    corrected = [replace(MARL, company_id="gone"), MARL]
    expect_refused(InvalidInputError, "company_id: 'gone'", lambda: store.bulk_upsert(corrected))
    expect("nothing of it is stored", _all(store) == set(MARKET))
    expect("the generation is what it was", store.generation() == before)
    expect("the store still works", store.bulk_upsert([replace(MILL, name="new")]) == BulkResult(0, 1))


def check_datasets(store: Store) -> None:
    """Datasets stay apart: none takes over another's rows, each can be removed unless another one builds on it."""
    store.bulk_upsert(MARKET)
    store.bulk_upsert(
        [Company("d1", "Demo"), Listing("d2", "d1", "offer", "ash"), Listing("d3", "mill", "need", "ash")], "demo"
    )
    rows = {"market": {"company": 2, "listing": 2, "exchange": 1}, "demo": {"company": 1, "listing": 2, "exchange": 0}}
    expect("rows are counted by dataset", store.datasets() == rows)
    expect_refused(ConflictError, "'mill'", lambda: store.bulk_upsert([Company("d9", "New"), MILL], "demo"))
    expect_refused(ConflictError, "'d3'", lambda: store.delete_dataset("market"))
    expect("refusals leave everything", store.datasets() == rows)
    store.update(Company, "d1", {"name": "still demo"})
    expect("a dataset is removed", store.delete_dataset("demo") == rows["demo"])
    expect("and nothing else", _all(store) == set(MARKET))
    expect_refused(NotFoundError, "'demo'", lambda: store.delete_dataset("demo"))
    store.delete_dataset("market")
    expect("an empty market has no dataset", store.datasets() == {} and _all(store) == set())


def check_generation(store: Store) -> None:
    """Each market write raises the generation; reads, logs, keys and settings do not."""
    writes: list[Callable[[], object]] = [
        lambda: store.create(MILL),
        lambda: store.bulk_upsert([KILN, MARL]),
        lambda: store.update(Company, "mill", {"name": "m"}),
        lambda: store.delete(Listing, "marl"),
        lambda: store.delete_dataset("market"),
    ]
    for number, write in enumerate(writes):
        before = store.generation()
        write()
        expect(f"market write {number} raises the generation", store.generation() > before)
    before = store.generation()
    store.log_recommendations(_shown("r"))
    store.set_setting("a", 1)
    store.add_api_key(ApiKey("k", "", "viewer", "h", NOW))
    store.page(Company)
    expect("other calls leave the generation", store.generation() == before)


def check_read_market(store: Store) -> None:
    """A reader sees one moment, in order, as values or as columns, of all datasets or some."""
    store.bulk_upsert(MARKET)
    store.create(Company("demo", "Demo"), dataset="demo")
    with store.read_market() as reader:
        expect("it reads the current generation", reader.generation == store.generation())
        first = list(reader.rows(Company))
        store.update(Company, "mill", {"name": "changed meanwhile"})
        store.delete(Exchange, "delivery")
        expect(
            "writes meanwhile are not seen",
            list(reader.rows(Exchange)) == [DELIVERY] and first == list(reader.rows(Company)),
        )
        expect("its generation shows that it is stale", reader.generation < store.generation())
        expect("rows come by identifier", [company.company_id for company in first] == ["demo", "kiln", "mill"])
        batches = list(reader.columns(Listing, size=1))
        expect("batches have the asked size", [len(batch["listing_id"]) for batch in batches] == [1, 1])
        rows = [Listing(*row) for batch in batches for row in zip(*batch.values(), strict=True)]
        expect("columns hold the same values as rows", rows == list(reader.rows(Listing)) == [MARL, SLUDGE])
    with store.read_market(datasets={"demo"}) as reader:
        expect("datasets select", [company.company_id for company in reader.rows(Company)] == ["demo"])
        expect("an empty kind gives no batch", list(reader.columns(Exchange)) == [])


def check_recommendations(store: Store) -> None:
    """What was shown is logged for good: whole requests, once, exactly as they were."""
    shown = _shown("r1")
    store.log_recommendations([*shown, *_shown("r2")])
    expect("each comes back", [store.get_recommendation(item.recommendation_id) for item in shown] == shown)
    expect("times come back in UTC", store.get_recommendation("r1-1").created_at.__repr__() == repr(NOW))
    expect("a request comes back by rank", store.get_request("r1") == sorted(shown, key=lambda item: item.rank))
    expect_refused(ConflictError, "'r1'", lambda: store.log_recommendations([*_shown("r0"), *shown]))
    stolen = replace(_shown("r3")[0], recommendation_id="r1-1")
    expect_refused(ConflictError, "'r1-1'", lambda: store.log_recommendations([*_shown("r0"), stolen]))
    mixed = [replace(item, offer={"material": item.recommendation_id}) for item in _shown("r0")]
    expect_refused(InvalidInputError, "offer", lambda: store.log_recommendations(mixed))
    same_rank = [replace(item, rank=1) for item in _shown("r0")]
    expect_refused(IsmError, "rank", lambda: store.log_recommendations(same_rank))
    for field, value in (
        ("final_score", 1.01),
        ("propensity", float("nan")),
        ("rank", 0),
        ("engine_scores", {"m": float("nan")}),
    ):
        bad = [replace(_shown("r0")[0], **{field: value})]  # type: ignore[arg-type]  # one field of several types
        expect_refused(InvalidInputError, field, lambda bad=bad: store.log_recommendations(bad))  # type: ignore[misc]  # a bound default
    expect_refused(NotFoundError, "'r0'", lambda: store.get_request("r0"))
    store.log_recommendations([replace(shown[0], recommendation_id="r4-1", request_id="r4", created_at=None)])
    logged = store.get_recommendation("r4-1").created_at
    expect("a missing time is now", logged is not None and abs(datetime.now(UTC) - logged) < timedelta(minutes=5))
    store.log_recommendations([])


def check_keys_and_settings(store: Store) -> None:
    """Keys are found by their public part and revoked once; sessions end; settings hold JSON; all are its own."""
    key = ApiKey("k1", "first", "admin", "$argon2id$x", NOW.astimezone(timezone(timedelta(hours=-5))))
    store.add_api_key(key)
    store.add_api_key(replace(key, key_id="K1", role="viewer"))
    expect("a key comes back", store.get_api_key("k1") == key)
    expect("keys come by identifier", [item.key_id for item in store.list_api_keys()] == ["K1", "k1"])
    expect_refused(ConflictError, "'k1'", lambda: store.add_api_key(key))
    expect_refused(InvalidInputError, "role", lambda: store.add_api_key(replace(key, key_id="k2", role="king")))  # type: ignore[arg-type]  # wrong on purpose
    expect_refused(
        InvalidInputError,
        "created_at",
        lambda: store.add_api_key(replace(key, key_id="k2", created_at=datetime(2025, 1, 1))),
    )
    store.revoke_api_key("k1", NOW)
    expect("the first revocation stays", store.revoke_api_key("k1", NOW + timedelta(days=1)).revoked_at == NOW)
    expect_refused(NotFoundError, "'k9'", lambda: store.revoke_api_key("k9", NOW))
    expect_refused(NotFoundError, "'k9'", lambda: store.get_api_key("k9"))
    session = WebSession("d1", "first", "admin", "k1", NOW, NOW)
    store.add_session(session, NOW - timedelta(hours=12))
    store.add_session(replace(session, digest="d2", key_id=None), NOW - timedelta(hours=12))
    expect("a session comes back", store.get_session("d1") == session)
    expect_refused(ConflictError, "'d1'", lambda: store.add_session(session, NOW))
    store.see_session("d1", NOW + timedelta(hours=1))
    store.see_session("d9", NOW)
    expect("its last use is kept", store.get_session("d1").seen_at == NOW + timedelta(hours=1))
    store.end_sessions("d1")
    store.end_sessions("d1")
    expect_refused(NotFoundError, "'d1'", lambda: store.get_session("d1"))
    later = NOW + timedelta(hours=13)
    store.add_session(replace(session, digest="d3", began_at=later, seen_at=later), NOW + timedelta(hours=1))
    expect_refused(NotFoundError, "'d2'", lambda: store.get_session("d2"))
    store.end_sessions()
    expect_refused(NotFoundError, "'d3'", lambda: store.get_session("d3"))
    value = {"weights": [0.1, 1e-300], "name": "é", "none": None}
    store.set_setting("fusion", value)
    value["name"] = "changed by its owner"
    expect("a setting is a copy", store.get_setting("fusion") == {"weights": [0.1, 1e-300], "name": "é", "none": None})
    store.set_setting("fusion", [1])
    expect("a setting is replaced", store.get_setting("fusion") == [1] and store.get_setting("other", 5) == 5)
    expect_refused(InvalidInputError, "value", lambda: store.set_setting("fusion", {"x": float("inf")}))
    expect_refused(InvalidInputError, "value", lambda: store.set_setting("fusion", ["a\0"]))


def check_configuration(store: Store) -> None:
    """Versions are appended one by one, and come back as they were, newest first."""
    first = ConfigVersion(1, NOW, "ada", "", "update", {"log_level": ("INFO", "DEBUG")}, {"log_level": "DEBUG"})
    second = ConfigVersion(2, NOW, "bob", "back", "undo", {"log_level": ("DEBUG", "INFO")}, {}, 1)
    expect("there is none at first", store.configuration.config_versions() == [])
    store.configuration.add_config_version(first)
    expect_refused(ConflictError, "version 1", lambda: store.configuration.add_config_version(first))
    expect_refused(
        ConflictError, "version 1", lambda: store.configuration.add_config_version(replace(second, number=3))
    )
    expect_refused(
        InvalidInputError, "actor", lambda: store.configuration.add_config_version(replace(second, actor=""))
    )
    store.configuration.add_config_version(second)
    expect("the newest comes first", store.configuration.config_versions() == [second, first])
    expect("no more than asked for", store.configuration.config_versions(1) == [second])


def check_threads(store: Store) -> None:
    """Writers of many threads lose nothing, and readers neither wait for a bulk write nor see it before it is done."""
    start = store.generation()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.create(Company(f"t{number:02d}", "n")), range(40)))
    expect("no write is lost", store.count(Company) == 40 and store.generation() == start + 40)
    seen: list[int] = []

    def source() -> Iterator[Company]:
        yield from (Company(f"b{number}", "n") for number in range(2_500))
        reader = threading.Thread(target=lambda: seen.append(store.count(Company)), daemon=True)
        reader.start()
        reader.join(10)

    store.bulk_upsert(source())
    expect(f"a reader does not wait and sees what is committed: {seen}", seen == [40])
    expect("a read after a write sees it", store.count(Company) == 2_540)


def check_close(store: Store) -> None:
    """A closed store says so; closing twice does no harm."""
    store.ping()
    expect("a location is told", bool(store.location))
    store.close()
    store.close()
    for call in (store.ping, store.generation, lambda: store.create(MILL)):
        expect_refused(StorageError, "closed", call)


STORE_CHECKS: tuple[StoreCheck, ...] = (
    check_round_trip,
    check_create_refuses,
    check_values_are_sound,
    check_pages,
    check_filters,
    check_update,
    check_delete,
    check_bulk,
    check_bulk_is_all_or_nothing,
    check_datasets,
    check_generation,
    check_read_market,
    check_recommendations,
    check_keys_and_settings,
    check_configuration,
    check_threads,
    check_close,
)


def _all(store: Store) -> set[MarketValue]:
    kinds: tuple[type[MarketValue], ...] = (Company, Listing, Exchange)
    return {value for kind in kinds for value in store.page(kind, limit=1_000).items}


def _shown(request: str) -> list[Recommendation]:
    """Two recommendations of one request, the second rank first."""
    return [
        Recommendation(
            recommendation_id=f"{request}-{rank}",
            request_id=request,
            rank=rank,
            receiver_kind="company" if rank == 1 else "sector",
            receiver_id=f"receiver {rank}",
            final_score=0.1 + 0.2 * rank,
            confidence=1.0,
            propensity=1 / 3,
            engine_scores={"matching": 0.1 + 0.2, "gnn": 0.0},
            model_versions={"matching": "v1"},
            offer={"material": "Flugasche ä", "quantity_t_per_year": 5e4, "ewc": None, "tags": ["a", {"b": 1}]},
            created_at=NOW.astimezone(timezone(timedelta(hours=2))),
        )
        for rank in (2, 1)
    ]
