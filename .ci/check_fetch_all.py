"""Runs `fetch_all --json` and checks what it says, and that it has one thread, seen from outside."""

import json
import os
import subprocess
import sys
import time

program = subprocess.Popen([sys.argv[1], "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
threads = 0
while program.poll() is None:
    try:
        threads = max(threads, len(os.listdir(f"/proc/{program.pid}/task")))
    except FileNotFoundError:
        break
    time.sleep(0.01)
out, err = program.communicate()
print(out, end="")

assert program.returncode == 0, f"exit code {program.returncode}: {err}"
assert out.count("\n") == 1, "more than one line"
said = json.loads(out)
keys = ["requests", "ok", "failed", "timed_out", "max_in_flight", "elapsed_ms", "threads"]
assert list(said) == keys, f"the keys are {list(said)}"
assert all(type(value) is int and value >= 0 for value in said.values()), "not all are counts"
assert said["requests"] == 500, "not as many as by default"
assert said["ok"] + said["failed"] + said["timed_out"] == said["requests"], "the outcomes do not add up"
assert said["ok"] > said["requests"] * 3 // 4, "most should be ok"
assert said["failed"] > 0 and said["timed_out"] > 0, "some pages fail, some time out"
assert said["max_in_flight"] == 10, "the limit is 10"
assert said["elapsed_ms"] > 0
assert said["threads"] == 1 and threads == 1, f"it has {threads} threads"
