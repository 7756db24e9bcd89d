#!/usr/bin/env python3
from caffe_compat.cli.import_cifar10n import main

raise SystemExit(main())
