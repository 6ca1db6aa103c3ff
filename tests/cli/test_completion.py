"""What a shell is told: by our own words, by kubectl's protocol, and by bash itself."""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from olive_cli.__main__ import main
from olive_cli.argv import complete
from olive_cli.argv.names import Names
from olive_cli.argv.parser import COMMANDS, parser
from olive_cli.argv.shells import SCRIPTS

from .api import Olive, namespace
from .jobs import READY, artifacts, body, lived
from .test_diff import done

SOURCE = Path(__file__).parents[2] / "operator"
SEEN: dict[str, str] = {}


def names() -> dict[str, Names]:
    """What the API server knows, and, in SEEN, what was given when it was asked."""

    def known(*found: str) -> Names:
        def names(given: argparse.Namespace) -> list[str]:
            SEEN.clear()
            SEEN.update(name=given.name, namespace=given.namespace)
            return list(found)

        return names

    return {
        "name": known("travel", "food"),
        "of": known("travel", "food"),
        "stage": known("fetch/model", "finetune/travel"),
        "model": known("base", "travel"),
        "claim": known("olive-store"),
    }


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ([""], [*COMMANDS, "completion"]),
        (["s"], ["status", "suspend"]),
        (["logs", ""], ["travel", "food"]),
        (["logs", "tr"], ["travel"]),
        (["logs", "travel", "fi"], ["finetune/travel"]),
        (["logs", "-n", "ml", "travel", "fe"], ["fetch/model"]),
        (["logs", "-f", "travel", "fe"], ["fetch/model"]),
        (["logs", "--context=here", "travel", "fe"], ["fetch/model"]),
        (["logs", "travel", "quantize", ""], []),
        (["ask", "travel", "Where?", "--model", ""], ["base", "travel"]),
        (["chat", "travel", "--model", "b"], ["base"]),
        (["chat", "travel", "--model", "="], ["base", "travel"]),
        (["chat", "travel", "--model", "=", "b"], ["base"]),
        (["logs", "--context", "=", "here", "travel", "fe"], ["fetch/model"]),
        (["artifacts", "--of", "f"], ["food"]),
        (["gc", "--claim", ""], ["olive-store"]),
        (["watch", "travel", "--t"], ["--timeout"]),
        (["completion", ""], ["bash", "zsh"]),
        (["no-such-command", ""], []),
        (["watch", "travel", "--timeout", ""], []),
    ],
)
def test_the_words_at_the_cursor(typed: list[str], words: list[str]) -> None:
    assert [word for word, _ in complete.complete(typed, parser(), names()).words] == words


def test_stages_are_those_of_the_job_that_was_named() -> None:
    complete.complete(["logs", "-n", "ml", "travel", ""], parser(), names())
    assert SEEN == {"name": "travel", "namespace": "ml"}


def test_a_file_is_for_the_shell_to_complete() -> None:
    assert complete.complete(["diff", "-f", ""], parser(), names()).directive == 0
    assert complete.complete(["logs", ""], parser(), names()).directive == 4


def asked(olive: Olive, *typed: str) -> list[str]:
    world = done()
    serving = {"replicas": 1, "adapters": [{"name": "lisbon", "key": "k"}]}
    jobs = [lived(world), {**body(condition=READY, serving=serving)}]
    jobs[1]["metadata"]["name"] = "city"
    objects = namespace(optimizationjobs=jobs, artifacts=artifacts(world))
    with olive.facing(objects) as here:
        where = f"--kubeconfig={here.folder / 'kubeconfig'}"
        return completed(here, typed[0], where, *typed[1:])


def completed(olive: Olive, *typed: str) -> list[str]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["kubectl_complete-olive", *typed])
        complete.main()
    said = olive.capsys.readouterr()
    assert said.err == ""
    return said.out.splitlines()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["logs", ""], ["travel", "city"]),
        (["logs", "travel", "ad"], ["adapter/travel"]),
        (["logs", "no-such-job", ""], []),
        (["ask", "city", "Where?", "--model", ""], ["base", "lisbon"]),
        (["chat", "travel", "--model", ""], ["base", "travel"]),
        (["gc", "--claim", ""], ["olive-store"]),
    ],
)
def test_names_that_the_api_server_knows(olive: Olive, typed: list[str], words: list[str]) -> None:
    assert asked(olive, *typed) == [*words, ":4"]


@pytest.mark.parametrize("text", ["", "a: [", "hello", "current-context: nowhere"])
def test_without_a_cluster_there_is_nothing_to_tell(olive: Olive, text: str) -> None:
    assert completed(olive, "logs", "--kubeconfig", "/nowhere", "") == [":4"]
    (olive.folder / "damaged").write_text(text)
    assert completed(olive, "logs", "--kubeconfig", str(olive.folder / "damaged"), "") == [":4"]


@pytest.mark.parametrize("name", [".", "..", "-x"])
def test_what_is_no_name_has_nothing_to_tell(olive: Olive, name: str) -> None:
    assert asked(olive, "logs", name, "") == [":4"]


def test_a_command_is_completed_without_the_kubernetes_client(tmp_path: Path) -> None:
    """It takes half a second to be imported, and Tab is pressed often."""
    code = "import sys; from olive_cli.argv import complete; complete.main()"
    code += "; print('kubernetes' in sys.modules)"
    words = shell(tmp_path, f'PYTHONPATH={SOURCE} {sys.executable} -c "{code}" sta', "sh")
    assert (words[0], words[-2:]) == ("status", [":4", "False"])


def shell(folder: Path, script: str, program: str) -> list[str]:
    """What a shell makes of its script, with a kubectl_complete-olive of this source tree."""
    tool = folder / "kubectl_complete-olive"
    here = f"PYTHONPATH={SOURCE} exec {sys.executable}"
    tool.write_text(f'#!/bin/sh\n{here} -m olive_cli.argv.complete "$@"\n')
    tool.chmod(0o755)
    path = f"{folder}:/usr/bin:/bin"
    done = subprocess.run(
        [program, "-c", script],
        env={"PATH": path, "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "words"),
    [("kubectl-olive re", ["retry", "resume"]), ("kubectl-olive watch travel --t", ["--timeout"])],
)
def test_bash_completes_our_words(tmp_path: Path, line: str, words: list[str]) -> None:
    typed = " ".join(f"'{word}'" for word in line.split())
    script = (
        f"{SCRIPTS['bash']}\nCOMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n"
        '_kubectl_olive; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    assert shell(tmp_path, script, "bash") == words


def test_kubectl_is_answered_in_its_own_protocol(tmp_path: Path) -> None:
    words = shell(tmp_path, "kubectl_complete-olive sus", "sh")
    assert (words[0], words[-1]) == ("suspend", ":4")


def test_zsh_takes_the_script(tmp_path: Path) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("there is no zsh")
    assert shell(tmp_path, f"compdef() {{ :; }}\n{SCRIPTS['zsh']}\necho fine", "zsh") == ["fine"]


@pytest.mark.parametrize("name", list(SCRIPTS))
def test_the_scripts_are_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", name])
    assert ended.value.code == 0
    assert capsys.readouterr().out == SCRIPTS[name]
