"""Stores of other packages as stores here, and the other way round."""
