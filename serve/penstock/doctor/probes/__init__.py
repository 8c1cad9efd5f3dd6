"""Probes by subject: each looks at one thing and gives plain facts; none raises."""
