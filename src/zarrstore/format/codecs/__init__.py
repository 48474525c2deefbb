"""Codecs, one module each; `pipeline` compiles a list of them."""
