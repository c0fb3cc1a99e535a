"""What all figures share, without torch."""

import io

from matplotlib import figure as mpl


class Figure(mpl.Figure):
    """Shows itself in a notebook, whether or not pyplot has been set up there."""

    def _repr_png_(self) -> bytes:
        return self.png()

    def png(self, dpi: int = 100) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=dpi)
        return buffer.getvalue()
