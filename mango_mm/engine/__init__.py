"""What runs beside training: hooks."""
