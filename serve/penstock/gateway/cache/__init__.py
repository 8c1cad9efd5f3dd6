"""Answers that are kept, and given again to equal requests of the same team for the same model. Used by `app`.

`caching` decides on the way of a request; `canonical` which requests are equal; `flight` lets several clients wait for
one answer; `stored` is an answer as it is kept; `memory` and `redis` keep it.
"""
