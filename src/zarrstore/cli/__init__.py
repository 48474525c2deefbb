"""The command ``zarrstore``."""
