"""Reads a page as a browser would see its structure: elements, attributes, text; no styles, no scripts run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset({"meta", "link", "input", "br", "img", "hr", "base"})


@dataclass
class Element:
    """A node of the page."""

    tag: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def walk(self) -> Iterator[Element]:
        yield self
        for child in self.children:
            yield from child.walk()

    def all(self, *tags: str) -> list[Element]:
        return [element for element in self.walk() if element.tag in tags]

    @property
    def text(self) -> str:
        return "".join([*self.texts, *(child.text for child in self.children)])


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].texts.append(data)


def parse(page: str) -> Element:
    """The page as a tree. Fails for an element that is not closed, or closed in the wrong place."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == [reader.root], f"not closed: {[element.tag for element in reader.open[1:]]}"
    return reader.root


def outline(element: Element, depth: int = 0) -> Iterator[str]:
    """The page in lines: tags, ids, classes and text; drawings, styles and scripts by their names alone."""
    if element.tag:
        name = element.tag + "".join(
            f"{sign}{element.attributes[key]}" for key, sign in (("id", "#"), ("class", ".")) if key in element.attributes
        )
        own = " ".join("".join(element.texts).split())
        silent = element.tag in ("style", "script", "svg")
        yield f"{'  ' * depth}{name}" + (f": {own}" if own and not silent else "")
        if silent:
            return
    for child in element.children:
        yield from outline(child, depth + 1 if element.tag else depth)
