#!/usr/bin/env python3
from caffe_compat.cli.reproduce_table import main

raise SystemExit(main())
