"""What a run of seeds found: the seed at which the wanted invariant was violated, and what else was."""
import json
import sys

wanted, path = int(sys.argv[1]), sys.argv[2]
last = None
count = 0
with open(path) as lines:
    for line in lines:
        last = json.loads(line)
        count += 1
if last is None:
    print("crashed before the first seed ended")
    sys.exit()
found = sorted({v["invariant"] for v in last["violations"]})
if wanted in found:
    others = [i for i in found if i != wanted]
    print(f"{last['seed']}" + (f" (also {', '.join(map(str, others))})" if others else ""))
elif found or not last["converged"]:
    what = f"invariants {found}" if found else last["stuck"]
    print(f"only otherwise, at {last['seed']}: {what}")
else:
    print(f"not found in {count} seeds")
