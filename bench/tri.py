"""Protocol B: off-site waste transfers of 1987; learn from four fifths of the senders, ask about the others."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from bench import baselines, transfers
from bench.peers import PEERS
from bench.protocol import Methods, Questions, Ranks, Split, part, result, split_ranks
from bench.report import ranking_section
from bench.setup import Options, engine_makers, text_encoder
from ism.data.market import Rows
from ism.data.public import tri
from ism.data.text import TextEncoder

TITLE = "B. TRI 1987: which facility treats this transfer?"
NEEDS_DATA = True
HEADLINE = "mrr"
NOTES = """\
Question: a sender (place, NAICS) with a chemical. Candidates: every receiver in the training split. Senders are split
80/20 by their sorted identifiers with a fixed seed, so that no sender is on both sides. A question counts with its
best-ranked true receiver (Recall@10 is then the usual Hits@10); one whose receivers are all unseen in training counts
as a miss.

*Recovery only*: questions with a transfer for recovery, recycling or reuse; only the receivers of such transfers are
right, the question's other receivers do not compete. The treatment and the quantity are never an input.

Most receivers are waste managers: this is generator-to-treater matching, not symbiosis. EWC association does not
apply, since these transfers carry no List-of-Waste code; counting by the donor's NAICS and by the chemical stand in
its place. The curated rules lead to NACE sectors, which these receivers do not have, so a run without them would be
the same.

`hand_combination` is log counts of the chemical and of all transfers less the distance, with nothing fitted.
"""
_TEST_SHARE = 5  # one sender in five
_FAST_SENDERS = 400


def run(options: Options) -> dict[str, Any]:
    """The whole protocol."""
    started = time.perf_counter()
    frame = shipments(tri.transfers(options.folder()))
    if options.fast:
        senders = sorted(frame["donor"].unique())[:_FAST_SENDERS]
        frame = frame.filter(pl.col("donor").is_in(senders))
    encoder = text_encoder()
    return evaluated(frame, methods(encoder, peers=options.peers), encoder, started)


def evaluated(frame: pl.DataFrame, compared: Methods, encoder: TextEncoder, started: float) -> dict[str, Any]:
    """The protocol on shipments (`shipments`)."""
    held_out = held_out_senders(frame["donor"].unique().to_list())
    known = frame.filter(~pl.col("donor").is_in(held_out))
    trained = transfers.training(known, encoder)
    everything = transfers.questions(tested := frame.filter(pl.col("donor").is_in(held_out)))
    recovered = transfers.questions(tested.filter(pl.col("recovery")))
    true = dict(
        zip(zip(everything["donor"], everything["material"], strict=True), everything["receivers"], strict=True)
    )
    takers: list[Rows] = []
    hidden: list[Rows] = []
    for row in (*everything.iter_rows(named=True), *recovered.iter_rows(named=True)):
        takers.append(transfers.candidate_rows(trained.row_of, row["receivers"]))
        hidden.append(transfers.candidate_rows(trained.row_of, true[row["donor"], row["material"]]))
    both = pl.concat([everything, recovered])
    split = Split(trained.snapshot, transfers.asked(both, encoder), takers, hidden)
    ranks, count = split_ranks(split, compared), len(everything)
    return result(
        "tri",
        {name: values[:count] for name, values in ranks.items()},
        Questions(everything["donor"].to_numpy(), {}),
        HEADLINE,
        recovery_only=part(_from(ranks, count), recovered["donor"].to_numpy()),
        candidates=len(trained.row_of),
        precedents=len(trained.snapshot.market.precedents),
        seconds=time.perf_counter() - started,
    )


def section(found: Mapping[str, Any], about: str) -> str:
    """The report of a run."""
    return ranking_section(found, TITLE, NOTES, about)


def methods(encoder: TextEncoder, *, peers: bool = False) -> Methods:
    """Engines, baselines and, if asked, peers."""
    plain = {
        "popularity": baselines.popularity,
        "nearest": baselines.nearest,
        "sector_association": baselines.sector_association,
        "chemical_counts": baselines.same_material,
        "bm25_knn": baselines.bm25_knn,
        "tfidf_knn": baselines.tfidf_knn,
        "minilm_knn": baselines.minilm_knn,
        "hand_combination": baselines.hand_combination,
    }
    fused = [name for name in plain if name not in {"popularity", "hand_combination"}]
    return Methods(engine_makers(encoder), {}, plain, fused, PEERS if peers else {})


def shipments(frame: pl.DataFrame) -> pl.DataFrame:
    """Transfers with the columns of `bench.transfers` and ``recovery``, which only slices the report."""
    names = {"chemical": "material", "_label_recovery": "recovery"}
    ours = {name: name.replace("sender", "donor") for name in frame.columns if name.startswith("sender")}
    return frame.rename({**ours, **names}).select(*transfers.COLUMNS, "recovery")


def held_out_senders(senders: list[str], seed: int = 0) -> list[str]:
    """A fifth of the senders, by chance; the order in which they are given does not matter."""
    ordered = sorted(senders)
    drawn = np.random.default_rng(seed).permutation(len(ordered))[: len(ordered) // _TEST_SHARE]
    return [ordered[row] for row in drawn]


def _from(ranks: Ranks, start: int) -> Ranks:
    return {name: values[start:] for name, values in ranks.items()}
