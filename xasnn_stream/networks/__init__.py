"""Network architectures and their ensembles, nothing else."""
