"""Identity of model files, which ties golden vectors to the weights that they were made with."""

import hashlib
from pathlib import Path


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
