"""What `MongoDBStore` is made of: the options of a client, the client itself, its errors."""
