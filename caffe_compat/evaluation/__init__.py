"""Experiments: recipes as data, the chain that runs them, and the tables of their results."""
