"""What `ObjectStore` is made of: how a store of obstore is made, asked, and reported on."""
