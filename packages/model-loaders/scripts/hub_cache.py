"""What huggingface_hub makes of a cache, and what it finds in one of ours.

    pip install huggingface_hub==2.4.0
    python scripts/hub_cache.py make            writes src/fixtures/hub-cache.json: every file and link of the cache after
                                                a download of the model in src/fixtures/fake-hub.mjs
    python scripts/hub_cache.py find CACHE      looks, without a connection, for the files of that model in a cache that
                                                was filled by somebody else; prints the snapshot, or fails
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "src" / "fixtures"
REPO = "someone/tiny-model"
WANTED = ["config.json", "tokenizer.json", "model.safetensors"]
OTHER = "quantized/tiny.gguf"


def describe(cache):
    """Every file and link below a folder, by its path."""
    found = {}
    for path in sorted(cache.rglob("*")):
        name = path.relative_to(cache).as_posix()
        if path.is_symlink():
            found[name] = {"link": os.readlink(path)}
        elif path.is_file():
            data = path.read_bytes()
            entry = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            if "/trees/" in name or "/refs/" in name:
                entry["text"] = data.decode()
            found[name] = entry
    return found


def make():
    server = subprocess.Popen(["node", FIXTURES / "fake-hub.mjs"], stdout=subprocess.PIPE, text=True)
    try:
        os.environ["HF_ENDPOINT"] = server.stdout.readline().strip()
        os.environ["HF_HUB_DISABLE_XET"] = "1"
        with tempfile.TemporaryDirectory() as folder:
            os.environ["HF_HOME"] = folder
            import huggingface_hub

            huggingface_hub.snapshot_download(REPO, allow_patterns=WANTED)
            huggingface_hub.hf_hub_download(REPO, OTHER)
            tree = describe(Path(folder) / "hub")
    finally:
        server.kill()
    vectors = {"huggingface_hub": huggingface_hub.__version__, "repo": REPO, "downloaded": [*WANTED, OTHER], "cache": tree}
    (FIXTURES / "hub-cache.json").write_text(json.dumps(vectors, indent=1) + "\n")


def find(cache):
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["HF_HUB_CACHE"] = cache
    import huggingface_hub

    snapshot = huggingface_hub.snapshot_download(REPO, allow_patterns=WANTED, local_files_only=True)
    for name in WANTED:
        assert Path(huggingface_hub.hf_hub_download(REPO, name)) == Path(snapshot) / name
    print(snapshot)
    print(huggingface_hub.hf_hub_download(REPO, OTHER))


if __name__ == "__main__":
    if sys.argv[1:] == ["make"]:
        make()
    elif sys.argv[1:2] == ["find"] and len(sys.argv) == 3:
        find(sys.argv[2])
    else:
        sys.exit(__doc__)
