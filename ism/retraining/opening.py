"""The parts of jobs on a data folder."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from ism.data.text import TextEncoder
from ism.domain.errors import NotFoundError
from ism.engines.evidence import StoreEvidence
from ism.engines.process import Limits
from ism.feedback.limits import rules_from
from ism.feedback.triggering import Triggering
from ism.retraining.comparison import GatePolicy
from ism.retraining.config import RetrainingConfig
from ism.retraining.mlflow_log import check_installed, try_log_job
from ism.retraining.observed import FromFeedback
from ism.retraining.parts import TRAINED, NothingSeen, Observations, Parts, Search, log_of
from ism.retraining.registry import Registry
from ism.settings import Settings
from ism.storage import Store, open_store
from ism.storage.artifacts import Blobs, LocalBlobs


def config_of(settings: Settings) -> RetrainingConfig:
    """Limits and patience as they are set."""
    return RetrainingConfig(
        maturity=timedelta(days=settings.retraining_maturity_days),
        cool_down=timedelta(hours=settings.retraining_cool_down_hours),
        weekly_budget=settings.retraining_weekly_budget,
        training=Limits(settings.retraining_training_seconds, settings.retraining_training_memory_mib),
        canary_share=settings.retraining_canary_share,
        bake=timedelta(hours=settings.retraining_bake_hours),
        kept_versions=settings.retraining_kept_versions,
        auto_deploy=settings.retraining_auto_deploy,
        lease=timedelta(seconds=settings.retraining_lease_s),
        gate=GatePolicy(dropped_raters=settings.retraining_dropped_raters),
    )


def registry_of(store: Store, settings: Settings) -> Registry:
    """Versions of a store; checked files of those in use lie in the data folder."""
    return Registry(store.retraining, blobs_of(settings), settings.data_dir / "models" / "versions")


def blobs_of(settings: Settings) -> Blobs:
    """Where models' files are kept: the bucket that is set, else the data folder."""
    if settings.artifact_endpoint is None:
        return LocalBlobs(settings.data_dir / "models" / "files")
    from ism.storage.object_storage import Bucket, S3Blobs  # noqa: PLC0415 - only where a bucket is set

    secret = settings.artifact_secret.get_secret_value()
    return S3Blobs(
        Bucket(
            settings.artifact_endpoint,
            settings.artifact_bucket,
            settings.artifact_region,
            settings.artifact_access_key,
            secret,
        )
    )


def training_log(settings: Settings, job_id: str) -> Path:
    """File of what the training of a job printed, whether there is one or not."""
    return log_of(_home(settings) / TRAINED / job_id)


def _home(settings: Settings) -> Path:
    return settings.data_dir / "retraining"


def parts_of(
    store: Store,
    encoder: TextEncoder,
    settings: Settings,
    observations: Observations | None = None,
    search: Search | None = None,
) -> Parts:
    """What jobs work with on a store and its data folder."""
    from ism.retraining.training import train  # noqa: PLC0415 - engines load where something is trained

    config = config_of(settings)
    return Parts(
        store=store.retraining,
        registry=registry_of(store, settings),
        source=partial(StoreEvidence, store, config.maturity),
        encoder=encoder,
        folder=_home(settings),
        config=config,
        train=partial(train, logged=True),
        search=search,
        observations=observations or NothingSeen(),
        text_model=settings.text_model,
        policies=settings.engine_policies(),
    )


def default_parts(settings: Settings | None = None) -> Parts:
    """The parts on the data folder that the environment names; its store stays open as long as the process.

    Nothing serves here: of shadows nothing is known, and a canary is judged by what feedback says.
    """
    from ism.engines import catalog  # noqa: PLC0415 - engines load where something is trained
    from ism.retraining.search import OptimizerSearch, optimizer_on  # noqa: PLC0415 - as above

    settings = settings or Settings()
    store, encoder = open_store(settings), catalog.text_encoder(settings.text_model)
    search = OptimizerSearch(optimizer_on(store, encoder, settings)) if settings.optimization_enabled else None
    triggering = Triggering(store, rules_from(settings), utc_now, catalog.names())
    parts = parts_of(store, encoder, settings, feedback_of(store, settings), search)
    return replace(parts, ended=when_ended(store, settings, triggering))


def feedback_of(store: Store, settings: Settings) -> FromFeedback:
    """What feedback says of canaries and promoted versions."""
    wait = timedelta(days=settings.retraining_canary_wait_days)
    return FromFeedback(store, registry_of(store, settings), wait, utc_now)


def when_ended(store: Store, settings: Settings, triggering: Triggering) -> Callable[[str], None]:
    """What is done with a job that has ended: it is logged where that is wanted, and whoever asked for it is told.

    Raises:
        ConfigurationError: it is to be logged on an MLflow server, and MLflow is not installed.
    """
    uri = settings.mlflow_tracking_uri
    if uri is not None:
        check_installed()

    def ended(job_id: str) -> None:
        if uri is not None:
            job = store.retraining.get_job(job_id)
            looks = [look for look in store.retraining.looks(job.model_name) if look.job_id == job_id]
            try_log_job(uri.get_secret_value(), job, looks)
        with suppress(NotFoundError):  # a job that nobody's feedback asked for
            triggering.finish(job_id)

    return ended


def utc_now() -> datetime:
    """This moment, UTC."""
    return datetime.now(UTC)
