"""The last steps: register, shadow, canary, promote, watch; and giving up."""

from __future__ import annotations

from importlib.metadata import version

from ism.domain.errors import ArtifactError
from ism.domain.retraining import RetrainingJob
from ism.retraining.e_process import canary_evidence
from ism.retraining.parts import ACTOR, Parts, Pulse, Step, version_of
from ism.retraining.registry import Lineage

_BY_HAND = Step("PROMOTED", "It was promoted by hand.")
_WITHDRAWN = "It takes part no more: it was withdrawn, or another version took its place."


def stage(parts: Parts, job: RetrainingJob, pulse: Pulse) -> Step:
    """Register what was trained as a version, with its lineage."""
    folder = parts.artifact(job)
    look = next(found for found in parts.store.looks(job.model_name) if found.number == job.detail["look"])
    better = next(check for check in look.evidence["checks"] if check["name"] == "better")
    lineage = Lineage(
        snapshot=job.detail["snapshot"],
        code_version=version("ism-ai-platform"),
        params=job.detail["params"],
        seed=job.detail["training"]["seed"],
        parent=job.detail["parent"],
        job_id=job.job_id,
        gate=look.verdict,
        metrics={"ndcg@10": better["numbers"]["challenger_mean"], "look": look.number},
    )
    made = parts.registry.register(job.model_name, folder, lineage)
    if made.artifact != job.detail["training"]["artifact"]:
        raise ArtifactError(
            f"{made.artifact}: what was trained was {job.detail['training']['artifact']}. Start a new job."
        )
    parts.registry.retire(job.model_name, parts.config.kept_versions)
    return Step(
        "STAGED", f"Registered as version {made.number}.", {"version_id": made.version_id, "number": made.number}
    )


def start_shadow(parts: Parts, job: RetrainingJob, pulse: Pulse) -> Step | None:
    """Let the version score beside the champion, unless deploying is left to people."""
    made, serving = version_of(parts, job), parts.registry.deployment(job.model_name)
    if serving.champion == made.version_id:
        return _BY_HAND
    if not parts.config.auto_deploy:
        return None
    parts.registry.shadow(made, ACTOR, f"Job {job.job_id} staged it.", serving.generation)
    return Step("SHADOW", "It scores every request beside the champion, unseen.")


def watch_shadow(parts: Parts, job: RetrainingJob, pulse: Pulse) -> Step | None:
    """Start the canary when enough requests were scored without a failure."""
    made, serving = version_of(parts, job), parts.registry.deployment(job.model_name)
    if serving.champion == made.version_id:
        return _BY_HAND
    if serving.challenger != made.version_id:
        return Step("FAILED", _WITHDRAWN)
    seen = parts.observations.shadow(made.version_id)
    if seen.failures:
        parts.registry.withdraw(made, ACTOR, "It failed in shadow.", serving.generation)
        return Step("FAILED", f"It failed on {seen.failures} of {seen.requests} requests in shadow.")
    if seen.requests < parts.config.shadow_requests:
        return None
    parts.registry.canary(
        made, parts.config.canary_share, ACTOR, f"{seen.requests} requests in shadow went well.", serving.generation
    )
    return Step(
        "CANARY", f"{seen.requests} requests in shadow; it answers {parts.config.canary_share:.0%} of companies now."
    )


def watch_canary(parts: Parts, job: RetrainingJob, pulse: Pulse) -> Step | None:
    """Harm rolls back, proven safety promotes, silence holds."""
    made, serving = version_of(parts, job), parts.registry.deployment(job.model_name)
    if serving.champion == made.version_id:
        return _BY_HAND
    if serving.challenger != made.version_id:
        return Step("ROLLED_BACK", _WITHDRAWN)
    outcomes = parts.observations.outcomes(job.model_name, made.version_id)
    found = canary_evidence(outcomes, parts.config.canary_alpha, parts.config.canary_margin)
    numbers = {
        name: getattr(found, name)
        for name in ("harm", "safety", "champion", "challenger", "champion_mean", "challenger_mean")
    }
    arms = f"{found.challenger} companies against {found.champion}"
    said = f"{arms}, evidence of harm {found.harm:.1f}, of safety {found.safety:.1f}"
    if found.verdict == "harm":
        parts.registry.withdraw(made, ACTOR, f"Harm in the canary: {said}.", serving.generation)
        return Step("ROLLED_BACK", f"The canary showed harm: {said}.", {"canary": numbers})
    if found.verdict == "safe":
        parts.registry.promote(made, ACTOR, f"Safe in the canary: {said}.", serving.generation)
        return Step("PROMOTED", f"The canary was safe: {said}.", {"canary": numbers})
    return None


def bake(parts: Parts, job: RetrainingJob, pulse: Pulse) -> Step | None:
    """Watch the promoted version for a while; an alarm returns to what served before it."""
    made, serving = version_of(parts, job), parts.registry.deployment(job.model_name)
    if serving.champion != made.version_id:
        return Step("ROLLED_BACK", "It is champion no more.")
    alarm = parts.observations.alarm(job.model_name, made.version_id)
    if alarm is not None:
        parts.registry.rollback(job.model_name, ACTOR, alarm, generation=serving.generation)
        return Step("ROLLED_BACK", alarm)
    promoted = next(move.at for move in reversed(parts.store.moves(job.job_id)) if move.to_state == "PROMOTED")
    if parts.clock() < promoted + parts.config.bake:
        return None
    return Step("BAKED", "Nothing spoke against it while it was watched.")


def give_up(parts: Parts, job: RetrainingJob, reason: str) -> Step | None:
    """End a job that was cancelled or failed; what it put into shadow or canary is withdrawn, a champion stays."""
    if job.state == "PROMOTED":
        return None
    if "version_id" in job.detail:
        parts.registry.withdraw(version_of(parts, job), ACTOR, reason)
    return Step("FAILED", reason)
