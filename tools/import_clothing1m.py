#!/usr/bin/env python3
from caffe_compat.cli.import_clothing1m import main

raise SystemExit(main())
