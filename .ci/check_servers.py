"""Drives the example servers with the usual tools: check_servers.py CHECK DIRECTORY_OF_EXAMPLES."""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager


@contextmanager
def server(*command, descriptors=4096):
    """Starts a server that tells its address in its first line; yields its process and the address."""

    def limit():
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))

    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        preexec_fn=limit,
        start_new_session=True,  # so that a program under strace can be ended with it
    )
    try:
        line = process.stdout.readline()
        host, port = re.search(r"([0-9.]+):(\d+)", line).groups()
        yield process, (host, int(port))
        assert process.poll() is None, "the server has ended by itself"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def echo(*wrapper, **options):
    return server(*wrapper, f"{examples}/echo", "--tcp", "127.0.0.1:0", **options)


def pages():
    return server(f"{examples}/fetch_all", "--serve", "127.0.0.1:0")


def connect(address):
    connection = socket.create_connection(address, timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ping(connection, message=b"ping"):
    connection.sendall(message)
    received = b""
    while len(received) < len(message):
        part = connection.recv(65536)
        assert part, "the echo closed the connection"
        received += part
    assert received == message, received


def open_descriptors(process):
    return len(os.listdir(f"/proc/{process.pid}/fd"))


def settled(count, expected):
    """Whether `count()` comes to be `expected` within five seconds."""
    for _ in range(500):
        if count() == expected:
            return True
        time.sleep(0.01)
    return False


def check_curl():
    with pages() as (_, (host, port)):
        expected = {"page/0": ("200", 0), "page/7": ("200", 0), "page/13": ("500", 0), "page/29": ("200", 18), "x": ("404", 0)}
        for page, (status, code) in expected.items():
            curl = ["curl", "-sS", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", f"http://{host}:{port}/{page}"]
            result = subprocess.run(curl, capture_output=True, text=True)
            assert (result.stdout, result.returncode) == (status, code), (page, result)
    print("curl: 200, 500, 404, and 18 for a page that is cut short")


def check_wrk():
    with pages() as (process, (host, port)):
        before = open_descriptors(process)
        wrk = ["wrk", "-t1", "-c100", "-d3s", f"http://{host}:{port}/page/0"]
        result = subprocess.run(wrk, capture_output=True, text=True, timeout=30)
        assert result.returncode == 0 and "Requests/sec" in result.stdout, result
        assert "Socket errors" not in result.stdout and "Non-2xx" not in result.stdout, result.stdout
        assert settled(lambda: open_descriptors(process), before), "connections are left behind"
    print("wrk -c100:", re.search(r"Requests/sec: *([0-9.]+)", result.stdout).group(1), "requests a second, no errors")


def check_nc():
    with echo() as (_, (host, port)):
        for size in [1, 1000, 16384, 1_000_000]:
            sent = os.urandom(size)
            nc = ["nc", "-N", host, str(port)]
            result = subprocess.run(nc, input=sent, capture_output=True, timeout=20)
            assert result.returncode == 0 and result.stdout == sent, f"{len(result.stdout)} of {size} bytes"
    print("nc -N: everything comes back, and the connection ends")


def check_strace():
    """At most three system calls a round trip, none while idle."""
    trace = f"/tmp/handcar-strace-{os.getpid()}"

    def calls():
        with open(trace, "rb") as lines:
            return lines.read().count(b"\n")

    try:
        with echo("strace", "-f", "-o", trace) as (_, address), closing(connect(address)) as connection:
            for _ in range(10):
                ping(connection)
            time.sleep(0.3)
            before = calls()
            rounds = 500
            for _ in range(rounds):
                ping(connection)
            time.sleep(0.3)
            after = calls()
            each = (after - before) / rounds
            assert 1 < each <= 3.05, f"{each} system calls a round trip"
            time.sleep(1)
            assert calls() == after, "it is not idle while nothing happens"
        print(f"strace: {each:.2f} system calls a round trip, none while idle")
    finally:
        if os.path.exists(trace):
            os.unlink(trace)


def check_descriptors():
    with echo() as (process, address):
        with closing(connect(address)) as connection:
            ping(connection)
        before = open_descriptors(process) - 1
        settled(lambda: open_descriptors(process), before)
        before = open_descriptors(process)
        for _ in range(10_000):
            with closing(connect(address)) as connection:
                ping(connection)
        assert settled(lambda: open_descriptors(process), before), "after 10,000 in sequence"
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
        connections = [connect(address) for _ in range(1000)]
        for connection in connections:
            ping(connection)
        assert open_descriptors(process) == before + 1000
        for connection in connections:
            connection.close()
        assert settled(lambda: open_descriptors(process), before), "after 1,000 at once"
    print(f"descriptors: {before} before and after 10,000 connections in sequence and 1,000 at once")


def check_limit():
    """Out of descriptors it neither spins nor dies, and recovers."""
    with echo(descriptors=24) as (process, address):
        connections = [connect(address) for _ in range(40)]
        ping(connections[0])

        def cpu():
            with open(f"/proc/{process.pid}/stat") as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        time.sleep(0.2)
        before = cpu()
        time.sleep(2)
        used = cpu() - before
        assert used < 0.2, f"it spins: {used:.2f} s of processor time in two seconds"
        assert process.poll() is None, "it died"
        for connection in connections[:39]:
            connection.close()
        ping(connections[39])  # waited in the queue all the time
        with closing(connect(address)) as connection:
            ping(connection)
    print(f"descriptor limit: {used:.2f} s of processor time in two seconds, and it recovers")


check, examples = sys.argv[1:]
globals()[f"check_{check}"]()
