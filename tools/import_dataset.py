#!/usr/bin/env python3
from caffe_compat.cli.import_dataset import main

raise SystemExit(main())
