"""Databases: datums, LMDB, the transformer, and loading batches ahead."""

from caffe_compat.data.batches import BatchDataset, load_index
from caffe_compat.data.datum import decode_datum, encode_datum, encoded_datum, label_datum, parse_datum
from caffe_compat.data.group import Group, SourceInfo, check_databases, describe
from caffe_compat.data.lmdb_store import LmdbReader, write_database
from caffe_compat.data.loader import BatchLoader, set_num_workers
from caffe_compat.data.transformer import Transformer

__all__ = [
    "BatchDataset",
    "BatchLoader",
    "Group",
    "LmdbReader",
    "SourceInfo",
    "Transformer",
    "check_databases",
    "decode_datum",
    "describe",
    "encode_datum",
    "encoded_datum",
    "label_datum",
    "load_index",
    "parse_datum",
    "set_num_workers",
    "write_database",
]
