"""A form with one file, as browsers send it."""

import secrets

MULTIPART = "multipart/form-data"


def file_form(parameter: str, filename: str, data: bytes) -> tuple[str, bytes]:
    """Its content type and its body."""
    boundary = secrets.token_hex(16)
    names = f'name="{_quoted(parameter)}"; filename="{_quoted(filename)}"'
    head = f"--{boundary}\r\nContent-Disposition: form-data; {names}\r\nContent-Type: application/octet-stream\r\n\r\n"
    return f"{MULTIPART}; boundary={boundary}", b"".join([head.encode(), data, f"\r\n--{boundary}--\r\n".encode()])


def _quoted(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
