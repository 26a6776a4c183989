"""Two curves as a picture: on a terminal with block characters, and as SVG.

Whole numbers only; a point is placed by its share of the greatest value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_BLOCKS: Final = " ▁▂▃▄▅▆▇█"
"""Eighths of a character cell, from nothing to full."""

_LEFT, _TOP, _WIDTH, _HEIGHT = 70, 30, 820, 300
"""Pixels: the place of the frame in the SVG, and its size."""

_COLOURS: Final = ("#1f6feb", "#b35900")


@dataclass(frozen=True, slots=True)
class Curve:
    """A named series of values, one a column, and the label of its greatest."""

    name: str
    values: Sequence[int]
    top: str


def draw_bars(curve: Curve, *, width: int, height: int) -> list[str]:
    """Give lines of a bar chart; more values than columns are thinned, the last always shown."""
    values = _thin(curve.values, width)
    top = max(*values, 1)
    lines = [f"{curve.name}, at most {curve.top}"]
    for row in range(height - 1, -1, -1):
        eighths = (min(max(value * height * 8 // top - row * 8, 0), 8) for value in values)
        lines.append("│" + "".join(_BLOCKS[part] for part in eighths).rstrip())
    return [*lines, "└" + "─" * len(values)]


def draw_svg(title: str, eras: Sequence[int], curves: Sequence[Curve]) -> str:
    """Give an SVG document with one line a curve, each on the scale of its own greatest value."""
    right, bottom = _LEFT + _WIDTH, _TOP + _HEIGHT
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {right + 30} {bottom + 90}" '
        'font-family="sans-serif" font-size="13">'
    )
    frame = (
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}" '
        'fill="none" stroke="#888"/>'
    )
    parts = [head, f"<title>{title}</title>", frame]
    for number, curve in enumerate(curves):
        top, colour = max(*curve.values, 1), _COLOURS[number % len(_COLOURS)]
        points = " ".join(
            f"{_LEFT + index * _WIDTH // max(len(eras) - 1, 1)},{bottom - value * _HEIGHT // top}"
            for index, value in enumerate(curve.values)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        parts.append(
            f'<text x="{_LEFT}" y="{bottom + 45 + 20 * number}" fill="{colour}">'
            f"{curve.name}: at most {curve.top}</text>"
        )
    parts.append(f'<text x="{_LEFT}" y="{bottom + 20}">era {eras[0]}</text>')
    parts.append(f'<text x="{right}" y="{bottom + 20}" text-anchor="end">era {eras[-1]}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _thin(values: Sequence[int], count: int) -> Sequence[int]:
    """Give at most `count` values spread evenly, the first and the last among them."""
    if len(values) <= count or count < 2:
        return values
    return [values[index * (len(values) - 1) // (count - 1)] for index in range(count)]
