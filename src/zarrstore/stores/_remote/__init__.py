"""What `RemoteStore` is made of: one module for each kind of filesystem, and what they share."""
