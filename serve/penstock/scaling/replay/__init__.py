"""Scaling policies replayed against made-up load, with neither Ray nor engines: `make autoscaling` and its tests."""
