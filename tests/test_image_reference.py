"""The addresses of container images: what they are made of, and what is wrong with one."""

import pytest

from artifacts.image_reference import ImageReference, image_reference_fault, read_image_reference

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("swr.cn-north-4.myhuaweicloud.com/group/my-net:1.0",
         ImageReference("swr.cn-north-4.myhuaweicloud.com", "group/my-net", "1.0")),
        ("localhost:5000/net", ImageReference("localhost:5000", "net")),
        ("localhost/net:V1_a.b-c", ImageReference("localhost", "net", "V1_a.b-c")),
        ("group/net", ImageReference(None, "group/net")),
        ("net:latest", ImageReference(None, "net", "latest")),
        (f"swr.example/a/b/c:1@{DIGEST}", ImageReference("swr.example", "a/b/c", "1", DIGEST)),
        (f"net@{DIGEST}", ImageReference(None, "net", None, DIGEST)),
        ("a__b/c.d-e--f:0", ImageReference(None, "a__b/c.d-e--f", "0")),
        ("100.125.0.198:20202/group/net:v1", ImageReference("100.125.0.198:20202", "group/net", "v1")),
    ],
)  # fmt: skip
def test_an_address_has_its_parts(text: str, reference: ImageReference) -> None:
    assert image_reference_fault(text) is None
    assert read_image_reference(text) == reference
    assert str(reference) == text


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "characters"),
        ("a" * 600, "characters"),
        ("swr.example/a b", "blanks"),
        ("net:1 ", "blanks"),
        ("https://swr.example/a/b:1", "without https://"),
        ("swr.example/Group/net:1", "lower case"),
        ("Swr.example/net:1", "lower case"),
        ("swr.example:70000/net", "65535"),
        ("swr.example:x/net", "65535"),
        ("swr.example/net:", "tag"),
        ("swr.example/net:-1", "tag"),
        ("net:" + "a" * 129, "tag"),
        ("net:1:2", "tag"),
        ("net@sha256:12", "digest"),
        ("net@", "digest"),
        ("swr.example//net", "path"),
        ("swr.example/", "path"),
        ("-net", "path"),
        ("net_/a", "path"),
        ("../net", "registry"),
        ("net;rm", "path"),
    ],
)
def test_what_is_none_is_refused_with_a_sentence(text: str, word: str) -> None:
    assert read_image_reference(text) is None
    fault = image_reference_fault(text)
    assert fault is not None
    assert word in fault
    assert fault.endswith(".")
