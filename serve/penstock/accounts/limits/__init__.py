"""How much keys, teams and models may take: rules, counters in memory or in Redis, and who asks them.

`rules` says what concerns a request, `counters` what a place of counters does, `memory` and `redis` are the two places,
`limiter` is what the gateway uses. docs/decisions/0017 gives the reasons.
"""
