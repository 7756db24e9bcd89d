#!/usr/bin/env python3
from caffe_compat.cli.draw_net import main

if __name__ == "__main__":
    raise SystemExit(main())
