#!/usr/bin/env python3
from caffe_compat.cli.mix_datasets import main

raise SystemExit(main())
