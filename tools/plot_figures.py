#!/usr/bin/env python3
from caffe_compat.cli.plot_figures import main

if __name__ == "__main__":
    raise SystemExit(main())
