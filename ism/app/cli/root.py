"""Every command with its options; the work is done in the module that each one names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ism.app.cli.common import AsJson, DataDir, Group, OptimizeGroup

app = typer.Typer(
    name="ism",
    cls=Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Which receiver fits which waste offer, and why.",
    epilog="Exit codes: 0 done, 1 refused or failed, 2 wrong usage.",
)
models_app = typer.Typer(no_args_is_help=True, cls=Group, help="Versions of models, and what serves.")
app.add_typer(models_app, name="models")
keys_app = typer.Typer(no_args_is_help=True, cls=Group, help="Make, list and revoke API keys.")
app.add_typer(keys_app, name="keys")
audit_app = typer.Typer(no_args_is_help=True, cls=Group, help="Who did what; check that nobody changed it.")
app.add_typer(audit_app, name="audit")
fusion_app = typer.Typer(no_args_is_help=True, cls=Group, help="List fusion models, choose one, take it back.")
app.add_typer(fusion_app, name="fusion")
optimize_app = typer.Typer(
    no_args_is_help=True, cls=OptimizeGroup, help="Search for better parameters: `ism optimize MODEL`, or a command."
)
app.add_typer(optimize_app, name="optimize")

feedback_app = typer.Typer(no_args_is_help=True, cls=Group, help="Tell what happened after matches, and look it up.")
app.add_typer(feedback_app, name="feedback")
letters_app = typer.Typer(no_args_is_help=True, cls=Group, help="Feedback that could not be used, with the reason.")
feedback_app.add_typer(letters_app, name="dead-letter")
quarantine_app = typer.Typer(no_args_is_help=True, cls=Group, help="Feedback that does not count, with the reason.")
feedback_app.add_typer(quarantine_app, name="quarantine")
trust_app = typer.Typer(no_args_is_help=True, cls=Group, help="How far each actor is believed, and why.")
feedback_app.add_typer(trust_app, name="trust")
trigger_app = typer.Typer(no_args_is_help=True, cls=Group, help="What was decided about retraining, and why.")
feedback_app.add_typer(trigger_app, name="trigger")

Reason = Annotated[str, typer.Option("--reason", help="Kept beside the decision.")]
TableKind = Literal["companies", "listings", "exchanges"]


@app.callback()
def _root() -> None:
    """Which receiver fits which waste offer, and why."""


@app.command()
def serve(  # noqa: PLR0913, PLR0917 - each is an option of the documented launcher
    host: Annotated[str | None, typer.Option(help="Address to listen on; loopback by default.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 5001 by default.", min=1, max=65535)] = None,
    data_dir: DataDir = None,
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR"] | None,
        typer.Option(help="Least severe level.", case_sensitive=False),
    ] = None,
    disable_feedback: Annotated[bool, typer.Option("--disable-feedback", help="Take in no feedback.")] = False,
    disable_fusion: Annotated[
        bool, typer.Option("--disable-fusion", help="Let the engine matching answer alone.")
    ] = False,
    disable_optimization: Annotated[
        bool, typer.Option("--disable-optimization", help="Run no searches for better parameters.")
    ] = False,
    disable_retraining: Annotated[bool, typer.Option("--disable-retraining", help="Retrain no models.")] = False,
    disable_monitoring: Annotated[
        bool, typer.Option("--disable-monitoring", help="Measure nothing, tell no alerts.")
    ] = False,
    disable_auto_deploy: Annotated[
        bool, typer.Option("--disable-auto-deploy", help="Leave it to people to promote what passed the gate.")
    ] = False,
    health_check_interval: Annotated[
        int | None, typer.Option(help="Seconds between two checks of a part; 60 by default.", min=1)
    ] = None,
    backup_interval: Annotated[
        int | None, typer.Option(help="Seconds between two backups; 3600 by default.", min=1)
    ] = None,
) -> None:
    """Start the server: the web page and the HTTP API."""
    from ism.app.cli.serve import serve as run  # noqa: PLC0415 - not for `--help`

    disabled = {
        "feedback_enabled": disable_feedback,
        "fusion_enabled": disable_fusion,
        "optimization_enabled": disable_optimization,
        "retraining_enabled": disable_retraining,
        "monitoring_enabled": disable_monitoring,
        "retraining_auto_deploy": disable_auto_deploy,
    }
    given = {
        "host": host,
        "port": port,
        "data_dir": data_dir,
        "log_level": log_level.upper() if log_level else None,
        "health_check_interval_s": health_check_interval,
        "backup_interval_s": backup_interval,
    }
    run({**given, **{name: False for name, off in disabled.items() if off}})


@app.command()
def doctor(
    host: Annotated[str | None, typer.Option(help="Address that a server would listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port that it would listen on.", min=1, max=65535)] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check environment, database, model files, port and clock, and say how to mend each."""
    from ism.app.cli.doctor import doctor as run  # noqa: PLC0415 - not for `--help`

    run({"host": host, "port": port, "data_dir": data_dir}, as_json)


