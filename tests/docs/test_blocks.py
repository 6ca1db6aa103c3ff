"""What is found in a page, and what counts as the output that it shows."""

import pytest

from .blocks import Command, Saved, languages, steps

PAGE = """\
# A page

Save this:

```yaml title="job.yaml"
spec:
  model: {}
```

```text
not for a shell
```

<!-- exit: 1 -->
```console
$ kubectl apply -f job.yaml
job created
$ kubectl get job \\
>   --output name
job/travel
  in 3 s
```

- In a list:

  ```bash
  export A=1
  echo $A
  ```
"""


def test_the_steps_of_a_page() -> None:
    assert steps(PAGE) == [
        Saved("job.yaml", "spec:\n  model: {}\n"),
        Command("kubectl apply -f job.yaml", "job created"),
        Command("kubectl get job \\\n  --output name", "job/travel\n  in 3 s", code=1),
        Command("export A=1\necho $A"),
    ]


def test_the_languages_of_a_page() -> None:
    assert languages(PAGE) == {"a file", "text", "console", "bash"}


@pytest.mark.parametrize("text", ["```console\nno prompt\n```", "```console\n```"])
def test_a_console_begins_with_a_command(text: str) -> None:
    with pytest.raises(ValueError, match="console"):
        steps(text)


AGREES = {
    "as it is": ("a b", "a b\n"),
    "any text": ("a ... c", "a b b c"),
    "any lines": ("first\n...\nlast", "first\nsecond\nthird\nlast"),
    "columns may be wider": ("NAME  STATE", "NAME      STATE   "),
    "nothing said of it": (None, "whatever"),
    "nothing printed": ("", ""),
}
DIFFERS = {
    "another word": ("a b", "a c"),
    "a line too many": ("a", "a\nb"),
    "a line too few": ("a\nb", "a"),
    "something where nothing is shown": ("", "a"),
    "the rest does not follow": ("a ... c", "a b"),
}


@pytest.mark.parametrize(("expected", "output"), AGREES.values(), ids=AGREES)
def test_what_agrees(expected: str | None, output: str) -> None:
    assert Command("x", expected).difference(output) == ""


@pytest.mark.parametrize(("expected", "output"), DIFFERS.values(), ids=DIFFERS)
def test_what_differs(expected: str, output: str) -> None:
    told = Command("x", expected).difference(output)
    assert expected in told
    assert output in told
