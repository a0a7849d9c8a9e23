"""What a trained model does and why: likelihood, attribution, robustness, checks of data."""
