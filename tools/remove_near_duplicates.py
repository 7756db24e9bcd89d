#!/usr/bin/env python3
from caffe_compat.cli.remove_near_duplicates import main

if __name__ == "__main__":  # its worker processes import this file
    raise SystemExit(main())
