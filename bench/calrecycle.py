"""Protocol C: hazardous-waste manifests in time; learn from the years before, ask about next year's new partners."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from bench import baselines, transfers
from bench.peers import PEERS
from bench.protocol import Methods, Questions, Split, result, split_ranks
from bench.report import ranking_section
from bench.setup import Options, engine_makers, text_encoder
from ism.data.public import calrecycle
from ism.data.text import TextEncoder

TITLE = "C. CalRecycle: who takes it next year?"
NEEDS_DATA = True
HEADLINE = "mrr"
NOTES = """\
Learn from the manifests of the years before, ask about the *new* (generator, receiver) pairs of the last year.
Candidates: every receiver of the years before; a generator's past receivers do not compete. *Known* generators
shipped before, *unseen* ones did not. A question is a generator with a waste code and counts with its best-ranked new
receiver; one whose new receivers were never seen before counts as a miss.

All manifests in these files carry one and the same waste code, 223 (unspecified oil-containing waste). Texts and
codes therefore cannot tell questions apart: the text neighbours would be popularity under other names and are left
out, EWC association does not apply. What remains to learn from is place, NAICS, and who shares receivers with whom.

Rows carry no dates within a year. `hand_combination` is log counts less the distance, with nothing fitted.
"""
_FAST_GENERATORS = 4000  # of a thousand, 122 questions were left, too few to tell methods apart


def run(options: Options) -> dict[str, Any]:
    """The whole protocol."""
    started = time.perf_counter()
    frame = pl.concat([shipments(calrecycle.manifests(options.folder(), year)) for year in calrecycle.YEARS])
    if options.fast:
        generators = sorted(frame["donor"].unique())[:_FAST_GENERATORS]
        frame = frame.filter(pl.col("donor").is_in(generators))
    encoder = text_encoder()
    return evaluated(frame, methods(encoder, peers=options.peers), encoder, started)


def evaluated(frame: pl.DataFrame, compared: Methods, encoder: TextEncoder, started: float) -> dict[str, Any]:
    """The protocol on shipments (`shipments`), asking about the last year that they contain."""
    last = frame["year"].max()
    before, after = frame.filter(pl.col("year") < last), frame.filter(pl.col("year") == last)
    trained = transfers.training(before, encoder)
    chosen = transfers.questions(after.join(before, on=["donor", "receiver"], how="anti", maintain_order="left"))
    past = dict(before.group_by("donor").agg(pl.col("receiver").unique()).iter_rows())
    takers = [transfers.candidate_rows(trained.row_of, names) for names in chosen["receivers"]]
    hidden = [transfers.candidate_rows(trained.row_of, past.get(donor, [])) for donor in chosen["donor"]]
    known = np.asarray([donor in past for donor in chosen["donor"]], dtype=bool)
    ranks = split_ranks(Split(trained.snapshot, transfers.asked(chosen, encoder), takers, hidden), compared)
    return result(
        "calrecycle",
        ranks,
        Questions(chosen["donor"].to_numpy(), {"known_generators": known, "unseen_generators": ~known}),
        HEADLINE,
        year=last,
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
        "hand_combination": baselines.hand_combination,
    }
    return Methods(
        engine_makers(encoder), {}, plain, ["popularity", "nearest", "sector_association"], PEERS if peers else {}
    )


def shipments(frame: pl.DataFrame) -> pl.DataFrame:
    """Manifests with the columns of `bench.transfers` and ``year``."""
    ours = {name: name.replace("generator", "donor") for name in frame.columns if name.startswith("generator")}
    material = pl.coalesce("waste_text", pl.format("California waste code {}", "waste_code"), pl.lit("waste"))
    return frame.rename(ours).with_columns(material.alias("material")).select(*transfers.COLUMNS, "year")
