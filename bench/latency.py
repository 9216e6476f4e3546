"""How long the best 20 of 100,000 receivers take, against a bare product of the same embeddings in the same process."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from bench.setup import Options, engine_makers, text_encoder
from ism.data import knowledge
from ism.data.build import BuiltMarket, build_market
from ism.data.codes import nace
from ism.data.knowledge import Rule
from ism.data.market import Market, OfferArrays, Rows, offer_arrays
from ism.data.text import TextEncoder
from ism.domain.market import Company, Exchange, Listing, Offer
from ism.engines.base import Snapshot
from ism.fusion.fit import FittedFusion, fit_fusion
from ism.fusion.retrieve import retrieve

TITLE = "Latency: the best 20 of 100,000 receivers"
NEEDS_DATA = False
NOTES = """\
The market is *simulated*: companies in seeded clusters over Europe, whose sectors, needs and past exchanges are drawn
from the sectors and material names of the curated rules. It says how fast, not how well.

*Match* is what the service does for an offer to find and rank its receivers: candidates proposed by every engine,
scored by every engine, calibrated, fused, best 20 taken. *Bare product* is one numpy product of the offer's vector
with the vectors of all needs and the best 20 of it. They run in turn, in one process. Making the vector of the
offer's text is needed by both and is shown apart; sentences of reasons, estimates and logging are not part of either.

What an engine *adds* is the match less the same match without that engine, each at p50 and p99 of a round.

