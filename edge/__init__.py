"""The agent of an edge node: fetches what it is to run, runs it, and answers with or without a server."""
