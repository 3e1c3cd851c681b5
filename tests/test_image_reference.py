"""The addresses of container images: what they are made of, and what is wrong with one."""

import pytest

from artifacts.image_reference import image_reference_fault

DIGEST = "sha256:" + "0a" * 32


@pytest.mark.parametrize(
    "text",
    [
        "swr.cn-north-4.myhuaweicloud.com/group/my-net:1.0",
        "localhost:5000/net",
        "localhost/net:V1_a.b-c",
        "group/net",
        "net:latest",
        f"swr.example/a/b/c:1@{DIGEST}",
        f"net@{DIGEST}",
        "a__b/c.d-e--f:0",
        "100.125.0.198:20202/group/net:v1",
    ],
)
def test_an_address_as_registries_give_it_has_no_fault(text: str) -> None:
    assert image_reference_fault(text) is None


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
    fault = image_reference_fault(text)
    assert fault is not None
    assert word in fault
    assert fault.endswith(".")
