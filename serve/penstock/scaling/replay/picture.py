"""Load and replicas over time as an SVG, one panel a load curve. Used by `__main__`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

COLUMNS, WIDTH, HEIGHT = 2, 460, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 34, 26
LEGEND = 30
POINTS = 230
FONT = 'font-family="sans-serif" font-size="11"'
COLORS = ("#1f77b4", "#d9822b", "#8e5bb5")


class Panel(NamedTuple):
    """One load curve and what each policy made of it."""

    title: str
    load: Sequence[float]
    """Per second, in replicas."""
    replicas: Mapping[str, Sequence[int]]
    """By policy, per second."""


def svg(panels: Sequence[Panel]) -> str:
    """The picture. All panels must show the same policies, at most as many as there are `COLORS`."""
    rows = -(-len(panels) // COLUMNS)
    width, height = COLUMNS * WIDTH, LEGEND + rows * HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {FONT}>',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        *_legend(panels[0].replicas),
    ]
    for place, panel in enumerate(panels):
        row, column = divmod(place, COLUMNS)
        parts.append(f'<g transform="translate({column * WIDTH} {LEGEND + row * HEIGHT})">')
        parts += _panel(panel)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>", ""])


def _legend(names: Iterable[str]) -> list[str]:
    parts = [f'<rect x="{LEFT}" y="9" width="18" height="10" fill="#dfe3e6"/>', _text(LEFT + 24, 18, "load")]
    for place, name in enumerate(names):
        x = LEFT + 80 + 150 * place
        parts += [f'<path d="M{x} 14h18" stroke="{COLORS[place]}" stroke-width="2"/>', _text(x + 24, 18, name)]
    return parts


def _panel(panel: Panel) -> list[str]:
    load = _thinned(panel.load)
    lines = {name: _thinned(values) for name, values in panel.replicas.items()}
    top = max(1.0, *load, *(max(values) for values in lines.values()))
    inner, high = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    floor = TOP + high
    parts = [_text(LEFT, TOP - 10, panel.title, weight="bold")]
    for tick in _ticks(top, 4):
        y = floor - high * tick / top
        parts.append(f'<path d="M{LEFT} {y:.1f}h{inner}" stroke="#eceff1"/>')
        parts.append(_text(LEFT - 6, y + 4, f"{tick:g}", anchor="end"))
    minutes = len(panel.load) / 60
    unit, per_unit = ("h", 60) if minutes > 150 else ("min", 1)
    for tick in _ticks(minutes / per_unit, 6):
        x = LEFT + inner * tick * per_unit / minutes
        parts.append(_text(x, floor + 15, f"{tick:g} {unit}", anchor="middle" if tick else "start"))
    area = _stairs(load, top, inner, high)
    parts.append(f'<path d="M{LEFT} {floor}{area}V{floor}Z" fill="#dfe3e6"/>')
    for place, values in enumerate(lines.values()):
        stairs = _stairs(values, top, inner, high).removeprefix("V")
        parts.append(f'<path d="M{LEFT} {stairs}" fill="none" stroke="{COLORS[place]}" stroke-width="1.6"/>')
    return parts


def _stairs(values: Sequence[float], top: float, inner: int, high: int) -> str:
    path: list[str] = []
    last = None
    for place, value in enumerate(values):
        y = f"{TOP + high * (1 - value / top):.1f}"
        if y != last:
            path.append(f"H{LEFT + inner * place / len(values):.1f}V{y}" if path else f"V{y}")
            last = y
    return "".join(path) + f"H{LEFT + inner}"


def _thinned(values: Sequence[float]) -> list[float]:
    """The highest of each of `POINTS` parts."""
    edges = [place * len(values) // POINTS for place in range(POINTS + 1)]
    return [max(values[begin:end]) for begin, end in pairwise(edges)]


def _ticks(top: float, count: int) -> list[float]:
    least = top / count
    size = next(size for power in range(-1, 6) for base in (1, 2, 5) if (size := base * 10.0**power) >= least)
    return [place * size for place in range(int(top / size) + 1)]


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}" fill="#333">{text}</text>'
