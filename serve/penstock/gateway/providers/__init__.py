"""Other OpenAI-compatible addresses: a model may be served by one, or fall back to one. No other request comes here."""
