#!/usr/bin/env python3
from caffe_compat.cli.apply_decisions import main

raise SystemExit(main())
