"""Loading a model from a disk, beside the disk's own rate: cold (as root, which can drop the page cache) and warm.

python tests/benchmark/load_model.py FOLDER [--dtype bfloat16] [--size 4]     whole, one part of SIZE, all parts at once
"""

import argparse
import json
import os
import subprocess
import time
from pathlib import Path

PROBE = Path(os.environ.get("CMC_BIN", "build/release/bin")) / "probe_model"


def drop_cache():
    subprocess.run("sync && echo 3 > /proc/sys/vm/drop_caches", shell=True, check=True)


def read_all(folder):
    start = time.perf_counter()
    subprocess.run(f"cat '{folder}'/*.safetensors > /dev/null", shell=True, check=True)
    return time.perf_counter() - start


def loaders(folder, dtype, parts):
    """Seconds of each part, all started together; None: the whole."""
    running = []
    for part in parts:
        request = {"op": "held", "model": str(folder), "dtype": dtype, **({"part": part} if part else {})}
        running.append(subprocess.Popen([PROBE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        running[-1].stdin.write(json.dumps(request) + "\n")
        running[-1].stdin.close()
    answers = [json.loads(process.stdout.readline()) for process in running]
    for process in running:
        process.wait()
    return max(answer["seconds"] for answer in answers), sum(answer["bytes"] for answer in answers)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--size", type=int, default=4)
    arguments = parser.parse_args()
    size = sum(file.stat().st_size for file in arguments.folder.glob("*.safetensors"))
    kinds = {"whole": [None], f"part 0 of {arguments.size}": [[0, arguments.size]],
             f"all {arguments.size} parts at once": [[part, arguments.size] for part in range(arguments.size)]}
    print(f"{size / 2**30:.2f} GiB of files")
    for cold in (True, False):
        drop_cache() if cold else None
        seconds = read_all(arguments.folder)
        print(f"{'cold' if cold else 'warm'}  cat: {seconds:.1f} s, {size / 2**30 / seconds:.2f} GiB/s", flush=True)
        for name, parts in kinds.items():
            drop_cache() if cold else None
            seconds, held = loaders(arguments.folder, arguments.dtype, parts)
            print(f"{'cold' if cold else 'warm'}  {name}: {seconds:.1f} s, {held / 2**30:.2f} GiB held, {held / 2**30 / seconds:.2f} GiB/s", flush=True)


if __name__ == "__main__":
    main()
