"""What is kept of documents and plans."""

from __future__ import annotations

from gql.recent import Recent


def made(recent: Recent[str, str], *keys: str) -> list[str]:
    """The keys whose values had to be made."""
    missing: list[str] = []

    def make(key: str) -> str:
        missing.append(key)
        return key * 2

    for key in keys:
        assert recent.get(key, lambda key=key: make(key)) == key * 2  # type: ignore[misc]
    return missing


def test_what_was_asked_for_last_is_kept() -> None:
    recent: Recent[str, str] = Recent(2)
    assert made(recent, "a", "b", "a", "c", "a", "b") == ["a", "b", "c", "b"]


def test_what_is_kept_is_bounded_by_its_weight() -> None:
    recent: Recent[str, str] = Recent(10, lambda key, value: len(key) + len(value))
    assert made(recent, "aa", "b", "aa", "b") == ["aa", "b"]
    assert made(recent, "cc", "aa", "b") == ["cc", "aa", "b"]


def test_what_is_heavier_than_all_that_may_be_kept_is_made_each_time() -> None:
    recent: Recent[str, str] = Recent(5, lambda key, value: len(key) + len(value))
    assert made(recent, "aaa", "aaa") == ["aaa", "aaa"]
