"""Recipes, one a command: build the parts, make the source, fit. The only place that wires cores together."""
