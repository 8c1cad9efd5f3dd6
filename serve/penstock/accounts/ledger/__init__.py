"""Usage: what every request took, kept so that no restart and no outage of the store loses it.

A request's entry goes into a queue in memory, from there within a quarter of a second into a journal on disk, and from
there within a second or two into the store, which knows each entry by its id and takes none twice.
"""
