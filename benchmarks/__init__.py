"""Scripts that time zarrstore beside its peers."""
