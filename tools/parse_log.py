#!/usr/bin/env python3
from caffe_compat.cli.parse_log import main

if __name__ == "__main__":
    raise SystemExit(main())
