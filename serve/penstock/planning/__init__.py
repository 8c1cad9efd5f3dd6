"""What a document needs of a cloud, before anything is made there: nodes, GPUs, memory, cost. For `penstock plan`."""
