"""Keys: who may use the address, and which models. Alone knows the database."""
