#!/usr/bin/env python3
from caffe_compat.cli.make_nets import main

raise SystemExit(main())
