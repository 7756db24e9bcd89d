#!/usr/bin/env python3
from caffe_compat.cli.calibrate_scores import main

raise SystemExit(main())
