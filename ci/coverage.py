"""Merges what gcov knows of every object of a build and prints a table: coverage.py BUILD_DIRECTORY [--uncovered ROOM]"""
import json
import os
import subprocess
import sys

# Per cent of lines. What a floor leaves out is explained in SECURITY.md, "Coverage".
FLOORS = {
    "impl/pcp": 95,
    "impl/pxp": 95,
    "impl/wire": 95,
    "impl/pql": 95,
    "parsers": 95,
    "impl/base": 90,
    "impl/puppetlang": 90,
    "impl/net": 90,
    "impl/broker": 90,
    "impl/agent": 85,
    "impl/orchestrator": 85,
    "impl/world": 80,
}
# Whatever takes apart what came from outside, wherever it lies.
PARSERS = (
    "impl/base/json.c",
    "impl/base/hocon_parse.c",
    "impl/base/hocon_resolve.c",
    "impl/base/option.c",
    "impl/base/url.c",
    "impl/base/clock.c",
    "impl/pcp/chunk.c",
    "impl/pcp/decode.c",
    "impl/pcp/json_scan.c",
    "impl/pcp/uri.c",
    "impl/pcp/body.c",
    "impl/pxp/body.c",
    "impl/pxp/module.c",
    "impl/pxp/schema_parse.c",
    "impl/wire/",
    "impl/pql/lex.c",
    "impl/pql/pql_parse.c",
    "impl/pql/ast.c",
    "impl/pql/ast_check.c",
    "impl/puppetlang/",
    "impl/broker/rules_load.c",
    "impl/broker/settings_read.c",
    "impl/orchestrator/api/param_types.c",
    "impl/orchestrator/api/params.c",
    "impl/orchestrator/api/request.c",
)


def gcov(build, objects):
    """Source file -> line -> times, over all objects."""
    lines = {}
    for start in range(0, len(objects), 50):
        batch = objects[start : start + 50]
        out = subprocess.run(
            ["gcov", "--json-format", "--stdout", *batch], cwd=build, capture_output=True, check=False
        ).stdout
        for document in out.splitlines():
            try:
                data = json.loads(document)
            except ValueError:
                continue
            for file in data["files"]:
                seen = lines.setdefault(os.path.normpath(os.path.join(build, file["file"])), {})
                for line in file["lines"]:
                    number = line["line_number"]
                    seen[number] = max(seen.get(number, 0), line["count"])
    return lines


def room_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] in ("impl", "simulator", "fakes", "scenarios") else parts[0]


def main():
    build = os.path.abspath(sys.argv[1])
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    objects = [
        os.path.join(folder, name) for folder, _, names in os.walk(build) for name in names if name.endswith(".gcda")
    ]
    if not objects:
        sys.exit("coverage: no test has left anything in " + build)
    files = {}
    for path, lines in gcov(build, sorted(objects)).items():
        short = os.path.relpath(path, root)
        if not short.startswith("..") and "/tests/" not in short and not short.startswith(("build", "fuzz", "/")):
            files[short] = lines
    if "--uncovered" in sys.argv:
        room = sys.argv[sys.argv.index("--uncovered") + 1]
        for path in sorted(files):
            missed = [n for n, count in sorted(files[path].items()) if count == 0]
            if path.startswith(room) and missed:
                print(f"{path}: {' '.join(map(str, missed))}")
        return
    rooms = {}
    for path, lines in files.items():
        groups = [room_of(path)] + (["parsers"] if path.startswith(PARSERS) else [])
        for group in groups:
            covered, total = rooms.get(group, (0, 0))
            rooms[group] = (covered + sum(1 for count in lines.values() if count), total + len(lines))
    failed = False
    print(f"{'':28} {'lines':>7} {'reached':>8} {'':>7}  floor")
    for group in sorted(rooms):
        covered, total = rooms[group]
        percent = 100.0 * covered / total if total else 100.0
        floor = FLOORS.get(group)
        low = floor is not None and percent < floor
        failed = failed or low
        print(
            f"{group:28} {total:7} {covered:8} {percent:6.1f} %"
            + (f"  {floor} %" if floor is not None else "")
            + ("  TOO LOW" if low else "")
        )
    sys.exit(1 if failed else 0)


main()
