"""llama-server, built from the source of llama.cpp in the source package of llama-cpp-python."""

import shutil
import subprocess
import sys
import tarfile
import venv
from pathlib import Path
from tempfile import TemporaryDirectory

VERSION = "0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
FLAGS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_CURL=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DGGML_NATIVE=OFF",  # AMX is found, and faults where the machine's owner has switched it off
)
WITH_AVX512 = (
    "-DGGML_AVX512=ON",
    "-DGGML_AVX512_VBMI=ON",
    "-DGGML_AVX512_VNNI=ON",
    "-DGGML_AVX512_BF16=ON",
)
BUILD = Path.home() / ".cache" / "olive-operator" / f"llama-cpp-python-{VERSION}"


def llama_server() -> Path:
    """The program; built first, in some minutes, where it is not there yet."""
    program = BUILD / "llama-server"
    if not program.exists():
        print(f"building llama-server of llama-cpp-python {VERSION}", file=sys.stderr)
        _build(program)
    return program


def gguf_package() -> Path:
    """The folder of the Python package that writes its files; after ``llama_server``."""
    return BUILD / "gguf-py"


def build_flags() -> tuple[str, ...]:
    """What it is built with here: every vector unit that the processor and our own kernels have."""
    known = Path("/proc/cpuinfo").read_text()
    wide = all(f" {flag}" in known for flag in ("avx512_vbmi", "avx512_vnni", "avx512_bf16"))
    return (*FLAGS, *(WITH_AVX512 if wide else ()))


def _build(program: Path) -> None:
    with TemporaryDirectory(prefix="llama-") as temporary:
        folder = Path(temporary)
        venv.create(folder / "venv", with_pip=True)
        bin = folder / "venv" / "bin"
        _run(f"{bin}/pip", "install", "--quiet", "cmake==4.4.4", "ninja==1.13.2")
        wanted = folder / "requirements.txt"
        wanted.write_text(f"llama-cpp-python=={VERSION} --hash=sha256:{SHA256}\n")
        only = ("--quiet", "--no-deps", "--no-binary", ":all:", "--require-hashes")
        _run(f"{bin}/pip", "download", *only, "--dest", temporary, "--requirement", str(wanted))
        with tarfile.open(next(folder.glob("*.tar.gz"))) as source:
            source.extractall(folder, filter="data")
        code = folder / f"llama_cpp_python-{VERSION}" / "vendor" / "llama.cpp"
        cmake, built = f"{bin}/cmake", str(folder / "build")
        ninja = ("-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={bin}/ninja")
        _run(cmake, "-S", str(code), "-B", built, *ninja, *build_flags())
        _run(cmake, "--build", built, "--target", "llama-server")
        BUILD.mkdir(parents=True, exist_ok=True)
        shutil.copytree(code / "gguf-py", BUILD / "gguf-py", dirs_exist_ok=True)
        shutil.copy2(folder / "build" / "bin" / "llama-server", program)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=sys.stderr)
