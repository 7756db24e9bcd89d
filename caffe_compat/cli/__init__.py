"""The command lines: one module a tool, each with ``main(argv=None) -> int``."""
