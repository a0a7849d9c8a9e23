"""Several models trained and measured on equal terms, and the tables made of it."""
