"""Protocol A: MAESTRI, receivers of documented exchanges, leaving out one source group at a time."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from tqdm import tqdm

from bench import baselines
from bench.baselines import Asked
from bench.peers import PEERS
from bench.protocol import Methods, Questions, Ranks, Split, joined, result, split_ranks
from bench.report import ranking_section
from bench.setup import Options, engine_makers, text_encoder
from ism.data.codes import nace
from ism.data.market import Ints, Market, OfferArrays, Precedents, Receivers, Rows, ewc_levels, nace_levels
from ism.data.public import maestri, required_file
from ism.data.text import TextEncoder
from ism.engines.base import Snapshot

TITLE = "A. MAESTRI: which sector takes this waste?"
NEEDS_DATA = True
HEADLINE = "recall@10"
NOTES = """\
Question: donor NACE class, List-of-Waste code and waste text of a documented exchange. Candidates: the 615 four-digit
NACE classes and the coarser codes that the data use. One source group is left out at a time; everything (engines,
calibrations, baselines) is fitted on the other groups only.

The reader finds 31 source groups. Cases that are connected through any shared paper, directly or through other cases,
are one group here; a count of 33 comes about only when some of the shared papers are overlooked, which would let a
paper stand on both sides of a split.

A case with several receivers in its cell counts with its best-ranked one; other true receivers of the same question
do not compete. *Seen* cases have a receiver that occurs in another group; a method that only remembers cannot answer
the others.

The bundled demonstration market is left out, since it tells some of the same cases; the only precedents are the
training rows. The neighbours' number of the baselines and the defaults of the engines (size of the trees,
regularisation, form of the path features, that the graph network and the federated model see the curated rules) were
settled while looking at these data: read the table as development figures. In *without the curated rules* no engine
sees them.
"""
_FAST_GROUPS = 4


@dataclass(frozen=True)
class Cases:
    """All cases as one market with columns beside it.

    Attributes:
        market: every NACE class as receiver; every (case, receiver) as precedent.
        precedent_groups: ``[p]``.
        asked: the ``q`` cases as questions.
        takers, hidden: rows of the true receivers of each case, and of the question's other true receivers.
        groups: ``[q]``.
    """

    market: Market
    precedent_groups: Ints
    asked: Asked
    takers: list[Rows]
    hidden: list[Rows]
    groups: Ints

    def split(self, group: int) -> Split:
        """Learn from every other group, ask about this one."""
        kept, mine = np.flatnonzero(self.precedent_groups != group), np.flatnonzero(self.groups == group)
        return Split(
            Snapshot(self.market.keeping(kept), self.precedent_groups[kept]),
            Asked(self.asked.arrays.take(mine), [self.asked.texts[row] for row in mine]),
            [self.takers[row] for row in mine],
            [self.hidden[row] for row in mine],
        )


def run(options: Options) -> dict[str, Any]:
    """The whole protocol."""
    started = time.perf_counter()
    path = required_file(options.folder() / maestri.FILE)
    cases, _ = _prepared(path, options.fast)
    names = np.unique(cases.groups).tolist()
    parts: dict[int, Ranks] = {}
    with tqdm(total=len(names), desc="maestri: source groups left out", unit="group") as bar:
        for name, ranks in _each_group(path, options, names):
            parts[name] = ranks
            bar.update()
    order = np.concatenate([np.flatnonzero(cases.groups == name) for name in names])
    ranks = joined([parts[name] for name in names])
    known = seen(cases)[order]
    return result(
        "maestri",
        ranks,
        Questions(cases.groups[order], {"seen": known, "unseen": ~known}),
        HEADLINE,
        candidates=len(cases.market.receivers),
        seconds=time.perf_counter() - started,
    )


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    return ranking_section(found, TITLE, NOTES, about)


def methods(encoder: TextEncoder) -> Methods:
    """Engines with the curated rules, those of them that use any without, and the baselines."""
    plain = {
        "popularity": baselines.popularity,
        "ewc_association": baselines.ewc_association,
        "bm25_knn": baselines.bm25_knn,
        "tfidf_knn": baselines.tfidf_knn,
        "minilm_knn": baselines.minilm_knn,
    }
    bare = engine_makers(encoder, use_rules=False)
    bare.pop("matching")  # knows no rules anyway
    return Methods(engine_makers(encoder), bare, plain, [name for name in plain if name != "popularity"])


def read_cases(frame: pl.DataFrame, encoder: TextEncoder) -> Cases:
    """Market and questions of `ism.data.public.maestri.cases`; of several donor or waste codes the first counts."""
    units = list(frame.iter_rows(named=True))
    answers = [unit["receiver_nace"].split(";") for unit in units]
    codes = [*nace.all_classes(), *sorted({code for cell in answers for code in cell} - set(nace.all_classes()))]
    row = {code: place for place, code in enumerate(codes)}
    takers = [np.unique([row[code] for code in cell]).astype(np.intp) for cell in answers]
    questions = [(unit["donor_nace"], unit["ewc"], unit["waste_text"]) for unit in units]
    truth: dict[tuple[str, str, str], set[int]] = {}
    for question, mine in zip(questions, takers, strict=True):
        truth.setdefault(question, set()).update(mine.tolist())
    hidden = [np.asarray(sorted(truth[question]), dtype=np.intp) for question in questions]
    texts = [unit["waste_text"] for unit in units]
    unknown = np.full(len(units), np.nan, dtype=np.float32)
    offers = OfferArrays(
        vectors=encoder.encode(texts),
        ewc=ewc_levels([unit["ewc"].split(";")[0] for unit in units]),
        nace=nace_levels([unit["donor_nace"].split(";")[0] for unit in units]),
        latitude=unknown,
        longitude=unknown,
        quantity=unknown,
    )
    groups = np.asarray([unit["group"] for unit in units], dtype=np.int32)
    receivers = _sectors(codes, encoder)
    pairs = sorted((int(taker), case) for case, mine in enumerate(takers) for taker in mine)
    case = np.asarray([number for _, number in pairs], dtype=np.intp)
    past = _precedents(
        receivers, np.asarray([taker for taker, _ in pairs], dtype=np.intp), offers.take(case), texts, case
    )
    return Cases(Market(receivers, past), groups[case], Asked(offers, texts), takers, hidden, groups)


def seen(cases: Cases) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """``[q]`` whether another group has one of the case's receivers."""
    receiver = cases.market.precedents.receiver
    return np.asarray(
        [
            bool(np.isin(takers, receiver[cases.precedent_groups != group]).any())
            for takers, group in zip(cases.takers, cases.groups, strict=True)
        ]
    )


