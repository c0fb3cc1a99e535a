"""New inputs as the net saw them, beside what it says of them."""

from typing import TYPE_CHECKING, Any

from torch import Tensor

from kindling.figure import Figure, short, style
from kindling.pictures.about import About
from kindling.pictures.images import as_drawn

if TYPE_CHECKING:
    import pandas as pd

    from kindling.reopening.run import Run

MOST = 24  # pictures
COLUMNS = 6
CHANCE = "probability_"
LETTERS = 18  # of a name above a picture


def said(table: "pd.DataFrame") -> "pd.DataFrame":
    """The short form of a table of predictions: of many classes, the likeliest two with their probabilities."""
    chances = table[[name for name in table if str(name).startswith(CHANCE)]]
    if "class" not in table or chances.shape[1] < 3:
        return table
    places = chances.to_numpy().argsort(axis=1)[:, ::-1]
    kept = table[[name for name in table if name not in chances]].copy()
    kept["probability"] = [row[place] for row, place in zip(chances.to_numpy(), places[:, 0], strict=True)]
    kept["or"] = [str(chances.columns[place]).removeprefix(CHANCE) for place in places[:, 1]]
    kept["probability of that"] = [row[place] for row, place in zip(chances.to_numpy(), places[:, 1], strict=True)]
    return kept


def draw(run: "Run", x: Tensor | None, table: "pd.DataFrame") -> Figure | None:
    """The first images x (N, C, H, W) with their answers; None where these are no images."""
    if x is None or x.ndim != 4 or x.shape[1] not in (1, 3) or x.is_complex():
        return None
    count = min(len(x), MOST)
    height, width = -(-count // COLUMNS), min(count, COLUMNS)
    white = getattr(run.described, "white", None)
    with style():
        figure = Figure(figsize=(max(1.6 * width, 3), 2 * height + 0.4), layout="constrained")
        for place, axes in enumerate(figure.subplots(height, width, squeeze=False).flat):
            axes.axis("off")
            if place < count:
                picture = as_drawn(x[place] if white is None or x.shape[1] == 1 else x[place] / white)
                axes.imshow(picture, cmap="gray", vmin=0, vmax=white)
                axes.set_title(title(table.iloc[place].to_dict()), fontsize=9)
        about = About.of(run.folder).caption if (run.folder / "summary.json").exists() else run.path.name
        figure.caption(f"Inputs as the net saw them. {about}")
    return figure


def title(answer: dict[Any, Any]) -> str:
    """`photo.png`, and below it `7 (0.98)`; of what are no classes, the first number."""
    name = short(str(answer.get("file", "")), LETTERS)
    if "class" in answer:
        chance = answer[CHANCE + str(answer["class"])]
        told = f"{answer['class']} ({chance:.2f})"
    else:
        told = ", ".join(f"{value:.3g}" for value in answer.values() if isinstance(value, float))
    return "\n".join(filter(None, [name, short(told, LETTERS)]))
