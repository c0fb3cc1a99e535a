"""A joke as gradient descent: what is 9 + 10? python docs/course/code/interview.py [--write]"""

from itertools import pairwise

from lesson import leave

TRUTH = 19
FIRST = 3
JOKE = [3, 16, 18, 19]


def descend(lr: float, steps: int) -> list[float]:
    """All answers, from the first one on."""
    w = float(FIRST)
    answers = [w]
    for _ in range(steps):
        gradient = w - TRUTH  # of the loss (w - TRUTH)² / 2
        w = w - lr * gradient
        answers.append(w)
    return answers


def steps(lr: float) -> str:
    lines = ["| step | answer w | gradient w - 19 | w - 0.8 * gradient | said |", "|---|---|---|---|---|"]
    for step, w in enumerate(descend(lr, 3)):
        gradient = w - TRUTH
        lines.append(f"| {step} | {w:.3f} | {gradient:.3f} | {w - lr * gradient:.3f} | {round(w)} |")
    return "\n".join(lines)


def exact() -> str:
    """Which step size would lead from each answer of the joke to the next."""
    lines = ["| from | to | error | step size = correction / error |", "|---|---|---|---|"]
    for old, new in pairwise(JOKE):
        correction, missing = new - old, TRUTH - old
        lines.append(f"| {old} | {new} | {-missing} | {correction}/{missing} = {correction / missing:.4f} |")
    fits = [lr / 1000 for lr in range(1, 2000) if [round(w) for w in descend(lr / 1000, 3)] == JOKE]
    return "\n".join([*lines, "", f"Rounded, all four answers come out for step sizes from {fits[0]} to {fits[-1]}."])


def sizes() -> str:
    lines = ["| step size | what it says, rounded |", "|---|---|"]
    for lr in (0.1, 0.6, 0.8, 1.0, 1.5, 2.0, 2.1):
        lines.append(f"| {lr} | {', '.join(str(round(w)) for w in descend(lr, 6))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    tables = {"interview": steps(0.8), "interview exact": exact(), "interview sizes": sizes()}
    leave("00-map.md", tables, seeds="nothing drawn at random")
