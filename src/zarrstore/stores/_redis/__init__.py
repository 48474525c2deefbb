"""What `RedisStore` is made of: the options of a connection, the server behind it."""
