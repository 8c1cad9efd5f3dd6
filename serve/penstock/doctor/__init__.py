"""What is wrong with a machine and a document: facts are gathered by thin probes, findings follow from them.

Called by `penstock doctor`. `gather` looks, `examine` judges; the judging is pure.
"""
