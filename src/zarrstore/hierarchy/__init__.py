"""Arrays and groups: written once as coroutines, with a blocking and an asynchronous face."""
