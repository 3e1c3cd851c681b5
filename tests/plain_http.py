"""For clients of httpx that speak no TLS."""

import ssl

# Given as `verify`. Without it each client reads all certificates of the host, which takes longer than most requests.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
