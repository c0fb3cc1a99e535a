import math
from collections import Counter


class NGrams:
    """What follows the last characters, counted: the model to beat. Interpolated as by Kneser and Ney (1995)."""

    def __init__(self, text: str, order: int) -> None:
        self.symbols = len(set(text)) + 1  # and one for all others
        grams = Counter(text[i : i + order] for i in range(len(text) - order + 1))
        self.tables = []
        for _ in range(order):
            totals = Counter[str]()
            for gram, count in grams.items():
                totals[gram[:-1]] += count
            self.tables.insert(0, (grams, totals, Counter(gram[:-1] for gram in grams)))
            grams = Counter(gram[1:] for gram in grams)  # lower orders count what a gram follows, not how often

    def perplexity(self, text: str, discount: float) -> float:
        """Of each character but the first: each order's counts less a discount, and the order below for the rest."""
        nats = 0.0
        for i in range(1, len(text)):
            p = 1 / self.symbols
            for k, (grams, totals, followers) in enumerate(self.tables):
                context = text[i - k : i]
                if context in totals:
                    left = max(grams[context + text[i]] - discount, 0) + discount * followers[context] * p
                    p = left / totals[context]
            nats -= math.log(p)
        return math.exp(nats / (len(text) - 1))
