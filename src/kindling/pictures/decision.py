"""The decision surface over the plane of two features, before, half-way and after training."""

import numpy as np
from matplotlib.lines import Line2D

from kindling.figure import Figure, plain
from kindling.palette import BLACK
from kindling.pictures import plane
from kindling.pictures.about import About
from kindling.pictures.seen import Found, Seen, predict

SAYS = (
    "What the model says at every place of the plane, before, half-way and after training; the black line is where it "
    "is undecided. Circles and squares are the rows of the two classes; one that is crossed is on the wrong side."
)


def measure(seen: Seen) -> Found | None:
    """The `surfaces` (moments, P, P), the `steps` done then (-1 for the model as it is kept), and which rows of the
    test were then taken for the second class, `taken` (moments, N).
    """
    if not plane.of_plane(seen):
        return None
    lines, kept = plane.lines(plane.rows(seen)), plane.chosen(seen)
    surfaces, taken, steps = [], [], []
    for moment in (0.0, 0.5) if seen.trace.moments else ():
        with seen.at(moment):
            surfaces.append(plane.surface(seen.model, lines))
            taken.append(predict(seen.model, seen.data.batches(seen.split))[0].numpy()[kept] > 0.5)
        steps.append(seen.trace.step(moment))
    surfaces.append(plane.surface(seen.model, lines))
    taken.append(seen.tested[0].numpy()[kept] > 0.5)
    return {
        **plane.measure(seen),
        "surfaces": np.stack(surfaces),
        "taken": np.stack(taken),
        "steps": np.array([*steps, -1]),
    }


def draw(found: Found, about: About) -> Figure:
    surfaces, features = found["surfaces"], [plain(str(name)) for name in found["features"]]
    figure = Figure(figsize=(2.6 * len(surfaces) + 1.8, 3.5), layout="constrained")
    panels = figure.subplots(1, len(surfaces), squeeze=False, sharey=True)[0]
    for axes, surface, taken, step in zip(panels, surfaces, found["taken"], found["steps"], strict=True):
        ground = plane.draw_surface(axes, found, surface)
        wrong = taken != found["y"].astype(bool)
        plane.draw_points(axes, found["x"], found["y"], wrong)
        axes.set(xlabel=features[0], title=f"{moment(int(step))}\n{told(surface, wrong)}")
    panels[0].set_ylabel(features[1])
    classes = [plain(str(name)) for name in found["classes"]]
    figure.colorbar(ground, ax=panels, label=f"probability of {classes[1]}", aspect=30)
    figure.legend(handles=key(classes), loc="outside upper center", ncols=4)
    return figure


def moment(step: int) -> str:
    return "after training" if step < 0 else f"half-way, step {step:,}" if step else "before training"


def told(surface: np.ndarray, wrong: np.ndarray) -> str:
    flat = " (flat: no border)" if np.abs(surface - 0.5).max() <= plane.FLAT else ""
    return f"{(~wrong).sum()} of {len(wrong)} right{flat}"


def key(classes: list[str]) -> list[Line2D]:
    """The legend of the points, whether or not there is one of each."""
    of_classes = [
        Line2D([], [], linestyle="", color=colour, marker=marker, markeredgecolor=BLACK, label=f"is {name}")
        for name, (colour, marker) in zip(classes, plane.CLASSES, strict=True)
    ]
    return [
        *of_classes,
        Line2D([], [], linestyle="", marker="x", color=BLACK, label="taken for the other"),
        Line2D([], [], color=BLACK, label="undecided"),
    ]
