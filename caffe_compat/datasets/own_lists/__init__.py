"""A data folder from one's own lists of images."""
