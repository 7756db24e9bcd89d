#!/usr/bin/env python3
from caffe_compat.cli.upgrade_net_proto import main

raise SystemExit(main())
