"""From a prompt's text to tokens, beside the event loop and away from the engine's process."""

import asyncio
from pathlib import Path
from typing import Final

from tokenizers import Tokenizer

FILE: Final = "tokenizer.json"


class PromptTooLong(Exception):  # noqa: N818 - an answer to the client, no fault
    """The text cannot fit the context, however its characters fall into tokens."""

    def __init__(self, characters: int, most: int) -> None:
        super().__init__(
            f"The prompt has {characters} characters; no more than {most} can fit this model's "
            "context. Please reduce the length of the prompt."
        )


class PromptTokenizer:
    """The tokenizer in an export's folder. Raises OSError or ValueError for one that is not."""

    def __init__(self, folder: Path) -> None:
        if not (folder / FILE).exists():
            raise FileNotFoundError(f"the export has no {FILE}")
        self._tokenizer = Tokenizer.from_file(str(folder / FILE))
        self._longest = max(map(len, self._tokenizer.get_vocab()), default=1)

    async def encode(self, text: str, *, templated: bool, context: int) -> tuple[int, ...]:
        """The tokens of a prompt for a context of so many. Raises PromptTooLong.

        ``templated``: the chat template has written the special tokens already. What cannot fit is
        not even read: the time of that grows with the text.
        """
        most = context * self._longest
        if len(text) > most:
            raise PromptTooLong(len(text), most)
        encoded = await asyncio.to_thread(
            self._tokenizer.encode, text, add_special_tokens=not templated
        )
        return tuple(encoded.ids)
