"""The page at `/` of the gateway: a playground, keys, usage and models in a browser."""
