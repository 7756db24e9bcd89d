"""The paper's figures and those beside them: each a function from arrays to a matplotlib Figure, all in one style."""
