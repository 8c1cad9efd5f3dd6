"""Checks by layer: pure functions, facts in, findings out. The subject of a finding names the layer."""
