"""CIFAR-10 with CIFAR-10N's human labels: reading it, and making the databases of the authors' CIFAR experiment."""
