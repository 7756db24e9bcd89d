#!/usr/bin/env python3
from caffe_compat.cli.convert_caffemodel import main

raise SystemExit(main())
