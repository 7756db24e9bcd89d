#!/usr/bin/env python3
from caffe_compat.cli.convert_imageset import main

raise SystemExit(main())
