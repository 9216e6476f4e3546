"""The fusion layer by itself, for debugging: outputs of engines come in as lines of JSON, fused scores go out."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TextIO

from ism.domain.errors import InvalidInputError, IsmError
from ism.fusion.layer import AIFusionLayer
from ism.fusion.outputs import output_of

_HELLO = """\
The fusion layer by itself, without server or engines. It fuses what engines say of one pair by the model that is active
in the default data folder. Send the outputs for one pair a line, for example
  [{"engine_name": "gnn", "confidence_score": 0.8}, {"engine_name": "matching", "confidence_score": 0.9}]
and read the score with its shares. End with Ctrl+D.
"""


def main(lines: TextIO | None = None, out: TextIO | None = None) -> None:
    """Open the default data folder, fuse each line, and end with the input.

    Args:
        lines: where outputs come from; standard input when None.
        out: where answers go, as lines of JSON; standard output when None. What is for people goes to standard error.
    """
    lines, out = lines or sys.stdin, out or sys.stdout
    sys.stderr.write(_HELLO)
    try:
        with AIFusionLayer() as layer:
            models = {model.model_id: model.weights for model in layer.get_fusion_models()}
            _tell(out, {"active_model": layer.get_active_model().model_id, "fusion_models": models})
            for line in lines:
                if line.strip():
                    _tell(out, _answer(layer, line))
    except IsmError as error:
        sys.stderr.write(f"Error: {error}\n")
        raise SystemExit(1) from error
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")


def _answer(layer: AIFusionLayer, line: str) -> object:
    try:
        given = json.loads(line)
        if not isinstance(given, list):
            raise InvalidInputError("line", given, "Give a list of outputs, one of each engine.")
        return asdict(layer.fuse([output_of(values, place) for place, values in enumerate(given)]))
    except ValueError as error:
        return {"error": f"This line is not JSON: {error}."}
    except IsmError as error:
        return {"error": str(error)}


def _tell(out: TextIO, answer: object) -> None:
    out.write(json.dumps(answer, ensure_ascii=False, default=str) + "\n")
    out.flush()
