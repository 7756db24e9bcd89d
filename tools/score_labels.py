#!/usr/bin/env python3
from caffe_compat.cli.score_labels import main

raise SystemExit(main())
