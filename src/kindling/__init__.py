"""Kindling: a research template on PyTorch Lightning and Hydra."""
