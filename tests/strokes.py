"""Ten digits as a person draws them: strokes of points in a square, (0, 0) being its left upper corner."""

from math import cos, pi, sin

Stroke = list[tuple[float, float]]


def arc(x: float, y: float, wide: float, high: float, begin: float, end: float) -> Stroke:
    """Of an ellipse around (x, y), between two angles in turns: 0 is right, 0.25 is down."""
    angles = [2 * pi * (begin + (end - begin) * step / 16) for step in range(17)]
    return [(x + wide * cos(angle), y + high * sin(angle)) for angle in angles]


DIGITS: dict[int, list[Stroke]] = {
    0: [arc(0.5, 0.5, 0.3, 0.45, -0.25, 0.77)],
    1: [[(0.55, 0.05), (0.5, 0.5), (0.46, 0.95)]],
    2: [[*arc(0.5, 0.28, 0.27, 0.23, -0.45, 0.1), (0.5, 0.7), (0.2, 0.94), (0.82, 0.92)]],
    3: [[*arc(0.45, 0.27, 0.27, 0.22, -0.4, 0.2), *arc(0.45, 0.7, 0.3, 0.25, -0.22, 0.42)]],
    4: [[(0.3, 0.08), (0.22, 0.55), (0.8, 0.52)], [(0.72, 0.06), (0.66, 0.96)]],
    5: [[(0.3, 0.08), (0.27, 0.45), *arc(0.42, 0.68, 0.3, 0.26, -0.3, 0.4)], [(0.3, 0.07), (0.78, 0.06)]],
    6: [[(0.62, 0.05), (0.38, 0.35), *arc(0.48, 0.72, 0.22, 0.22, 0.52, 1.55)]],
    7: [[(0.2, 0.1), (0.8, 0.08), (0.55, 0.5), (0.42, 0.95)]],
    8: [[*arc(0.5, 0.28, 0.2, 0.2, 0.25, -0.75), *arc(0.5, 0.71, 0.23, 0.23, -0.25, 0.75)]],
    9: [[*arc(0.48, 0.3, 0.23, 0.23, 0.0, -1.0), (0.7, 0.35), (0.66, 0.65), (0.58, 0.96)]],
}
