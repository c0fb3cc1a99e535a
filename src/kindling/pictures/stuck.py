"""The members of a population that do not get every row right, and what they say instead."""

import numpy as np

from kindling.figure import Figure, plain
from kindling.pictures import plane
from kindling.pictures.about import About
from kindling.pictures.decision import key, told
from kindling.pictures.seen import Found, Seen, predict

SAYS = (
    "Of the members that have not learned every test row, the worst: where each of them got stuck. A border that cuts "
    "off a single corner, or none at all, is a local minimum that more steps do not leave."
)
MOST = 8


def measure(seen: Seen) -> Found | None:
    if seen.population is None or not plane.of_plane(seen) or "test/acc" not in seen.population.tested:
        return None
    table = seen.population.tested
    right = table["test/acc"].fillna(0)
    worst = right[right < 1].sort_values(kind="stable").index[:MOST]
    if not len(worst):
        return None
    lines, kept, batches = plane.lines(plane.rows(seen)), plane.chosen(seen), list(seen.data.batches(seen.split))
    members = [seen.population.member(place).eval() for place in worst]
    return {
        **plane.measure(seen),
        "surfaces": np.stack([plane.surface(member, lines) for member in members]),
        "taken": np.stack([predict(member, batches)[0].numpy()[kept] > 0.5 for member in members]),
        "seeds": table.loc[worst, "seed"].to_numpy(),
        "stuck": np.array((right < 1).sum()),
        "members": np.array(len(table)),
    }


def draw(found: Found, about: About) -> Figure:
    surfaces, classes = found["surfaces"], [plain(str(name)) for name in found["classes"]]
    width = min(4, len(surfaces))
    height = -(-len(surfaces) // width)
    figure = Figure(figsize=(max(5.2, 2.1 * width + 1), 2.3 * height + 1.2), layout="constrained")
    panels = figure.subplots(height, width, squeeze=False, sharex=True, sharey=True)
    for axes in panels.flat[len(surfaces) :]:
        axes.set_visible(False)
    for axes, surface, taken, seed in zip(panels.flat, surfaces, found["taken"], found["seeds"], strict=False):
        ground = plane.draw_surface(axes, found, surface)
        wrong = taken != found["y"].astype(bool)
        plane.draw_points(axes, found["x"], found["y"], wrong)
        axes.set_title(f"seed {seed}\n{told(surface, wrong)}", fontsize=8)
    for axes in panels[:, 0]:
        axes.set_ylabel(plain(str(found["features"][1])))
    for place in range(width):
        last = [axes for axes in panels[:, place] if axes.get_visible()][-1]
        last.set_xlabel(plain(str(found["features"][0])))
        last.tick_params(labelbottom=True)
    figure.colorbar(ground, ax=panels, label=f"probability of {classes[1]}", aspect=30)
    stuck, shown = int(found["stuck"]), len(surfaces)
    more = f"; the {shown} worst" if stuck > shown else ""
    title = f"{stuck} of {int(found['members'])} members do not get every row right{more}"
    ncols = 4 if width > 2 else 2
    figure.legend(handles=key(classes), loc="outside upper center", ncols=ncols, title=title, title_fontsize=10)
    return figure
