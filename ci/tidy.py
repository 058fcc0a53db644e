"""clang-tidy over C files, as many at a time as there are processors: tidy.py BUILD_DIRECTORY FILE…

What was found clean is remembered in BUILD_DIRECTORY/../lint-cache by what the compiler sees of a file (and by the
checks and clang-tidy itself), so a second run looks only at what has changed. Prints findings; ends with 1 when there
are any."""
import concurrent.futures
import hashlib
import json
import os
import shlex
import subprocess
import sys

# The first two define what ci/tidy.h is about; the library for others' tests has nothing of ours in it.
WITHOUT_TIDY_H = ("impl/base/error.c", "impl/base/hocon.c", "simulator/library/")
# Somebody else's project: it finds our headers where they are installed, as dalang/….
OUTSIDE = "simulator/library/example/"


def commands(build):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        return {os.path.realpath(c["file"]): c for c in json.load(f)}


def seen_by_the_compiler(command, includes):
    words = shlex.split(command["command"])
    at = words.index("-o")
    del words[at : at + 2]
    words = [w for w in words if w != "-c"]
    text = subprocess.run(
        words + includes + ["-E", "-P", "-C"], cwd=command["directory"], check=True, capture_output=True
    ).stdout
    return text.replace(os.getcwd().encode(), b"")  # a cache may go with a clone to another place


def installed(cache):
    folder = cache + "-installed"
    os.makedirs(folder, exist_ok=True)
    if not os.path.islink(os.path.join(folder, "dalang")):
        os.symlink(os.path.realpath("simulator/library"), os.path.join(folder, "dalang"))
    return folder


def look(path, command, build, checks, cache):
    includes = [] if path.startswith(WITHOUT_TIDY_H) else ["-include", os.path.realpath("ci/tidy.h")]
    if path.startswith(OUTSIDE):
        includes.append("-I" + installed(cache))
    mark = None
    if command is not None:
        key = hashlib.sha256(checks + path.encode() + seen_by_the_compiler(command, includes)).hexdigest()
        mark = os.path.join(cache, key)
        if os.path.exists(mark):
            return True, ""
    extra = ["--extra-arg=" + word for word in includes]
    run = subprocess.run(
        ["clang-tidy", "-p", build, "--quiet", "--warnings-as-errors=*", *extra, path],
        capture_output=True,
        text=True,
        check=False,
    )
    clean = run.returncode == 0
    if clean and mark is not None:
        with open(mark, "w", encoding="utf-8"):
            pass
    return clean, run.stdout if clean or run.stdout else run.stderr


def main():
    build, files = sys.argv[1], sys.argv[2:]
    cache = os.path.join(os.path.dirname(os.path.abspath(build)), "lint-cache")
    os.makedirs(cache, exist_ok=True)
    with open(".clang-tidy", "rb") as f:
        checks = f.read() + subprocess.run(["clang-tidy", "--version"], check=True, capture_output=True).stdout
    known = commands(build)
    findings = 0
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        jobs = {
            pool.submit(look, path, known.get(os.path.realpath(path)), build, checks, cache): path for path in files
        }
        for job in concurrent.futures.as_completed(jobs):
            clean, text = job.result()
            if not clean:
                findings += 1
                print(text, flush=True)
    return 1 if findings else 0


sys.exit(main())
