"""One attempt of a stage: what the plan asks a pod for, done by a process of this machine."""

import ctypes
import fcntl
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from olive_cli.run.place import Place
from olive_cli.run.schedule import Granted
from olive_contract.failures import FailureClass
from olive_contract.stage import Progress, Report, StageInput
from olive_operator import labels
from olive_operator.api.seen import AttemptSeen, PodSeen

Manifest = Mapping[str, Any]

PATIENCE: Final = timedelta(minutes=2)
"""For the checkpoint of a stage that is told to end."""
TAIL: Final = 2048
"""Bytes of a log that stand for the report of a stage that left none, as the kubelet does it."""


class Attempt:
    """An attempt from being due to its end. ``waits``: why it does not run yet."""

    def __init__(self, manifest: Manifest, gpu_resource: str, place: Place) -> None:
        """Of the Job's manifest; CliError if it needs a claim or a secret that was not given."""
        meta, pod = manifest["metadata"], manifest["spec"]["template"]["spec"]
        self._meta, self._container, self._place = meta, pod["containers"][0], place
        self.name: str = meta["name"]
        self.stage: str = meta["annotations"][labels.STAGE_NAME]
        self.kind: str = meta["labels"][labels.STAGE]
        self.gpus = int(self._container["resources"].get("limits", {}).get(gpu_resource, 0))
        self.log = place.store / ".logs" / f"{self.name}.log"
        self.waits = ("Starting", "the process is being started")
        self.granted: Granted | None = None
        self.progress: Progress | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._started: datetime | None = None
        self._ended: datetime | None = None
        self._asked: datetime | None = None
        self._code = 0
        self._read = 0
        self._report = place.folder / f"{self.name}.report"
        self._given = place.given(self._container, self.stage)

    @property
    def waiting(self) -> bool:
        return self._process is None

    @property
    def running(self) -> bool:
        return self._process is not None and self._ended is None

    def locked(self) -> bool:
        """Whether this run alone may make the artifact; said again at every call until it may.

        The lock is the stage's process's too: it holds as long as either of them lives.
        """
        if self._lock is None:
            path = self._place.store / ".locks" / self._meta["annotations"][labels.ADDRESS]
            path.parent.mkdir(exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o664)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                self.waits = ("MadeElsewhere", "another run on this store is making it")
                return False
            self._lock = handle
        self.waits = ("NoFreeSlot", "waits for a free GPU" if self.gpus else "waits for its turn")
        return True

    def start(self, granted: Granted, now: datetime) -> None:
        """Begin the process with what it was granted."""
        given = StageInput.from_json(self._container["args"][0])
        stage = replace(given, store=str(self._place.store))
        environment = {
            **self._place.runtime.environment(as_user(stage)),
            "CUDA_VISIBLE_DEVICES": ",".join(granted.gpus),  # a stage without one sees none
            "OMP_NUM_THREADS": str(granted.threads),
            "OLIVE_REPORT_PATH": str(self._report),
            "OLIVE_SOURCES": str(self._place.sources),
            **self._given,
        }
        self.log.parent.mkdir(exist_ok=True)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [self._place.runtime.python, "-m", "olive_stage", stage.to_json()],
                cwd=self._place.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[self._lock] if self._lock is not None else [],
                process_group=0,  # Ctrl-C is for this program, which then asks each stage to end
                preexec_fn=dies_with(os.getpid()),
            )
        self.granted, self._started = granted, now

    def look(self, now: datetime) -> None:
        """Read what the process has said since the last look, and notice its end."""
        if self._process is None or self._ended:
            return
        # The end is looked for first: what is read after it is all there will ever be.
        if self._asked and now - self._asked > PATIENCE:
            self.kill()
        over = os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        with self.log.open("rb") as log:
            log.seek(self._read)
            whole, newline, _ = log.read().rpartition(b"\n")
        self._read += len(whole) + len(newline)
        for line in whole.decode(errors="replace").splitlines():
            self.progress = Progress.from_line(line) or self.progress
        if over:
            self.kill()  # whatever it has started itself; it is not reaped yet, so the name is its
            self._code, self._ended = self._process.wait(), now
            self.unlock()

    def ask_to_end(self, now: datetime) -> None:
        """SIGTERM: the stage keeps its checkpoints and reports; killed if it takes too long."""
        self._asked = self._asked or now
        if self._process and not self._ended:
            os.kill(self._process.pid, signal.SIGTERM)  # Popen's own would reap it beforehand

    def kill(self) -> None:
        """End the process and all that it has started."""
        if self._process and not self._ended:
            os.killpg(self._process.pid, signal.SIGKILL)

    def seen(self) -> AttemptSeen:
        """The attempt as the plan knows it."""
        notes = self._meta["annotations"]
        return AttemptSeen(
            name=self.name,
            stage=self.stage,
            address=notes[labels.ADDRESS],
            number=int(self._meta["labels"][labels.ATTEMPT]),
            claim=notes[labels.CLAIM],
            template=notes[labels.TEMPLATE],
            deleting=self._asked is not None,
            pod=self._pod(),
        )

    def _pod(self) -> PodSeen:
        if self._started is None:
            return PodSeen(self.name, waiting=self.waits[0], waitingMessage=self.waits[1])
        pod = PodSeen(self.name, phase="Running", running=True, startedAt=self._started)
        if self._ended is None:
            return pod
        return replace(
            pod,
            running=False,
            phase="Failed" if self._code else "Succeeded",
            finishedAt=self._ended,
            terminated="Error" if self._code else "Completed",
            exitCode=self._code,
            output=self._last_word(),
        )

    def _last_word(self) -> str:
        if self._report.exists():
            return self._report.read_text()
        if self._code == -signal.SIGKILL:
            why = "the process was killed (SIGKILL), most likely by the kernel for want of memory"
            return Report("Failed", reason=FailureClass.OUT_OF_MEMORY, message=why).to_json()
        return self.log.read_bytes()[-TAIL:].decode(errors="replace")

    def unlock(self) -> None:
        """Leave the work to others."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def as_user(stage: StageInput) -> bool:
    """Whether the stage speaks to somebody to whom the user is known, by no secret of the job."""
    at_azure = str(stage.params.get("source", "")).startswith("azureml://")
    return stage.kind == "publish" or at_azure


_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def dies_with(parent: int) -> Callable[[], None]:
    """Run in a new child: if the parent dies, however it dies, the child is told to end.

    SIGTERM and not SIGKILL, so that a stage that has processes of its own can end those too.
    """

    def arrange() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before this line
            os._exit(1)

    return arrange
