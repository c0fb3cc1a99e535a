"""Lesson 11: an autograd of one's own, which trains XOR. Only the standard library is needed.

python docs/course/code/autograd.py [--write]
"""

import math
import random
import sys

ROWS = [((0, 0), 0), ((0, 1), 1), ((1, 0), 1), ((1, 1), 0)]


class Value:
    """A number that remembers which values it was made of, and how fast it changes with each of them."""

    def __init__(self, data, parents=(), slopes=()):
        self.data, self.parents, self.slopes = data, parents, slopes
        self.grad = 0.0  # how fast the loss changes with this value

    def __add__(self, other):
        other = as_value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = as_value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def tanh(self):
        t = math.tanh(self.data)
        return Value(t, (self,), (1 - t * t,))

    def sigmoid(self):
        p = 1 / (1 + math.exp(-self.data))
        return Value(p, (self,), (p * (1 - p),))

    def log(self):
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def backward(self):
        """Fills in `grad` of everything that this value was made of."""
        order, seen = [], set()

        def visit(value):
            if value not in seen:
                seen.add(value)
                for parent in value.parents:
                    visit(parent)
                order.append(value)  # after its parents

        visit(self)
        self.grad = 1.0
        for value in reversed(order):  # from the loss back to the weights: the chain rule, one link at a time
            for parent, slope in zip(value.parents, value.slopes, strict=True):
                parent.grad += slope * value.grad


def as_value(number):
    return number if isinstance(number, Value) else Value(number)


def predict(weights, x):
    """2-4-1: four hidden units of two weights and a bias each, then four weights and a bias. 17 parameters."""
    out = weights[16]
    for unit in range(4):
        w1, w2, b = weights[3 * unit : 3 * unit + 3]
        out = out + weights[12 + unit] * (w1 * x[0] + w2 * x[1] + b).tanh()
    return out.sigmoid()


def loss_of(weights):
    """The mean of -log(probability of what is right) over the four rows."""
    total = Value(0.0)
    for x, y in ROWS:
        p = predict(weights, x)
        total = total + (p if y else p * -1 + 1).log() * -0.25
    return total


def train(steps=1000, lr=0.5):
    """Plain gradient descent; a table of how it goes."""
    draw = random.Random(0)
    weights = [Value(draw.uniform(-1, 1)) for _ in range(17)]
    table = ["| step | loss | p(0, 0) | p(0, 1) | p(1, 0) | p(1, 1) |", "|---:|---:|---:|---:|---:|---:|"]
    for step in range(steps + 1):
        loss = loss_of(weights)
        if step in (0, 10, 100, 200, 500, steps):
            shown = [f"{predict(weights, x).data:.2f}" for x, _ in ROWS]
            table.append(f"| {step} | {loss.data:.3f} | {' | '.join(shown)} |")
        for weight in weights:
            weight.grad = 0.0  # else the new gradients would be added to the last ones
        loss.backward()
        for weight in weights:
            weight.data -= lr * weight.grad
    return "\n".join(table)


if __name__ == "__main__":
    if "--write" in sys.argv:
        from lesson import leave  # puts the table into the page

        leave("11-backpropagation.md", {"autograd": train()})
    else:
        print(train())
