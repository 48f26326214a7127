"""Writes SHA256SUMS over the data files, in the form that `sha256sum --check` reads.

    python make-manifest.py
"""

from pathlib import Path

from model_files import sha256

DATASETS = Path(__file__).resolve().parent.parent
FOLDERS = ("reference-lm", "tasks", "texts", "tiny-lm")


def main() -> None:
    files = [file for folder in FOLDERS for file in sorted((DATASETS / folder).iterdir()) if file.suffix != ".md"]
    lines = [f"{sha256(file)}  {file.relative_to(DATASETS).as_posix()}\n" for file in files]
    (DATASETS / "SHA256SUMS").write_text("".join(lines))
    print(f"{len(lines)} files")


if __name__ == "__main__":
    main()
