#!/usr/bin/env python3
from caffe_compat.cli.compute_image_mean import main

raise SystemExit(main())
