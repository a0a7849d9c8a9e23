"""Time, operations and memory of models and layers, measured side by side."""
