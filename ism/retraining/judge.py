"""The steps in the middle: score champion and challenger on fresh cases, let the gate look, follow its verdict."""

from __future__ import annotations

import numpy as np

from ism.data.market import Floats, Market, OfferArrays, Rows
from ism.data.text import TextEncoder
from ism.domain.errors import EngineError
from ism.domain.retraining import GateLook, RetrainingJob
from ism.engines import catalog
from ism.engines.base import Snapshot
from ism.engines.snapshot_files import read_snapshot
from ism.engines.split import SplitRule
from ism.retraining import alpha_spending
from ism.retraining.evaluation import Model, Scorer, compare, fresh_cases, popularity
from ism.retraining.gate import decide
from ism.retraining.parts import Parts, Pulse, Step, champion_of, snapshot_of
from ism.retraining.report import gate_report
from ism.retraining.snapshot import WrittenSnapshot, make_snapshot
from ism.retraining.training import load_model


def evaluate(parts: Parts, job: RetrainingJob, pulse: Pulse) -> Step:
    """Score champion and challenger again on the fresh part, and let the gate look."""
    looks = parts.store.looks(job.model_name)
    done = [look for look in looks if look.job_id == job.job_id and look.evidence.get("move") == job.moves]
    look = done[0] if done else _look(parts, job, looks)
    held = look.verdict == "HOLD"
    detail = {"verdict": look.verdict, "look": look.number, "reasons": look.evidence["reasons"]}
    reasons = "; ".join(look.evidence["reasons"]) or "every check passed."
    later = parts.clock() + parts.config.look_again if held else None
    return Step("EVALUATED", f"{look.verdict}: {reasons}", detail, later)


def _look(parts: Parts, job: RetrainingJob, looks: list[GateLook]) -> GateLook:
    from ism.retraining.validate import problems  # noqa: PLC0415 - polars loads where it is needed

    snapshot = snapshot_of(parts, job)
    if job.state == "EVALUATED":  # looked at before: what has matured since is added, nothing learnt becomes fresh
        days = parts.config.maturity.total_seconds() / 86_400
        rule = SplitRule(parts.clock(), days, parts.config.fresh_share, snapshot.cutoff)
        snapshot = make_snapshot(parts.source(), parts.encoder, rule, parts.snapshots)
        refused = problems(snapshot)
        if refused:
            raise EngineError("The snapshot of another look was refused: " + " ".join(refused))
    _, challenger = load_model(job.model_name, parts.artifact(job), parts.encoder)
    champion = champion_of(parts, job.model_name)
    rival, references = None, {}
    if champion is not None:
        rival = load_model(job.model_name, parts.registry.folder_of(champion), parts.encoder)[1]
    else:
        references = {"popularity": Model(popularity), "rules": Model(_rules(snapshot, parts.encoder))}
    level = alpha_spending.level([look.verdict == "PASS" for look in looks], parts.config.gate.alpha)
    found = compare(fresh_cases(snapshot), challenger, rival, references, job.config.get("seed", 0))
    decision = decide(found, parts.config.gate, level, seed=0)
    about = {
        "model": job.model_name,
        "job": job.job_id,
        "champion": f"version {champion.number}" if champion else "none",
        "learnt from": job.detail["snapshot"],
        "judged on": snapshot.digest,
        "artifact": job.detail["training"]["artifact"],
        "look": len(looks) + 1,
    }
    evidence = {**decision.as_dict(), "about": about, "move": job.moves}
    report = gate_report(evidence, about)
    look = GateLook(
        job.model_name, len(looks) + 1, job.job_id, decision.verdict, level, evidence, report, parts.clock()
    )
    parts.store.add_look(look)
    return look


def _rules(snapshot: WrittenSnapshot, encoder: TextEncoder) -> Scorer:
    """The curated rules alone: what is generally known, without any exchange of this market."""
    nothing, whole = np.zeros(0, dtype=np.intp), read_snapshot(snapshot.train)
    engine = catalog.make("knowledge_graph", encoder)
    engine.fit(Snapshot(whole.market.keeping(nothing), whole.groups[nothing]))

    def score(market: Market, offers: OfferArrays, rows: Rows) -> Floats:
        return engine.score(market.keeping(nothing), offers, rows)

    return score


def follow_verdict(parts: Parts, job: RetrainingJob, pulse: Pulse) -> Step:
    """Go on, end, or look again when more has matured."""
    verdict, reasons = job.detail["verdict"], "; ".join(job.detail["reasons"])
    if verdict == "PASS":
        return Step("GATE_PASSED", "Every check of the gate passed.")
    if verdict == "REJECT":
        return Step("REJECTED", reasons)
    used = sum(look.job_id == job.job_id for look in parts.store.looks(job.model_name))
    if used >= parts.config.most_looks:
        return Step("REJECTED", f"Still held after {used} looks: {reasons}")
    return evaluate(parts, job, pulse)
