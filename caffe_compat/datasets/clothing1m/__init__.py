"""Clothing1M: reading its lists, finding what is wrong in them, and making the databases of the paper."""
