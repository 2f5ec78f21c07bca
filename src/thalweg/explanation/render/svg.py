"""The picture of an explanation as SVG: a network or a computation graph.

Sign is never shown by colour alone: positive lines are solid, negative ones dashed, and numbers
carry their sign. The thickness of a line is the size of its number.
"""

from __future__ import annotations

from html import escape

from thalweg.explanation.notation import digits, text
from thalweg.explanation.records import Picture, PictureEdge, PictureNode
from thalweg.language import tr

__all__ = ["svg"]

COLUMN, ROW, RADIUS = {"network": 172.0, "computation": 150.0}, 92.0, 22.0
MARGIN_X, MARGIN_Y = 64.0, 52.0
LONGEST, CAPTION = 16, 12.0
MANY_EDGES = 9  # between two columns; more of them carry no numbers


def svg(picture: Picture, lang: str) -> str:
    """Draw a picture.

    Parameters
    ----------
    picture : Picture
    lang : str
        Of its description for screen readers.

    Returns
    -------
    str
        An ``<svg>`` element whose nodes and edges carry their identifiers.
    """
    drawing = _Drawing(picture)
    label = tr(f"explanation.picture_{picture.kind}", lang)
    parts = [drawing.edge(e, lang) for e in picture.edges]
    parts += [drawing.node(n, lang) for n in picture.nodes]
    parts += [drawing.edge_label(e) for e in picture.edges]
    size = f'viewBox="0 0 {drawing.width:.0f} {drawing.height:.0f}"'
    columns = len({n.column for n in picture.nodes})
    least = min(drawing.width, 116.0 * columns)
    style = f'style="min-width:{least:.0f}px;max-width:{drawing.width:.0f}px"'
    return (
        f'<svg class="picture {picture.kind}" {size} {style} role="img" '
        f'aria-label="{escape(label)}">{"".join(parts)}</svg>'
    )


def signed(value: float | None, places: int = 4) -> str:
    """A number with its sign, the minus as long as the plus."""
    if value is None:
        return ""
    written = digits(value, places)
    return written.replace("-", "−") if value < 0 or value == 0 else "+" + written


def sign_class(value: float | None) -> str:
    """What a style sheet needs to know of a number."""
    if value is None or value == 0 or value != value:
        return "zero"
    return "plus" if value > 0 else "minus"


class _Drawing:
    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.column = COLUMN[picture.kind]
        rows = [n.row for n in picture.nodes]
        columns = [n.column for n in picture.nodes]
        self.row = ROW + (CAPTION if any(n.caption for n in picture.nodes) else 0.0)
        self.top = min(rows, default=0.0)
        self.width = 2 * MARGIN_X + self.column * max(columns, default=0.0)
        self.height = 2 * MARGIN_Y + self.row * (max(rows, default=0.0) - self.top)
        self.places = {n.id: self._place(n) for n in picture.nodes}
        self.largest = max((abs(e.value or 0.0) for e in picture.edges), default=1.0) or 1.0
        between: dict[tuple[float, float], int] = {}
        for e in picture.edges:
            key = self._columns(e)
            between[key] = between.get(key, 0) + 1
        self.between = between

    def _place(self, node: PictureNode) -> tuple[float, float]:
        return MARGIN_X + self.column * node.column, MARGIN_Y + self.row * (node.row - self.top)

    def _columns(self, edge: PictureEdge) -> tuple[float, float]:
        return self.places[edge.source][0], self.places[edge.target][0]

    def node(self, node: PictureNode, lang: str) -> str:
        x, y = self.places[node.id]
        if node.kind == "gap":
            return f'<text class="gap" x="{x:.0f}" y="{y + 5:.0f}">⋮</text>'
        name = text(node.label)
        named = f"{name} ({node.caption})" if node.caption else name
        told = f"{named} = {signed(node.value, 6)}"
        if node.derivative is not None:
            word = tr("explanation.global_derivative", lang)
            told += f", {word} {signed(node.derivative, 6)}"
        below = "" if node.value is None else signed(node.value)
        above = "" if node.derivative is None else f"∂ {signed(node.derivative)}"
        return (
            f'<g class="node {node.kind}" data-id="{escape(node.id)}"><title>{escape(told)}</title>'
            f"{self._body(x, y)}"
            f'<text class="name" x="{x:.0f}" y="{y + 5:.0f}">{escape(name)}</text>'
            f'<text class="value" x="{x:.0f}" y="{y + RADIUS + 13:.0f}">{escape(below)}</text>'
            f"{self._caption(x, y, node.caption)}"
            f'<text class="slope {sign_class(node.derivative)}" x="{x:.0f}" '
            f'y="{y - RADIUS - 6:.0f}">{escape(above)}</text></g>'
        )

    def _caption(self, x: float, y: float, caption: str) -> str:
        if not caption:
            return ""
        shown = caption if len(caption) <= LONGEST else caption[: LONGEST - 1] + "…"
        return f'<text class="caption" x="{x:.0f}" y="{y + RADIUS + 25:.0f}">{escape(shown)}</text>'

    def _body(self, x: float, y: float) -> str:
        if self.picture.kind == "network":
            return f'<circle cx="{x:.0f}" cy="{y:.0f}" r="{RADIUS:.0f}"/>'
        return (
            f'<rect x="{x - 30:.0f}" y="{y - RADIUS + 2:.0f}" width="60" '
            f'height="{2 * RADIUS - 4:.0f}" rx="9"/>'
        )

    def _ends(self, edge: PictureEdge) -> tuple[float, float, float, float]:
        (x1, y1), (x2, y2) = self.places[edge.source], self.places[edge.target]
        gap = RADIUS if self.picture.kind == "network" else 30.0
        return x1 + gap, y1, x2 - gap, y2

    def edge(self, edge: PictureEdge, lang: str) -> str:
        x1, y1, x2, y2 = self._ends(edge)
        size = 1.0 + 3.0 * abs(edge.value or 0.0) / self.largest
        told = f"{text(edge.label)} = {signed(edge.value, 6)}"
        if edge.derivative is not None and self.picture.kind == "network":
            word = tr("explanation.global_derivative", lang)
            told += f", {word} {signed(edge.derivative, 6)}"
        bend = (x2 - x1) * (0.0 if self.picture.kind == "network" else 0.35)
        return (
            f'<path class="edge {sign_class(edge.value)}" data-id="{escape(edge.source)}>'
            f'{escape(edge.target)}" d="M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} '
            f'{x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}" stroke-width="{size:.2f}">'
            f"<title>{escape(told)}</title></path>"
        )

    def edge_label(self, edge: PictureEdge) -> str:
        if edge.value is None or self.between[self._columns(edge)] > MANY_EDGES:
            return ""
        x1, y1, x2, y2 = self._ends(edge)
        along = 0.5
        if self.picture.kind == "network":
            before = sorted(y for x, y in self.places.values() if x == self.places[edge.source][0])
            along = (0.27, 0.5, 0.73)[before.index(y1) % 3] if len(before) > 1 else 0.5
        x, y = x1 + (x2 - x1) * along, y1 + (y2 - y1) * along
        return (
            f'<text class="weight {sign_class(edge.value)}" x="{x:.0f}" y="{y - 4:.0f}">'
            f"{escape(signed(edge.value, 3))}</text>"
        )
