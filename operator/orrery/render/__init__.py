"""Documents as functions of values. Pure."""
