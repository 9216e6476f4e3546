"""Quality over time as text for a terminal and as SVG for a page."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

_ROWS, _GUTTER = 9, 6
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 720, 320, 56, 16, 44, 40  # pixels


def text_chart(values: Sequence[float], base: float, axis: str) -> str:
    """A chart with a column for each value; ``base`` is drawn as a line, and the values above or below it.

    Args:
        values: one at least.
        base: what they are compared with.
        axis: what the columns are.
    """
    low, high = _range(values, base)
    level = [_row(value, low, high) for value in values]
    ground = _row(base, low, high)
    lines = []
    for row in range(_ROWS, -1, -1):
        label = f"{low + (high - low) * row / _ROWS:.3f}" if row % 3 == 0 else ""
        marks = ("●" if place == row else "─" if row == ground else " " for place in level)
        lines.append(f"{label:>{_GUTTER}} │{''.join(marks)}{' static' if row == ground else ''}".rstrip())
    ticks = "".join(f"{place:<10}" for place in range(0, len(values), 10))
    lines += [f"{'':{_GUTTER}} └{'─' * len(values)}", f"{'':{_GUTTER}}  {ticks.rstrip()} {axis}"]
    return "\n".join(lines)


def svg_chart(values: Sequence[float], base: float, title: str, axis: str) -> str:
    """The same as a drawing that stands alone.

    Args:
        values: two at least.
        base: a dashed line.
        title: above it.
        axis: below it.
    """
    low, high = _range(values, base)
    step = (_WIDTH - _LEFT - _RIGHT) / (len(values) - 1)

    def height(value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    points = " ".join(f"{_LEFT + place * step:.1f},{height(value):.1f}" for place, value in enumerate(values))
    levels = [low + (high - low) * part / 3 for part in range(4)]
    every = max(1, 10 * round(len(values) / 60) or 1)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            f'font-family="sans-serif" font-size="12" fill="#333">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
            f'<text x="{_LEFT}" y="24" font-size="15">{escape(title)}</text>',
            *(
                f'<path d="M{_LEFT} {height(level):.1f}H{_WIDTH - _RIGHT}" stroke="#e5e5e5"/>'
                f'<text x="{_LEFT - 8}" y="{height(level) + 4:.1f}" text-anchor="end">{level:.3f}</text>'
                for level in levels
            ),
            *(
                f'<text x="{_LEFT + place * step:.1f}" y="{_HEIGHT - 20}" text-anchor="middle">{place}</text>'
                for place in range(0, len(values), every)
            ),
            f'<text x="{_WIDTH / 2:.0f}" y="{_HEIGHT - 4}" text-anchor="middle">{escape(axis)}</text>',
            f'<path d="M{_LEFT} {height(base):.1f}H{_WIDTH - _RIGHT}" stroke="#888" stroke-dasharray="5 4"/>',
            f'<text x="{_WIDTH - _RIGHT}" y="{height(base) - 6:.1f}" text-anchor="end">static default</text>',
            f'<polyline points="{points}" fill="none" stroke="#0b6b57" stroke-width="2.5"/>',
            "</svg>\n",
        ]
    )


def _range(values: Sequence[float], base: float) -> tuple[float, float]:
    low, high = min(base, *values), max(base, *values)
    return (low, high) if high > low else (low - 0.001, high + 0.001)


def _row(value: float, low: float, high: float) -> int:
    return round((value - low) / (high - low) * _ROWS)
