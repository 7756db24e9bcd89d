"""Databases: datums, LMDB and LevelDB, the transformer, and loading batches ahead. Import from the modules."""
