"""The matrix of clients in the README, run for real: each chats, streams, gets an error that it understands, and hangs
up. A package, so that a fixture can last as long as it."""
