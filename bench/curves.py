"""Growth curves as one self-contained SVG file, both axes logarithmic."""

from collections.abc import Sequence
from math import ceil, floor, log10
from pathlib import Path

WIDTH, HEIGHT, MARGIN = 460, 320, 56
COLOURS = ("#1f6f8b", "#b5542b", "#4a7a2c")
Curve = tuple[str, Sequence[tuple[float, float]]]


def write_svg(path: Path, charts: Sequence[tuple[str, str, Sequence[Curve]]]) -> None:
    """Draw charts (title, name of the x axis, curves in microseconds) side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = f'width="{WIDTH * len(charts)}" height="{HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for number, (title, axis, curves) in enumerate(charts):
        parts.append(f'<g transform="translate({WIDTH * number},0)">')
        parts += _chart(title, axis, curves)
        parts.append("</g>")
    path.write_text("\n".join([*parts, "</svg>\n"]))


def _chart(title: str, axis: str, curves: Sequence[Curve]) -> list[str]:
    points = [point for _, curve in curves for point in curve]
    spans = [
        (floor(log10(min(values))), max(ceil(log10(max(values))), floor(log10(min(values))) + 1))
        for values in ([x for x, _ in points], [y for _, y in points])
    ]

    def place(x: float, y: float) -> tuple[float, float]:
        (left, right), (low, high) = spans
        across = (log10(x) - left) / (right - left)
        up = (log10(y) - low) / (high - low)
        return (
            MARGIN + across * (WIDTH - 2 * MARGIN),
            HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN),
        )

    (left, right), (low, high) = spans
    parts = [
        f'<text x="{WIDTH / 2}" y="22" text-anchor="middle" font-size="13">{title}</text>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 14}" text-anchor="middle">{axis}</text>',
    ]
    for power in range(left, right + 1):
        x, y = place(10**power, 10**low)
        parts += [_line((x, y), place(10**power, 10**high)), _label(x, y + 15, 10**power, "middle")]
    for power in range(low, high + 1):
        x, y = place(10**left, 10**power)
        parts += [
            _line((x, y), place(10**right, 10**power)),
            _label(x - 5, y + 4, 10**power, "end"),
        ]
    for number, (name, curve) in enumerate(curves):
        parts += _curve(name, [place(x, y) for x, y in curve], COLOURS[number % 3], number)
    return parts


def _line(start: tuple[float, float], end: tuple[float, float]) -> str:
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        'stroke="#ddd"/>'
    )


def _label(x: float, y: float, value: float, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{value:,g}</text>'


def _curve(name: str, places: Sequence[tuple[float, float]], colour: str, number: int) -> list[str]:
    route = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    y = 40 + 14 * number
    return [
        f'<polyline points="{route}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *dots,
        f'<text x="{MARGIN + 8}" y="{y}" fill="{colour}">{name}</text>',
    ]
