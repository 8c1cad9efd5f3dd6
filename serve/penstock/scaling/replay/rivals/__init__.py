"""The rules that others scale by, as pure code, so that they can be replayed. Tests hold them to their models."""
