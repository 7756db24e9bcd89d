"""The experiments: recipes, the chain that trains them, results and tables."""
