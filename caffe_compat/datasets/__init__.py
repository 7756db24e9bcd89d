"""Making the databases of an experiment: mixed training sets, CIFAR-10N, Clothing1M. File names: `layout`."""
