#!/usr/bin/env python3
from caffe_compat.cli.compare_with_cleanlab import main

raise SystemExit(main())