def _sectors(codes: list[str], encoder: TextEncoder) -> Receivers:
    titles = [nace.title(code) for code in codes]
    nowhere = np.full(len(codes), np.nan, dtype=np.float32)
    return Receivers(
        ids=codes,
        names=titles,
        kinds=["sector"] * len(codes),
        nace=nace_levels(codes),
        latitude=nowhere,
        longitude=nowhere,
        countries=[""] * len(codes),
        needs=encoder.encode(titles),
        need_owner=np.arange(len(codes), dtype=np.intp),
        need_texts=titles,
    )


def _precedents(receivers: Receivers, takers: Rows, offers: OfferArrays, texts: list[str], case: Rows) -> Precedents:
    return Precedents(
        receiver=takers,
        vectors=offers.vectors,
        ewc=offers.ewc,
        donor_nace=offers.nace,
        receiver_nace=receivers.nace[takers],
        latitude=offers.latitude,
        longitude=offers.longitude,
        texts=[texts[number] for number in case],
        references=[""] * len(case),
        sources=[""] * len(case),
    )


def _each_group(path: Path, options: Options, names: list[int]) -> Iterator[tuple[int, Ranks]]:
    """Ranks of each group's cases; groups are independent, so processes can share them without changing a number."""
    left_out = partial(_left_out, path, options.fast, options.peers)
    if options.jobs <= 1:
        yield from map(left_out, names)
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read by the processes to come: they would wait for each other
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        yield from pool.imap_unordered(left_out, names)


def _left_out(path: Path, fast: bool, peers: bool, group: int) -> tuple[int, Ranks]:
    cases, compared = _prepared(path, fast)
    compared = replace(compared, peers=PEERS if peers else {})
    return group, split_ranks(cases.split(group), compared)


@cache
def _prepared(path: Path, fast: bool) -> tuple[Cases, Methods]:
    """Cases and methods; made once in each process."""
    encoder, frame = text_encoder(), maestri.cases(path)
    part = frame.filter(pl.col("group") < _FAST_GROUPS) if fast else frame
    return read_cases(part, encoder), methods(encoder)
