"""Pictures of a trained model, one a module: `measure` takes from model and data what `draw` needs, as plain arrays.

What was measured is kept in figures/data.npz of the run's folder, so that each picture can be drawn again from there.
"""
