#!/usr/bin/env python3
from caffe_compat.cli.estimate_confusion import main

raise SystemExit(main())
