"""The recorder: what pods tell, with the labels that a scrape by the chart's monitors gives."""

import gzip
import json
import subprocess
import threading
from pathlib import Path

import pytest
from olive_dashboards.record import record

OPERATOR = """\
# TYPE olive_jobs gauge
olive_jobs{namespace="ml",phase="Ready"} 2.0
# TYPE python_gc_collections counter
python_gc_collections_total{generation="0"} 5.0
"""
SERVING = """\
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="a \\"b\\" \\\\ c"} 3.0
"""
PODS = {
    "olive-system": [{"name": "operator-0", "namespace": "olive-system", "labels": {}}],
    "-A": [
        {
            "name": "travel-serving-0",
            "namespace": "ml",
            "labels": {"olive-operator.io/job": "travel"},
        }
    ],
}


@pytest.fixture
def kubectl(tmp_path: Path) -> str:
    """It knows two pods, and what each tells."""
    for place, pods in PODS.items():
        listed = {"items": [{"metadata": pod} for pod in pods]}
        (tmp_path / f"pods{place}").write_text(json.dumps(listed))
    (tmp_path / "operator-0:8080").write_text(OPERATOR)
    (tmp_path / "travel-serving-0:8081").write_text(SERVING)
    program = tmp_path / "kubectl"
    program.write_text(f"""#!/bin/sh
cd {tmp_path}
case "$2" in
  --raw) pod=${{3%/proxy/metrics}}; exec cat "${{pod##*/}}" ;;
  *) [ "$3" = -A ] && exec cat pods-A; exec cat "pods$4" ;;
esac
""")
    program.chmod(0o755)
    return str(program)


def recorded(kubectl: str, to: Path) -> list[str]:
    """One round."""
    ends = threading.Event()
    ends.set()
    record(to, kubectl, "olive-system", 1.0, ends)
    return gzip.decompress(to.read_bytes()).decode().splitlines()


def test_samples_have_the_labels_of_their_pod_and_an_instant(kubectl: str, tmp_path: Path) -> None:
    jobs, running, end = recorded(kubectl, tmp_path / "run.om.gz")
    named, value, at = jobs.rsplit(" ", 2)
    assert named == (
        'olive_jobs{job="olive-operator",instance="operator-0:8080",pod="operator-0",'
        'namespace="ml",phase="Ready"}'
    )
    assert (value, float(at) > 1.7e9) == ("2.0", True)
    assert running.startswith(
        'vllm:num_requests_running{job="servings",namespace="ml",job_name="travel",'
        'instance="travel-serving-0:8081",pod="travel-serving-0",'
        'model_name="a \\"b\\" \\\\ c"} 3.0 '
    )
    assert end == "# EOF"


def test_prometheus_takes_it(kubectl: str, promtool: str, tmp_path: Path) -> None:
    text = "\n".join(recorded(kubectl, tmp_path / "run.om.gz"))
    (tmp_path / "run.om").write_text(f"{text}\n")
    blocks = [promtool, "tsdb", "create-blocks-from", "openmetrics"]
    command = [*blocks, str(tmp_path / "run.om"), str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_pod_that_does_not_answer_is_told_of_and_left_out(
    kubectl: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "operator-0:8080").unlink()
    running, end = recorded(kubectl, tmp_path / "run.om.gz")
    assert running.startswith("vllm:num_requests_running")
    assert end == "# EOF"
    assert "olive-system/operator-0" in capsys.readouterr().err
