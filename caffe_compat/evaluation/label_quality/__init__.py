"""Which labels of a noisy set are wrong: scores of every record, lists for a person, comparison with cleanlab."""