The offers are gone through several times. A figure is the median over these rounds; the lowest and the highest ratio
of a round are told as well. Nothing is switched off for it: Python collects its garbage as it does when serving, and
both sides use the same number of threads.
"""
TOP = 20
MOST_RATIO, MOST_MIB, MOST_ADDED_MS = 3.0, 1536.0, 10.0
HELD_TO_LIMIT = ("gnn", "federated")
WITHOUT = "without "
_WARM_UP = 5
_TOWNS = 300


@dataclass(frozen=True)
class Size:
    """How large the simulated market is, and how many offers are timed how often."""

    companies: int
    exchanges: int
    offers: int
    rounds: int = 1


FULL, FAST = Size(100_000, 20_000, 200, 5), Size(3_000, 500, 20, 2)
_TAUGHT = Size(300, 300, 0)  # what engines are fitted on: their cost for an offer does not depend on it

Answer = Callable[[OfferArrays], Rows]


def run(options: Options) -> dict[str, Any]:
    """Build the markets, fit, and time."""
    started = time.perf_counter()
    size, encoder = FAST if options.fast else FULL, text_encoder()
    fusion = _taught(encoder)
    market = simulated(size, encoder, seed=1).market
    offers = [offer_arrays([offer], encoder) for offer in simulated_offers(size.offers, seed=2)]
    scored = [len(retrieve(market, offer, fusion.engines.values())) for offer in offers[:_WARM_UP]]
    answers = {"match": matcher(market, fusion), "bare": bare_product(market)}
    answers |= {WITHOUT + name: matcher(market, _without(fusion, name)) for name in fusion.engines}
    rounds = [told_of_round(timed(answers, offers)) for _ in range(size.rounds)]
    ratio = _medians([told["ratio"] for told in rounds])
    peak = peak_mib()
    found: dict[str, Any] = {
        "protocol": "latency",
        "simulated": True,
        "receivers": len(market.receivers),
        "needs": len(market.receivers.needs),
        "precedents": len(market.precedents),
        "offers": len(offers),
        "receivers_scored": float(np.median(scored)),
        "milliseconds": {name: _medians([told["milliseconds"][name] for told in rounds]) for name in answers},
        "ratio": ratio,
        "adds_milliseconds": {name: _medians([told["adds"][name] for told in rounds]) for name in fusion.engines},
        "rounds": rounds,
        "encode_milliseconds": _quantiles(_encoding(encoder, simulated_offers(_WARM_UP, seed=3))),
        "peak_mib": peak,
        "limits": {"ratio_p99": MOST_RATIO, "peak_mib": MOST_MIB, "adds_p50_milliseconds": MOST_ADDED_MS},
        "seconds": time.perf_counter() - started,
    }
    within = ratio["p99"] <= MOST_RATIO and peak < MOST_MIB
    added = (found["adds_milliseconds"][name]["p50"] for name in HELD_TO_LIMIT)
    return found | {"within_limits": bool(within and max(added) <= MOST_ADDED_MS)}


def told_of_round(taken: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, Any]:
    """Milliseconds of each answer in one round, at p50 and p99.

    With the ratio of the match to the bare product, and what each engine adds: the match less the one without it.
    """
    milliseconds = {name: _quantiles(times) for name, times in taken.items()}
    whole = milliseconds["match"]
    ratio = {key: whole[key] / milliseconds["bare"][key] for key in ("p50", "p99")}
    adds = {
        name.removeprefix(WITHOUT): {key: whole[key] - less[key] for key in ("p50", "p99")}
        for name, less in milliseconds.items()
        if name.startswith(WITHOUT)
    }
    return {"milliseconds": milliseconds, "ratio": ratio, "adds": adds}


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    rows = [
        f"| {label} | {found['milliseconds'][name]['p50']:.1f} | {found['milliseconds'][name]['p99']:.1f} |"
        for name, label in (("match", "match"), ("bare", "bare product"))
    ]
    return "\n".join(
        [
            f"## {TITLE}",
            "",
            NOTES,
            about,
            "",
            f"{found['receivers']} receivers (companies and sectors) with {found['needs']} needs, "
            f"{found['precedents']} precedents, {found['offers']} offers; "
            f"about {found['receivers_scored']:.0f} receivers are scored for an offer.",
            "",
            "| | p50, ms | p99, ms |",
            "|---|---|---|",
            *rows,
            f"| ratio (at most {MOST_RATIO:.0f} at p99) | {found['ratio']['p50']:.2f} | {found['ratio']['p99']:.2f} |",
            *_added(found),
            "",
            *_scatter(found.get("rounds", [])),
            f"Making the vector of a text not seen before: {found['encode_milliseconds']['p50']:.1f} ms (median). "
            f"Peak memory of the whole process, building included: {found['peak_mib']:.0f} MiB (limit {MOST_MIB:.0f}).",
        ]
    )


def _added(found: Mapping[str, Any]) -> list[str]:
    """A row for each engine: what it adds to an offer."""
    return [
        f"| {name} adds{f' (at most {MOST_ADDED_MS:.0f} at p50)' if name in HELD_TO_LIMIT else ''} "
        f"| {added['p50']:.1f} | {added['p99']:.1f} |"
        for name, added in found["adds_milliseconds"].items()
    ]


def _scatter(rounds: Sequence[Mapping[str, Any]]) -> list[str]:
    """How far the ratio moves from round to round."""
    if len(rounds) < 2:
        return []
    ratios = {key: sorted(told["ratio"][key] for told in rounds) for key in ("p50", "p99")}
    told = " and ".join(f"{values[0]:.2f} to {values[-1]:.2f} at {key}" for key, values in ratios.items())
    return [f"Ratio of single rounds, {len(rounds)} of them: {told}.", ""]


def matcher(market: Market, fusion: FittedFusion) -> Answer:
    """The service's way from an offer to its best receivers."""

    def best(offer: OfferArrays) -> Rows:
        rows = retrieve(market, offer, fusion.engines.values())
        final = fusion.score(market, offer, rows).final[0]
        return rows[np.argsort(-final, kind="stable")[:TOP]]

    return best


def bare_product(market: Market) -> Answer:
    """One product with every need, and the owners of the closest."""
    needs, owner = market.receivers.needs, market.receivers.need_owner

    def best(offer: OfferArrays) -> Rows:
        cosine = offer.vectors[0] @ needs.T
        return owner[np.argpartition(cosine, -TOP)[-TOP:]]

    return best


