"""What a reader needs of the texts of a figure: they lie within it, none covers another, and none is too small."""

from itertools import combinations
from unittest.mock import patch

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

README_WIDTH = 830  # pixels: a wider figure is made to fit into the column of a README
SMALLEST = 8  # pixels there


def text_problems(figure: Figure) -> list[str]:
    """At 100 dots an inch, which is how large a README shows a figure that fits into its column."""
    figure.set_dpi(100)
    canvas, frame, shrunk = FigureCanvasAgg(figure), figure.bbox, min(1.0, README_WIDTH / figure.bbox.width)
    canvas.draw()  # once before, for the layout
    drawn: list[Text] = []
    draw = Text.draw

    def record(text: Text, renderer: object) -> None:
        drawn.append(text)
        draw(text, renderer)

    with patch.object(Text, "draw", record):  # tick labels beyond the limits of their axis are kept, and not drawn
        canvas.draw()
    seen = {id(text): text for text in drawn if text.get_text().strip() and text.get_visible()}.values()
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in seen]
    sizes = {text.get_text(): text.get_fontsize() * 100 / 72 * shrunk for text in seen}
    found = [f"{text!r} has {size:.1f} pixels" for text, size in sizes.items() if size < SMALLEST]
    found += [f"{text!r} leaves the figure" for text, box in boxes if not within(box, frame)]
    return found + [f"{a!r} covers {b!r}" for (a, one), (b, other) in combinations(boxes, 2) if overlap(one, other)]


def within(box: Bbox, frame: Bbox) -> bool:
    return box.x0 >= frame.x0 - 1 and box.y0 >= frame.y0 - 1 and box.x1 <= frame.x1 + 1 and box.y1 <= frame.y1 + 1


def overlap(one: Bbox, other: Bbox) -> bool:
    """By more than a pixel in both directions."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    return width > 1 and min(one.y1, other.y1) - max(one.y0, other.y0) > 1
