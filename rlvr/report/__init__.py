"""Views of run directories. No torch."""
