"""What is wrong with a release in a Kubernetes cluster: which layer refuses, and what is missing.

Called by `penstock doctor --context`. `gather` looks, with calls that only read; `examine` judges, and is pure.
"""
