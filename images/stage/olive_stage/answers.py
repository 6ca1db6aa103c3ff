"""How good an answer is: exactly the one expected, or by the words that both share.

F1 is that of SQuAD (Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of
Text", 2016, section 6.1): both answers as bags of words, without case, punctuation and articles.
"""

import string
from collections import Counter

ARTICLES = ("a", "an", "the")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(answer: str, expected: str) -> float:
    """1 if they are the same, space around them aside."""
    return float(answer.strip() == expected.strip())


def f1(answer: str, expected: str) -> float:
    """The harmonic mean of the shares of words of each that are in the other, 0 to 1."""
    said, wanted = words(answer), words(expected)
    if not said or not wanted:
        return float(said == wanted)
    shared = (Counter(said) & Counter(wanted)).total()
    return 2 * shared / (len(said) + len(wanted))


def words(text: str) -> list[str]:
    """The text's words as they are compared."""
    return [w for w in text.lower().translate(PUNCTUATION).split() if w not in ARTICLES]
