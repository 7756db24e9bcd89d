#!/usr/bin/env python3
from caffe_compat.cli.make_demo_data import main

if __name__ == "__main__":  # its worker processes import this file
    raise SystemExit(main())
