"""Checking a data set before training: raw folders, image lists and made data folders. What it finds: ``kinds``."""