@app.command()
def match(  # noqa: PLR0913, PLR0917 - each is a field of an offer
    material: Annotated[str | None, typer.Option(help="What it is, in a few words.")] = None,
    description: Annotated[str, typer.Option(help="Composition, form, purity.")] = "",
    ewc: Annotated[str | None, typer.Option(help="List-of-Waste code, e.g. '10 01 02'.")] = None,
    tonnes: Annotated[float | None, typer.Option(help="Tonnes a year.")] = None,
    price: Annotated[float | None, typer.Option(help="Euros a tonne asked; negative where the giver pays.")] = None,
    hazardous: Annotated[bool | None, typer.Option("--hazardous/--not-hazardous", help="Its hazard status.")] = None,
    nace: Annotated[str | None, typer.Option(help="Sector of the offering company, e.g. 35.11.")] = None,
    country: Annotated[str | None, typer.Option(help="Two letters of ISO 3166.")] = None,
    latitude: Annotated[float | None, typer.Option("--latitude", "--lat", help="Decimal degrees.")] = None,
    longitude: Annotated[float | None, typer.Option("--longitude", "--lon", help="Decimal degrees.")] = None,
    offer_id: Annotated[str | None, typer.Option(help="A listed offer, instead of the options above.")] = None,
    top: Annotated[int, typer.Option(help="How many receivers to show.", min=1, max=100)] = 10,
    kind: Annotated[Literal["company", "sector"] | None, typer.Option(help="Only these receivers.")] = None,
    max_km: Annotated[float | None, typer.Option(help="Only receivers within this distance.")] = None,
    reasons: Annotated[int, typer.Option(help="For how many receivers to print the reasons.", min=0)] = 3,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Rank receivers for an offer, with reasons."""
    from ism.app.cli.match import match as run  # noqa: PLC0415 - not for `--help`

    offer = {
        "material": material,
        "description": description or None,
        "ewc": ewc,
        "quantity_t_per_year": tonnes,
        "price_eur_per_t": price,
        "hazardous": hazardous,
        "nace": nace,
        "country": country,
        "latitude": latitude,
        "longitude": longitude,
    }
    filters = {"kind": kind, "max_distance_km": max_km}
    run(offer, offer_id, filters, top, 0 if as_json else reasons, data_dir, as_json)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV or XLSX, or a recognised public data set.")],
    kind: Annotated[TableKind | None, typer.Option(help="What it holds; found out from its header.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check only, store nothing.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take in a table: all of it, or nothing and the reasons."""
    from ism.app.cli.tables import import_table  # noqa: PLC0415 - not for `--help`

    import_table(file, kind, dry_run, data_dir, as_json)


@app.command()
def sync(
    check: Annotated[bool, typer.Option("--check", help="Only see whether tables and columns fit.")] = False,
    whole: Annotated[bool, typer.Option("--whole", help="Read whole tables, whatever changed.")] = False,
    allow_deletions: Annotated[
        bool, typer.Option("--allow-deletions", help="Remove what was deleted there, even if it is more than half.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Exchange with the marketplace's tables on Supabase, once."""
    from ism.app.cli import sync as run  # noqa: PLC0415 - not for `--help`

    if check:
        run.check(data_dir, as_json)
    else:
        run.sync(whole, allow_deletions, data_dir, as_json)


@app.command()
def template(
    kind: Annotated[TableKind, typer.Argument(help="companies, listings or exchanges.")],
    xlsx: Annotated[bool, typer.Option("--xlsx", help="Write XLSX, with a sheet that explains the columns.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; standard output by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write an empty table to fill in."""
    from ism.app.cli.tables import write  # noqa: PLC0415 - not for `--help`

    write(kind, xlsx, output, force)


@app.command()
def simulate(
    days: Annotated[int, typer.Option(help="How many days to play.", min=1, max=365)] = 60,
    seed: Annotated[int, typer.Option(help="Of luck and of what people do.", min=0)] = 0,
    hostile: Annotated[float, typer.Option(help="Share of the actors who collude.", min=0.0, max=1.0)] = 0.1,
    folder: Annotated[
        Path | None, typer.Option(help="New or empty; keeps the market. By default it is thrown away.")
    ] = None,
    part: Annotated[
        Literal["all", "loop", "replacement"],
        typer.Option(help="The days in which the fusion learns, the jobs in which an engine is replaced, or both."),
    ] = "all",
    as_json: AsJson = False,
) -> None:
    """Watch the system learn, promote a model and roll one back in a simulated market; real data are never touched."""
    from ism.app.cli.simulate import simulate as run  # noqa: PLC0415 - not for `--help`

    run(days, seed, hostile, folder, part, as_json)


@app.command()
def engines(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the engines and their state."""
    from ism.app.cli.match import engines as run  # noqa: PLC0415 - not for `--help`

    run(data_dir, as_json)


@app.command()
def retrain(  # noqa: PLR0913, PLR0917 - each is a field of a request
    model: Annotated[str, typer.Argument(help="Name of an engine.")],
    kind: Annotated[
        Literal["full", "adaptive", "feedback_driven", "optimization"], typer.Option("--type", help="How to retrain.")
    ] = "full",
    trials: Annotated[int | None, typer.Option(help="Trials of the search, where one is asked for.", min=1)] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds of the search at most.")] = None,
    search: Annotated[str | None, typer.Option(help="A search that there is: take its best parameters.")] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the job until it ends or waits.")] = True,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Retrain a model; it serves only after it passed the gate and its canary."""
    from ism.app.cli.models import retrain as run  # noqa: PLC0415 - not for `--help`

    kind = "optimization" if search is not None else kind
    config = {"retraining_type": kind, "n_trials": trials, "timeout": timeout, "optimization_id": search}
    run(model, {name: value for name, value in config.items() if value is not None}, wait, data_dir, as_json)


Model = Annotated[str, typer.Argument(help="Name of an engine.")]
Version = Annotated[str, typer.Argument(help="Number, or the beginning of its identifier.")]


@models_app.command("list")
def list_models(
    model: Annotated[str | None, typer.Argument(help="Show the versions of this one.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List what serves, or the versions of one model."""
    from ism.app.cli.models import listing  # noqa: PLC0415 - not for `--help`

    listing(model, data_dir, as_json)


@models_app.command("show")
def show_model(model: Model, version: Version, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show a version: its lineage, what the gate said, and when it served."""
    from ism.app.cli.models import show  # noqa: PLC0415 - not for `--help`

    show(model, version, data_dir, as_json)


@models_app.command("diff")
def diff_models(model: Model, one: Version, other: Version, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show where two versions differ."""
    from ism.app.cli.models import diff  # noqa: PLC0415 - not for `--help`

    diff(model, one, other, data_dir, as_json)


@models_app.command("promote")
def promote_model(
    model: Model, version: Version, reason: Reason = "By hand.", data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """Make a version that passed the gate the champion."""
    from ism.app.cli.models import move  # noqa: PLC0415 - not for `--help`

    move("promote", model, {"version": version, "reason": reason}, data_dir, as_json)


@models_app.command("rollback")
def rollback_model(
    model: Model,
    version: Annotated[str | None, typer.Option(help="A former champion; the one before when left out.")] = None,
    reason: Reason = "By hand.",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Return to a champion before; nothing is trained."""
    from ism.app.cli.models import move  # noqa: PLC0415 - not for `--help`

    move(
        "rollback", model, {"version": version, "reason": reason} if version else {"reason": reason}, data_dir, as_json
    )


@keys_app.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="Who or what will use it.")],
    role: Annotated[
        Literal["viewer", "operator", "admin", "service"], typer.Option(help="What it may do.")
    ] = "operator",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key and print it, this once."""
    from ism.app.cli.keys import create  # noqa: PLC0415 - not for `--help`

    create(name, role, data_dir, as_json)


@keys_app.command("list")
def list_keys(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all keys, without their secrets."""
    from ism.app.cli.keys import show  # noqa: PLC0415 - not for `--help`

    show(data_dir, as_json)


@keys_app.command("revoke")
def revoke_key(
    key_id: Annotated[str, typer.Argument(help="As `ism keys list` shows it.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """End a key."""
    from ism.app.cli.keys import revoke  # noqa: PLC0415 - not for `--help`

    revoke(key_id, data_dir, as_json)


@keys_app.command("rotate")
def rotate_key(
    key_id: Annotated[str, typer.Argument(help="As `ism keys list` shows it.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a new key of the same name and role in the place of one that ends at once."""
    from ism.app.cli.keys import rotate  # noqa: PLC0415 - not for `--help`

    rotate(key_id, data_dir, as_json)


@app.command()
def backup(
    show: Annotated[bool, typer.Option("--list", help="Only list the backups that there are.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Back up database, models and settings, also while the server works; checked by restoring it."""
    from ism.app.cli.safety import list_backups, make_backup  # noqa: PLC0415 - not for `--help`

    (list_backups if show else make_backup)(data_dir, as_json)


@app.command()
def restore(
    archive: Annotated[Path, typer.Argument(help="A backup, ism-….zip, or a folder of them, whose newest is taken.")],
    into: Annotated[Path | None, typer.Option("--into", help="New data folder; ISM_DATA_DIR by default.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only look through the archive.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a backup into a new data folder (and an empty database); never over what is there."""
    from ism.app.cli.safety import restore_backup  # noqa: PLC0415 - not for `--help`

    restore_backup(archive, into, check, as_json)


@audit_app.command("list")
def list_audit(
    limit: Annotated[int, typer.Option(help="Most entries to show.", min=1, max=1000)] = 20,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List who did what, newest first."""
    from ism.app.cli.safety import list_audit as run  # noqa: PLC0415 - not for `--help`

    run(limit, data_dir, as_json)


@audit_app.command("verify")
def verify_audit(
    head: Annotated[str | None, typer.Option(help="A digest that was kept elsewhere; it must be in the log.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Compute every digest of the log anew; exit code 1 when an entry is not as it was written."""
    from ism.app.cli.safety import verify_audit as run  # noqa: PLC0415 - not for `--help`

    run(head, data_dir, as_json)


@feedback_app.command("add")
def add_feedback(
    file: Annotated[
        Path | None, typer.Argument(help="Events as JSON: one, a list, or one a line; standard input by default.")
    ] = None,
    key: Annotated[str | None, typer.Option("--key", help="Idempotency key of the whole.")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Store events; exit code 1 when one of them could not be used."""
    from ism.app.cli.feedback import add  # noqa: PLC0415 - not for `--help`

    add(file, key, data_dir, as_json)


@feedback_app.command("list")
def list_feedback(
    after: Annotated[int, typer.Option(help="Sequence number behind which to start.", min=0)] = 0,
    limit: Annotated[int, typer.Option(help="Most events to show.", min=1, max=1000)] = 20,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show events, oldest first."""
    from ism.app.cli.feedback import show  # noqa: PLC0415 - not for `--help`

    show(after, limit, data_dir, as_json)


@feedback_app.command("export")
def export_feedback(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; standard output by default.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Write all events as lines of JSON; `ism feedback add` takes them in again."""
    from ism.app.cli.feedback import export  # noqa: PLC0415 - not for `--help`

    export(output, data_dir)


@feedback_app.command("status")
def feedback_status(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show how much is stored, and how many dead letters are open."""
    from ism.app.cli.feedback import status  # noqa: PLC0415 - not for `--help`

    status(data_dir, as_json)


@letters_app.command("list")
def list_letters(
    state: Annotated[
        Literal["open", "replayed", "discarded"] | None, typer.Option(help="Only those in this state.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List what could not be used, with the reason."""
    from ism.app.cli.feedback import letters  # noqa: PLC0415 - not for `--help`

    letters(state, data_dir, as_json)


@letters_app.command("replay")
def replay_letter(
    letter_id: Annotated[str, typer.Argument(help="As `ism feedback dead-letter list` shows it.")],
    file: Annotated[
        Path | None, typer.Option("--file", help="The corrected event, as JSON; the letter's own body by default.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Take in what a dead letter says, or says once corrected."""
    from ism.app.cli.feedback import replay  # noqa: PLC0415 - not for `--help`

    replay(letter_id, file, data_dir, as_json)


@letters_app.command("discard")
def discard_letter(
    letter_id: Annotated[str, typer.Argument(help="As `ism feedback dead-letter list` shows it.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Mark a dead letter as of no use; it stays listed."""
    from ism.app.cli.feedback import discard  # noqa: PLC0415 - not for `--help`

    discard(letter_id, data_dir, as_json)


@fusion_app.command("models")
def fusion_models(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List fusion models, and which one answers."""
    from ism.app.cli.fusion import models  # noqa: PLC0415 - not for `--help`

    models(data_dir, as_json)


@fusion_app.command("use")
def use_fusion_model(
    model_id: Annotated[str, typer.Argument(help="As `ism fusion models` shows it.")],
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a fusion model answer; logged, and taken back by `ism fusion revert`."""
    from ism.app.cli.fusion import use  # noqa: PLC0415 - not for `--help`

    use(model_id, reason, data_dir, as_json)


@fusion_app.command("revert")
def revert_fusion_model(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Take back the last switch; again for the one before."""
    from ism.app.cli.fusion import revert  # noqa: PLC0415 - not for `--help`

    revert(data_dir, as_json)


@feedback_app.command("judge")
def judge_feedback(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Judge waiting feedback now: labels, trust, quarantine, triggers; a running server does so by itself."""
    from ism.app.cli.judging import judge  # noqa: PLC0415 - not for `--help`

    judge(data_dir, as_json)


@quarantine_app.command("list")
def list_quarantine(
    state: Annotated[
        Literal["held", "released", "confirmed"] | None, typer.Option(help="Only those in this state.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List events that do not count, with the reason."""
    from ism.app.cli.judging import quarantine  # noqa: PLC0415 - not for `--help`

    quarantine(state, data_dir, as_json)


@quarantine_app.command("release")
def release_event(
    event_id: Annotated[str, typer.Argument(help="As `ism feedback quarantine list` shows it.")],
    reason: Reason,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Let an event count after all."""
    from ism.app.cli.judging import decide  # noqa: PLC0415 - not for `--help`

    decide(event_id, "release", reason, data_dir, as_json)


@quarantine_app.command("confirm")
def confirm_event(
    event_id: Annotated[str, typer.Argument(help="As `ism feedback quarantine list` shows it.")],
    reason: Reason,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Keep an event out for good."""
    from ism.app.cli.judging import decide  # noqa: PLC0415 - not for `--help`

    decide(event_id, "confirm", reason, data_dir, as_json)


@trust_app.command("list")
def list_trust(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List actors, how far each is believed, and why."""
    from ism.app.cli.judging import trust  # noqa: PLC0415 - not for `--help`

    trust(data_dir, as_json)


@trust_app.command("set")
def set_trust(
    actor_id: Annotated[str, typer.Argument(help="As `ism feedback trust list` shows it.")],
    reason: Reason,
    value: Annotated[
        float | None, typer.Option("--value", help="0 not believed, 1 fully; left out, the estimate counts again.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put your word before the estimate, or take it back."""
    from ism.app.cli.judging import set_trust as run  # noqa: PLC0415 - not for `--help`

    run(actor_id, value, reason, data_dir, as_json)


@trigger_app.command("list")
def list_triggers(
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    limit: Annotated[int, typer.Option(help="Most decisions to show.", min=1, max=1000)] = 20,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List decisions about retraining, the latest first."""
    from ism.app.cli.judging import triggers  # noqa: PLC0415 - not for `--help`

    triggers(model, limit, data_dir, as_json)


@trigger_app.command("ask")
def ask_for_training(
    model: Annotated[str, typer.Argument(help="An engine, or fusion.")],
    reason: Reason,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Ask for a training by hand: it skips the cool-down, not the weekly budget."""
    from ism.app.cli.judging import ask  # noqa: PLC0415 - not for `--help`

    ask(model, reason, data_dir, as_json)


@optimize_app.command("run", hidden=True)
def begin_search(  # noqa: PLR0913, PLR0917 - each is a field of an OptimizationConfig
    model: Annotated[str, typer.Argument(help="Name of an engine.")],
    trials: Annotated[int | None, typer.Option(help="Trials to finish; the model's preset by default.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds at most; the model's preset by default.")] = None,
    kind: Annotated[
        Literal["bayesian", "tpe", "gp", "random", "cmaes"], typer.Option("--type", help="How to search.")
    ] = "bayesian",
    metric: Annotated[str, typer.Option(help="accuracy (nDCG@10), mrr or recall@10.")] = "accuracy",
    max_training_time: Annotated[float | None, typer.Option(help="Seconds that a fit may take.")] = None,
    max_memory: Annotated[float | None, typer.Option(help="MiB that a trial may use.")] = None,
    min_score: Annotated[float | None, typer.Option(help="Least value of the metric.")] = None,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Search for better parameters of an engine, and wait for the result."""
    from ism.app.cli.optimize import run  # noqa: PLC0415 - not for `--help`

    limits = {"max_training_time": max_training_time, "max_memory": max_memory, "min_score": min_score}
    wanted = {
        "model_name": model,
        "optimization_type": kind,
        "n_trials": trials,
        "timeout": timeout,
        "metric": metric,
        "constraints": {name: value for name, value in limits.items() if value is not None} or None,
        "seed": seed,
    }
    run(wanted, data_dir, as_json)


@optimize_app.command("status")
def search_status(
    optimization_id: Annotated[str, typer.Argument(help="As `ism optimize list` shows it.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show a search: its best trials, and how much each parameter moved the score."""
    from ism.app.cli.optimize import status  # noqa: PLC0415 - not for `--help`

    status(optimization_id, data_dir, as_json)


@optimize_app.command("cancel")
def cancel_search(
    optimization_id: Annotated[str, typer.Argument(help="As `ism optimize list` shows it.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """End a search; what it found stays."""
    from ism.app.cli.optimize import cancel  # noqa: PLC0415 - not for `--help`

    cancel(optimization_id, data_dir, as_json)


@optimize_app.command("list")
def list_searches(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List all searches, oldest first."""
    from ism.app.cli.optimize import show  # noqa: PLC0415 - not for `--help`

    show(data_dir, as_json)
