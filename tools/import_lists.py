#!/usr/bin/env python3
from caffe_compat.cli.import_lists import main

raise SystemExit(main())
