"""Near duplicates between clean images and a noisy list, found and taken out of the list: see ``removal``."""
