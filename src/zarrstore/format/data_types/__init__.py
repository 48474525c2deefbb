"""Data types, one module for each kind; `registry` finds them by name and by dtype."""