def timed(answers: Mapping[str, Answer], offers: list[OfferArrays]) -> dict[str, npt.NDArray[np.float64]]:
    """Seconds of each answer to each offer; answers take turns, so that what slows the machine slows all.

    Each is at another place among the offers, since what is worked out for an offer is kept for the next question.
    """
    for answer in answers.values():
        for offer in offers[:_WARM_UP]:
            answer(offer)
    taken: dict[str, list[float]] = {name: [] for name in answers}
    apart = max(1, len(offers) // len(answers))
    for number in tqdm(range(len(offers)), desc="latency", unit="offer"):
        for place, (name, answer) in enumerate(answers.items()):
            offer = offers[(number + place * apart) % len(offers)]
            started = time.perf_counter()
            answer(offer)
            taken[name].append(time.perf_counter() - started)
    return {name: np.asarray(values) for name, values in taken.items()}


def simulated(size: Size, encoder: TextEncoder, seed: int) -> BuiltMarket:
    """A market in which companies need, and took, what the curated rules say that their sector can use."""
    rng = np.random.default_rng(seed)
    rules = knowledge.rules()
    drawn = rng.integers(len(rules), size=size.companies)
    places = _places(size.companies, rng)
    companies = [
        Company(f"c{i}", f"Company {i}", _class_under(rules[rule], rng), "DE", *places[i])
        for i, rule in enumerate(drawn)
    ]
    listings = [Listing(f"l{i}", f"c{i}", "need", _name(rules[rule], rng)) for i, rule in enumerate(drawn)]
    receivers = rng.integers(size.companies, size=size.exchanges)
    donors = rng.integers(size.companies, size=size.exchanges)
    exchanges = [
        Exchange(
            f"x{i}",
            f"c{donors[i]}",
            f"c{receivers[i]}",
            _name(rules[drawn[receivers[i]]], rng),
            ewc=next(iter(rules[drawn[receivers[i]]].ewc), None),
            status="operating",
        )
        for i in range(size.exchanges)
    ]
    return build_market(companies, listings, exchanges, encoder)


def simulated_offers(count: int, seed: int) -> list[Offer]:
    """Offers of the rules' materials by their typical donors."""
    rng = np.random.default_rng(seed)
    rules = knowledge.rules()
    places = _places(count, rng)
    return [
        Offer(
            _name(rule := rules[int(rng.integers(len(rules)))], rng),
            description=f"about {int(rng.integers(1, 500)) * 100} tonnes a year, dry, in bulk",
            ewc=next(iter(rule.ewc), None),
            nace=next(iter(rule.donor_nace), None),
            latitude=places[i][0],
            longitude=places[i][1],
        )
        for i in range(count)
    ]


def peak_mib() -> float:
    """Most memory that this process ever held, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _taught(encoder: TextEncoder) -> FittedFusion:
    small = simulated(_TAUGHT, encoder, seed=0)
    return fit_fusion(Snapshot(small.market, small.groups), engine_makers(encoder))


def _without(fusion: FittedFusion, name: str) -> FittedFusion:
    return replace(fusion, engines={other: engine for other, engine in fusion.engines.items() if other != name})


def _places(count: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    towns = np.column_stack([rng.uniform(37.0, 60.0, _TOWNS), rng.uniform(-8.0, 25.0, _TOWNS)])
    around = towns[rng.integers(_TOWNS, size=count)] + rng.normal(0.0, 0.2, (count, 2))
    return [(float(latitude), float(longitude)) for latitude, longitude in around]


def _name(rule: Rule, rng: np.random.Generator) -> str:
    names = (rule.material, *rule.synonyms)
    return names[int(rng.integers(len(names)))]


def _class_under(rule: Rule, rng: np.random.Generator) -> str:
    """A four-digit class of the sector that a rule leads to."""
    classes = [code for code in nace.all_classes() if code.startswith(rule.receiver_nace)]
    return classes[int(rng.integers(len(classes)))] if classes else rule.receiver_nace


def _encoding(encoder: TextEncoder, offers: list[Offer]) -> npt.NDArray[np.float64]:
    """Seconds to encode each offer's text together with the time, which no cache can have seen."""
    taken = []
    for offer in offers:
        started = time.perf_counter()
        encoder.encode([f"{offer.text} {time.time_ns()}"])
        taken.append(time.perf_counter() - started)
    return np.asarray(taken)


def _medians(told: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {key: float(np.median([values[key] for values in told])) for key in told[0]}


def _quantiles(seconds: npt.NDArray[np.float64]) -> dict[str, float]:
    return {"p50": float(np.median(seconds) * 1000), "p99": float(np.quantile(seconds, 0.99) * 1000)}
