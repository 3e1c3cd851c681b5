"""The address of a container image: `registry:port/path:tag@digest`."""

import re
from dataclasses import dataclass

LENGTH_LIMIT = 512
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_REGISTRY = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*(?::[0-9]{1,5})?")
_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class _Parts:
    """`registry` is `host` or `host:port`, None for the default one; `path` is `organization/name`."""

    registry: str | None
    path: str
    tag: str | None = None
    digest: str | None = None


def image_reference_fault(text: str) -> str | None:
    """What is wrong with an image's address, in one sentence; None where nothing is."""
    if not text or len(text) > LENGTH_LIMIT:
        return f"The address of an image has 1 to {LENGTH_LIMIT} characters."
    if any(character.isspace() for character in text):
        return "The address of an image has no blanks."
    if scheme := _SCHEME.match(text):
        return f"The address of an image begins with its registry, without {scheme.group()}."
    return _fault(_split(text), has_tag_sign=":" in text.rpartition("/")[2].partition("@")[0], has_digest="@" in text)


def _fault(found: _Parts, *, has_tag_sign: bool, has_digest: bool) -> str | None:
    if found.registry is not None and not _is_registry(found.registry):
        return f"{found.registry!r} is no registry: a host name in lower case, and perhaps a port up to 65535."
    if found.path != found.path.lower():
        return f"The path {found.path!r} of an image is written in lower case."
    if not all(_PART.fullmatch(part) for part in found.path.split("/")):
        return f"{found.path!r} is no path of an image: letters and digits, joined by / . _ and -."
    if has_tag_sign and not _TAG.fullmatch(found.tag or ""):
        return f"{found.tag or ''!r} is no tag: 1 to 128 letters, digits and _ . -, not beginning with . or -."
    if has_digest and not _DIGEST.fullmatch(found.digest or ""):
        return "The digest of an image is sha256: and 64 hexadecimal digits."
    return None


def _is_registry(text: str) -> bool:
    port = text.partition(":")[2]
    return _REGISTRY.fullmatch(text) is not None and (not port or 1 <= int(port) <= 65535)


def _split(text: str) -> _Parts:
    """The first part is a registry where it could be no folder: it has a dot or a port, or is localhost."""
    name, _, digest = text.partition("@")
    first, slash, rest = name.partition("/")
    is_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry, path = (first, rest) if is_registry else (None, name)
    folder, slash, last = path.rpartition("/")
    last, _, tag = last.partition(":")
    return _Parts(registry, folder + slash + last, tag or None, digest or None)
