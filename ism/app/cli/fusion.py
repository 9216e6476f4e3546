"""``ism fusion``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from ism.app.cli.backend import connect
from ism.app.cli.common import load_settings, out, plain_table, print_json

if TYPE_CHECKING:
    from collections.abc import Mapping


def models(data_dir: Path | None, as_json: bool) -> None:
    """List all fusion models."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        found = backend.fusion_models()
    if as_json:
        print_json(found)
        return
    table = plain_table("active", "model", "version", "type", "weights", "MRR", "default MRR")
    for model in found["models"]:
        metrics = model["performance_metrics"]
        table.add_row(
            "yes" if model["is_active"] else "",
            escape(model["model_id"]),
            str(model["version"]),
            model["model_type"],
            escape(_weights(model["weights"])),
            _figure(metrics),
            _figure(metrics.get("default", {})),
        )
    out().print(table)


def use(model_id: str, reason: str, data_dir: Path | None, as_json: bool) -> None:
    """Make a model answer."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        _tell(backend.use_fusion_model(model_id, reason), as_json)


def revert(data_dir: Path | None, as_json: bool) -> None:
    """Take back the last switch."""
    with connect(load_settings(data_dir=data_dir)) as backend:
        _tell(backend.revert_fusion_model(), as_json)


def _tell(switch: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(switch)
        return
    now, before = f"{switch['model_id']} version {switch['version']}", switch["previous_id"]
    out().print(f"{now} answers now, in place of {before}. `ism fusion revert` takes it back.", markup=False)


def _weights(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {weight:.2f}" for name, weight in sorted(weights.items(), key=lambda item: -item[1]))


def _figure(metrics: Mapping[str, Any]) -> str:
    return f"{metrics['mrr']:.3f}" if "mrr" in metrics else "–"
