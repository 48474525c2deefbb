"""The Zarr format: documents, data types, chunk grids and keys, codecs. Pure: no I/O."""
