"""The models to beat: what follows the last characters, counted."""

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int64]


class NGrams:
    """Interpolated Kneser-Ney: each order's counts less a discount, and the order below for what that leaves.

    A gram is one number, its characters the digits. Orders below the highest count the different characters that a gram
    follows, not how often it occurs (Kneser & Ney, 1995).
    """

    def __init__(self, tokens: Tokens, vocab_size: int, order: int) -> None:
        self.vocab_size = vocab_size
        self.order = order
        self.tables = []
        for k in range(1, order + 1):
            if k < order:
                grams, counts = np.unique(np.unique(self.grams(tokens, k + 1)) % vocab_size**k, return_counts=True)
            else:
                grams, counts = np.unique(self.grams(tokens, k), return_counts=True)
            contexts, inverse = np.unique(grams // vocab_size, return_inverse=True)
            self.tables.append((grams, counts, contexts, np.bincount(inverse, counts), np.bincount(inverse)))

    def grams(self, tokens: Tokens, k: int) -> Tokens:
        """All that are k long."""
        number = len(tokens) - k + 1
        return sum(tokens[i : i + number] * self.vocab_size ** (k - 1 - i) for i in range(k))

    def perplexity(self, tokens: Tokens, discount: float) -> float:
        """Of each character but the first, each after as many as there are before it."""
        padded = np.concatenate([np.zeros(max(self.order - 2, 0), np.int64), tokens])
        p = np.full(len(padded) - self.order + 1, 1 / self.vocab_size)
        for k, (grams, counts, contexts, totals, followers) in enumerate(self.tables, start=1):
            asked = self.grams(padded, k)[self.order - k :]
            total = find(contexts, totals, asked // self.vocab_size)
            left = np.maximum(find(grams, counts, asked) - discount, 0)
            mixed = (left + discount * find(contexts, followers, asked // self.vocab_size) * p) / np.maximum(total, 1)
            p = np.where(total > 0, mixed, p)
        return float(np.exp(-np.log(p).mean()))


def find(keys: Tokens, values: NDArray[np.generic], asked: Tokens) -> NDArray[np.generic]:
    """The values of the keys that are asked for; 0 for one that is not there. The keys are sorted."""
    places = np.searchsorted(keys, asked).clip(max=len(keys) - 1)
    return np.where(keys[places] == asked, values[places], 0)
