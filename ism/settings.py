"""Every knob, typed, with its unit; read from the environment (prefix ``ISM_``) and from ``.env``."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Device = Literal["auto", "cpu", "cuda"]
MOST_INTERVAL_S = 30 * 86_400  # longest interval of whatever is done again and again, in seconds


class Settings(BaseSettings):
    """What an operator may set. Names in the environment carry the prefix ``ISM_``, except where an alias is given."""

    model_config = SettingsConfigDict(env_prefix="ISM_", env_file=".env", extra="ignore", populate_by_name=True)

    data_dir: Path = Field(Path("ism-data"), description="Folder that holds the database, models, caches and logs.")
    database_url: SecretStr | None = Field(
        None,
        alias="DATABASE_URL",
        description="SQLAlchemy URL of a PostgreSQL database; SQLite in data_dir when unset.",
    )
    lead_lease_s: float = Field(
        6.0,
        ge=1,
        le=300,
        description="Time after which the replica that leads is replaced when it does not answer, in seconds.",
    )
    admin_key: SecretStr | None = Field(
        None, description="First admin API key, at least 16 characters; made and printed once when unset."
    )
    host: str = Field("127.0.0.1", description="Address to listen on; loopback by default.")
    port: int = Field(5001, ge=1, le=65535, alias="MONITORING_PORT", description="TCP port to listen on.")
    public_url: str = Field(
        "",
        description="Address at which people reach the server, such as https://ism.example.org; of the links in alerts "
        "and of the sign-in link. That of this machine when empty.",
    )
    log_level: LogLevel = Field("INFO", alias="LOG_LEVEL", description="Least severe level that is logged.")
    log_file_bytes: int = Field(
        10 * 1024 * 1024, ge=65_536, description="Size at which production_ai_system.log is rotated, in bytes."
    )
    log_files: int = Field(5, ge=1, le=100, description="How many rotated log files are kept.")
    health_check_interval_s: int = Field(
        60, ge=1, le=MOST_INTERVAL_S, description="Time between two health checks of a part that works, in seconds."
    )
    feedback_enabled: bool = Field(True, description="Whether feedback is taken in and judged.")
    fusion_enabled: bool = Field(
        True, description="Whether all engines answer together; else the engine matching answers alone."
    )
    text_model: Path | None = Field(None, description="Folder of a BERT sentence model; the bundled MiniLM when unset.")
    device: Device = Field(
        "auto", description="What training runs on: auto (a GPU where there is one), cpu or cuda; serving needs none."
    )
    fit_seconds: Annotated[float, Field(gt=0)] = Field(
        3600.0, description="Longest time that fitting the engines at the first start may take, in seconds."
    )
    demo_market: bool = Field(
        True, description="Whether an empty data folder starts with the documented demonstration market."
    )
    federated_strategy: Literal["fedadam", "fedavg", "fedprox"] = Field(
        "fedadam", description="How the federated engine averages the updates of sites."
    )
    federated_epsilon: Annotated[float, Field(ge=0, le=50)] = Field(
        0.0, description="Privacy loss that an exchange record may suffer by the federated engine; 0 adds no noise."
    )
    federated_sites: Annotated[int, Field(ge=1, le=64)] = Field(
        8, description="Sites that the donors of one data folder are spread over when it trains the federated engine."
    )
    max_upload_bytes: Annotated[int, Field(ge=1024)] = Field(
        50 * 1024 * 1024, description="Largest accepted upload, in bytes."
    )
    max_body_bytes: Annotated[int, Field(ge=1024)] = Field(
        1024 * 1024, description="Largest accepted JSON body, in bytes."
    )
    max_unpacked_bytes: Annotated[int, Field(ge=1024)] = Field(
        512 * 1024 * 1024, description="Largest unpacked size of an XLSX file, in bytes."
    )
    feedback_skew_s: float = Field(
        300.0, ge=0, le=86_400, description="How far feedback's event_time may lie ahead of this clock, in seconds."
    )
    feedback_late_days: int = Field(
        180, ge=1, le=3650, description="How long after it happened feedback is still taken in, in days."
    )
    feedback_join_days: int = Field(
        180, ge=1, le=3650, description="How long after being shown a recommendation takes feedback, in days."
    )
    feedback_event_bytes: int = Field(
        64 * 1024, ge=1024, description="Largest data, and largest metadata, of a feedback event, in bytes of JSON."
    )
    feedback_letter_bytes: int = Field(
        64 * 1024, ge=256, description="How much of a body that cannot be used is kept, in bytes."
    )
    feedback_body_bytes: int = Field(
        16 * 1024 * 1024, ge=1024, description="Largest accepted JSON body of feedback, in bytes."
    )
    feedback_queue_bytes: int = Field(
        64 * 1024 * 1024, ge=1024, description="How much feedback may wait for its commit, in bytes."
    )
    feedback_group_events: int = Field(
        1_000, ge=1, le=100_000, description="How many waiting feedback events one commit takes, as a number of events."
    )

    feedback_turn_s: Annotated[float, Field(gt=0)] = Field(
        5.0, description="Time between two looks at new feedback, labels and triggers, in seconds."
    )
    label_horizon_days: Annotated[float, Field(gt=0)] = Field(
        60.0, description="Days after which a match that was opened and led to nothing counts as a weak no."
    )
    label_actor_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.05, description="Largest share of all label weight that one actor may hold, 0..1."
    )
    label_company_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.10, description="Largest share of all label weight that one company may hold, 0..1."
    )
    trust_window_days: Annotated[float, Field(gt=0)] = Field(
        180.0, description="Days for which a statement counts towards its actor's trust."
    )
    burst_statements: Annotated[int, Field(ge=1)] = Field(
        30, description="Statements that one actor may make within burst_minutes; later ones go to quarantine."
    )
    burst_minutes: Annotated[float, Field(gt=0)] = Field(10.0, description="Length of that time, in minutes.")
    text_copies: Annotated[int, Field(ge=1)] = Field(
        2, description="How often one text may come within text_copies_days; later copies go to quarantine."
    )
    text_copies_days: Annotated[float, Field(gt=0)] = Field(7.0, description="Length of that time, in days.")
    trigger_volume_events: Annotated[int, Field(ge=1)] = Field(
        100, description="Retraining is asked for above so many new matured feedback events."
    )
    trigger_negative_share: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.30, description="Retraining is asked for above this share of negative ratings, 0..1."
    )
    trigger_negative_share_leave: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.25, description="Below this share, 0..1, the same may be asked for again."
    )
    trigger_ratings: Annotated[int, Field(ge=1, le=1000)] = Field(
        50, description="How many of the latest ratings share and trend look at."
    )
    trigger_min_ratings: Annotated[int, Field(ge=1)] = Field(
        20, description="Ratings below which neither share nor trend is looked at."
    )
    trigger_fall: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.10, description="Retraining is asked for when the mean rating or the live quality falls by more, 0..1."
    )
    trigger_fall_leave: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.05, description="Below this fall, 0..1, the same may be asked for again."
    )
    trigger_actor_share: Annotated[float, Field(gt=0, le=1)] = Field(
        0.20, description="Largest share that one known actor has in the numbers of a trigger, 0..1."
    )
    trigger_cool_down_hours: Annotated[float, Field(ge=0)] = Field(
        24.0, description="Hours from one retraining request for a model to the next; a manual one need not wait."
    )
    trigger_weekly_budget: Annotated[int, Field(ge=0, le=50)] = Field(
        3, description="Most retraining requests for a model in any seven days, manual ones included."
    )
    trigger_run_limit_hours: Annotated[float, Field(gt=0)] = Field(
        24.0, description="Hours after which a retraining request counts as ended when nobody says so."
    )
    schedule_weekly: str = Field(
        "monday 02:00", description="Day and local time of the weekly retraining request; 'never' for none."
    )
    schedule_zone: str = Field(
        "", description="IANA time zone of schedule_weekly, such as Europe/Berlin; the machine's own when empty."
    )

    def engine_policies(self) -> dict[str, dict[str, float | str]]:
        """What people decided about the training of engines: engine -> parameter -> value."""
        return {
            "federated": {
                "strategy": self.federated_strategy,
                "epsilon": self.federated_epsilon,
                "sites": self.federated_sites,
            }
        }

    optimization_enabled: bool = Field(True, description="Whether searches for better parameters may run.")
    tuning_jobs: int = Field(1, ge=1, le=64, description="Trials of a search that run at the same time.")
    tuning_threads: int = Field(1, ge=1, le=64, description="Threads of numerical libraries in a trial or training.")
    tuning_pruner: Literal["median", "hyperband", "none"] = Field(
        "median", description="What ends trials early that fall behind the others."
    )
    tuning_trial_seconds: float = Field(1800.0, gt=0, description="Longest trial of a search, in seconds.")
    tuning_trial_memory_mib: float = Field(8192.0, gt=0, description="Largest trial of a search, in MiB.")
    tuning_retrains: bool = Field(
        True, description="Whether a search that found better parameters than those in use begins a retraining."
    )
    tuning_least_gain: float = Field(
        0.005, ge=0, le=1, description="How much better they must be for that, in the search's metric, 0..1."
    )
    tuning_continuous: bool = Field(False, description="Whether to go on searching in small budgets while idle.")
    tuning_continuous_trials: int = Field(5, ge=1, le=1000, description="Trials of one round of continuous search.")
    tuning_idle_cpu_percent: float = Field(
        30.0, gt=0, le=100, description="Processor use by others, in percent, below which continuous search may start."
    )
    tuning_busy_cpu_percent: float = Field(
        60.0, gt=0, le=100, description="Processor use by others, in percent, above which continuous search stops."
    )
    tuning_busy_memory_percent: float = Field(
        85.0, gt=0, le=100, description="Memory in use, in percent, above which continuous search stops."
    )
    tuning_idle_check_seconds: float = Field(
        30.0, gt=0, description="Time between two looks at how busy the machine is, in seconds."
    )

    artifact_endpoint: str | None = Field(
        None, description="Address of S3-compatible object storage for models' files; the data folder when unset."
    )
    artifact_bucket: str = Field("ism", description="Bucket of models' files.")
    artifact_region: str = Field("us-east-1", description="Region of the bucket, as its signature needs it.")
    artifact_access_key: str = Field("", description="Access key of the bucket.")
    artifact_secret: SecretStr = Field(SecretStr(""), description="Secret of the access key.")
    retraining_enabled: bool = Field(True, description="Whether models are retrained.")
    retraining_runner: Literal["local", "prefect"] = Field(
        "local",
        description="Who searches, trains and evaluates: child processes of the server, or workers of Prefect.",
    )
    retraining_maturity_days: float = Field(90.0, ge=0, description="How long an outcome takes to be known, days.")
    retraining_cool_down_hours: float = Field(
        24.0, ge=0, description="Between the beginnings of two runs of a model, hours; a manual one does not wait."
    )
    retraining_weekly_budget: int = Field(7, ge=1, description="Runs of a model in seven days.")
    retraining_training_seconds: float = Field(3600.0, gt=0, description="Longest training, seconds.")
    retraining_training_memory_mib: float = Field(8192.0, gt=0, description="Largest training, MiB.")
    retraining_canary_share: float = Field(0.1, gt=0, lt=1, description="Share of companies that a canary answers.")
    retraining_canary_wait_days: float = Field(
        7.0, ge=0, description="Days after which a canary looks how far a match got."
    )
    retraining_bake_hours: float = Field(24.0, ge=0, description="How long a promoted model is watched, hours.")
    retraining_lease_s: float = Field(
        20.0, ge=2, le=600, description="Time after which a worker that does not answer loses its job, seconds."
    )
    retraining_kept_versions: int = Field(10, ge=2, description="Versions of a model whose files are kept.")
    retraining_dropped_raters: float = Field(
        0.01,
        ge=0,
        lt=1,
        description="Share of raters, the most influential ones, without whom a model must still be better.",
    )
    mlflow_tracking_uri: SecretStr | None = Field(
        None, description="MLflow server, or database, to which retraining jobs are logged; none when empty."
    )
    retraining_auto_deploy: bool = Field(True, description="Whether what passed the gate goes on by itself.")

    monitoring_enabled: bool = Field(True, description="Whether the server measures itself and tells alerts.")
    alert_webhook_url: SecretStr | None = Field(
        None, description="Address that alerts are posted to as JSON; none when unset."
    )
    alert_webhook_private: bool = Field(
        False, description="Whether that address may lie in a private network or on this machine."
    )
    alert_email_to: str = Field("", description="Who gets alerts by e-mail; nobody when empty.")
    alert_email_from: str = Field("ism@localhost", description="Sender of these e-mails.")
    alert_smtp_host: str = Field("", description="SMTP server that sends them; none when empty.")
    alert_smtp_port: int = Field(587, ge=1, le=65535, description="TCP port of that server.")
    alert_smtp_user: str = Field("", description="User at that server; no sign-in when empty.")
    alert_smtp_password: SecretStr = Field(SecretStr(""), description="Password of that user.")
    alert_apprise_urls: SecretStr | None = Field(
        None, description="Apprise URLs, separated by commas, that get alerts; needs the extra 'alerts'."
    )

    gnn_api_key: SecretStr | None = Field(
        None, alias="GNN_API_KEY", description="Key that opens POST /api/engines/{name}/score and nothing else."
    )
    deepseek_api_key: SecretStr | None = Field(
        None,
        alias="DEEPSEEK_API_KEY",
        description="Key of a language model that adds a narrative to explanations; none when unset.",
    )
    narrative_url: str = Field(
        "https://api.deepseek.com", description="Address of its chat-completions interface, as OpenAI's."
    )
    narrative_model: str = Field("deepseek-chat", description="Name of the language model.")
    narrative_timeout_s: Annotated[float, Field(gt=0, le=120)] = Field(
        10.0, description="Longest wait for a narrative, in seconds; the answer goes out without it then."
    )
    supabase_url: str | None = Field(
        None, alias="SUPABASE_URL", description="Address of a Supabase project, whose tokens are then taken."
    )
    supabase_audience: str = Field("authenticated", description="Audience that a Supabase token must name.")
    supabase_default_role: Literal["", "viewer", "operator", "admin", "service"] = Field(
        "", description="Role of Supabase users without app_metadata.ism_role; none when empty."
    )
    supabase_service_role_key: SecretStr | None = Field(
        None,
        alias="SUPABASE_SERVICE_ROLE_KEY",
        description="Key of the project's service role; with SUPABASE_URL it connects the marketplace.",
    )
    marketplace_enabled: bool = Field(
        True, description="Whether a marketplace whose address and key are set is connected."
    )
    marketplace_mapping: Path | None = Field(
        None, description="JSON file that says what the marketplace's tables and columns are called."
    )
    marketplace_interval_s: float = Field(
        60.0, ge=1, le=MOST_INTERVAL_S, description="Time between two exchanges with the marketplace, in seconds."
    )
    marketplace_page_rows: int = Field(
        500, ge=1, le=1000, description="Rows that one request to the marketplace reads or writes."
    )
    marketplace_request_s: float = Field(
        30.0, gt=0, le=300, description="Longest wait for one answer of the marketplace, in seconds."
    )
    marketplace_run_s: float = Field(
        300.0, ge=1, le=3600, description="Longest exchange with the marketplace, in seconds; the next one goes on."
    )
    marketplace_overlap_s: float = Field(
        300.0, ge=0, description="How long a transaction of the marketplace may take until it is seen, in seconds."
    )
    marketplace_whole_hours: float = Field(
        24.0, gt=0, description="Time between two comparisons with whole tables, which notice deletions, in hours."
    )
    marketplace_top: int = Field(20, ge=1, le=100, description="Receivers that are written for each offer.")
    marketplace_match_days: float = Field(
        7.0, gt=0, description="Days after which an offer that did not change is matched again."
    )
    backup_interval_s: int = Field(
        3600, ge=1, le=MOST_INTERVAL_S, description="Time between two backups of a server, in seconds."
    )
    requests_at_once: int = Field(
        512, ge=1, description="Requests that are worked on at the same time, as a number; what comes beyond gets 503."
    )
    matches_at_once: int = Field(
        32, ge=1, description="Matches among them that are worked on at the same time, as a number; beyond, 503."
    )
    remembered_answers: int = Field(
        256,
        ge=0,
        description="Lists of receivers that are kept to be shown again while market and models stay the same, as a "
        "number; 0 for none.",
    )
    caller_requests_per_s: float = Field(
        600.0, ge=0, description="Requests a second that one caller may send, twice as many at once; 0 for no limit."
    )
    backup_kept: int = Field(24, ge=1, description="Backups that are kept, as a number; older ones are removed.")
    backup_dir: Path | None = Field(
        None, description="Folder of backups, best on another disk; 'backups' in data_dir when unset."
    )

    @property
    def connects_marketplace(self) -> bool:
        """Whether address and key of a marketplace are set, and it is not switched off."""
        given = self.supabase_url is not None and self.supabase_service_role_key is not None
        return given and self.marketplace_enabled

    @property
    def starts_with_demo(self) -> bool:
        """Whether a new store gets the demonstration market; beside a real one only where somebody asks for it."""
        return self.demo_market and ("demo_market" in self.model_fields_set or not self.connects_marketplace)

    @field_validator("gnn_api_key", "deepseek_api_key", "supabase_url", "supabase_service_role_key", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("public_url")
    @classmethod
    def _is_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment):
            raise ValueError("must be an http or https address such as https://ism.example.org")
        return value.rstrip("/")

    @field_validator("admin_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 16:
            raise ValueError("must have at least 16 characters")
        return value
