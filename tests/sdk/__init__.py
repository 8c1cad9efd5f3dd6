"""The SDKs that people use, against a whole Penstock with real engines. A package, so that a fixture can last as long
as it."""
