"""One style for all figures, without torch: colours, sizes, captions, and how they are written."""

import io
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import figure
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from kindling.folders import write_whole
from kindling.palette import BLACK, BLUE, CYCLE, GREEN, GREY, VERMILLION
from kindling.text import printable

STAGES = {"training": BLUE, "validation": VERMILLION, "test": GREEN, "": BLACK}
SMALLEST = 7  # points of a text: 10 pixels at 100 dots an inch, which is how large a README shows a figure
FORMATS = ("png", "svg", "pdf")
STYLE = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.prop_cycle": mpl.cycler(color=CYCLE),  # type: ignore[attr-defined]
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.titlesize": 10,
    "font.size": 9,
    "grid.alpha": 0.25,
    "image.cmap": "cividis",
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "svg.fonttype": "none",  # text stays text
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


@contextmanager
def style() -> Iterator[None]:
    """Whatever is drawn within it, is drawn in the style of the house. What nobody can act on is not told: a sign that
    no font has, and numbers that are not finite.
    """
    with mpl.rc_context(STYLE), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", message="Glyph ", category=UserWarning)
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        yield


class Figure(figure.Figure):
    """Shows itself in a notebook, whether or not pyplot has been set up there."""

    def caption(self, text: str) -> None:
        """Below everything, in small letters: of which run it is."""
        width = int(self.get_figwidth() * 72 / (0.52 * SMALLEST))  # letters in a line
        self.supxlabel("\n".join(textwrap.wrap(plain(text), width)), fontsize=SMALLEST, color=GREY, x=0.01, ha="left")

    def _repr_png_(self) -> bytes:
        return self.png()

    def png(self, dpi: int = 100) -> bytes:
        return self.written("png", dpi)

    def written(self, kind: str, dpi: int = 120) -> bytes:
        buffer = io.BytesIO()
        with style():
            if kind == "png":  # savefig would lay it out and walk through it twice
                self.set_dpi(dpi)
                FigureCanvasAgg(self).print_png(buffer)  # type: ignore[no-untyped-call]
            else:
                self.savefig(buffer, format=kind, dpi=dpi, metadata=UNDATED.get(kind))
        return buffer.getvalue()


UNDATED: Mapping[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}


def entries(panels: Iterable[Axes]) -> dict[str, Artist]:
    """Of a legend for several panels: what each text stands for, once."""
    pairs = (zip(*axes.get_legend_handles_labels(), strict=True) for axes in panels)
    return {str(text): handle for pair in pairs for handle, text in pair}


def plain(text: str) -> str:
    """A dollar sign is one, and begins no formula."""
    return text.replace("$", r"\$")


def short(text: str, letters: int = 20) -> str:
    """`plain`, in one line; of a longer one the middle is left out, since names often differ at their ends."""
    line = printable(" ".join(text.split()))
    end = letters // 3
    return plain(line if len(line) <= letters else f"{line[: letters - 1 - end]}…{line[-end:]}")


def save(folder: Path, name: str, drawn: figure.Figure, formats: Sequence[str] = ("png",)) -> None:
    """As `folder`/`name`.png and the like. Figures of others are written in their own style."""
    folder.mkdir(exist_ok=True)
    for kind in formats:
        if isinstance(drawn, Figure):
            content = drawn.written(kind)
        else:
            buffer = io.BytesIO()
            drawn.savefig(buffer, format=kind, dpi=150)
            content = buffer.getvalue()
        write_whole(folder / f"{name}.{kind}", content)
