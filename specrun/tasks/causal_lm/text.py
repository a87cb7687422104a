"""Token ids to text as they come. A character may be spread over several tokens, and a token's text may depend on its neighbours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"
_CONTEXT_TOKENS = 8


def stream_text(decode: Callable[[Sequence[int]], str], prompt: Sequence[int], written: Iterable[int]) -> Iterator[str]:
    """Yield the text of `written` after `prompt` in pieces that end where a character does.

    decode: ids to text. Decodes only the tokens since the last piece, with a few before them for context.
    """
    ids = list(prompt)
    context, shown = max(0, len(ids) - _CONTEXT_TOKENS), len(ids)
    for token in written:
        ids.append(token)
        before, whole = decode(ids[context:shown]), decode(ids[context:])
        if len(whole) > len(before) and not whole.endswith(_UNFINISHED):
            yield whole[len(before) :]
            context, shown = shown, len(ids)
    if rest := decode(ids[context:])[len(decode(ids[context:shown])) :]:
        yield rest
