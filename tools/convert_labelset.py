#!/usr/bin/env python3
from caffe_compat.cli.convert_labelset import main

raise SystemExit(main())
