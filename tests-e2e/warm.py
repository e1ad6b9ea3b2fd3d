"""The `openstack` command without its start-up: a process imports the client once, and each call is a fork of it.

What a call does, prints and returns is the unmodified client's own; only the second or two in which Python
imports it are saved. Every suite that uses this also starts the real command some times.

`OpenStack(environment)` is for suites; run as a program, with that environment's interpreter, this is the process
that forks. It takes a line of JSON for each call (arguments and environment) and answers with one (status, stdout,
stderr).
"""

import json
import os
import subprocess
import sys
import tempfile
import threading

from support import clean_environment, command, test_env

CALL_SECS = 300
# What the suites call; whatever is not imported beforehand is imported by each call.
GROUPS = ("openstack.cli", "openstack.common", "openstack.identity.v3", "openstack.volume.v3", "openstack.cbr.v3")


class OpenStack:
    """The `openstack` command of one environment; the first call of each command in `real` starts it as people do."""

    def __init__(self, environment, real=()):
        self.programs = test_env() / environment / "bin"
        self.real = list(real)
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [self.programs / "python", "-B", __file__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=clean_environment(), text=True,
        )

    def __call__(self, arguments, env, check=True):
        """Returns (status, stdout, stderr) of `openstack ARGUMENTS`."""
        arguments = [str(argument) for argument in arguments]
        shown = f"openstack {' '.join(arguments)}"
        for command_words in self.real:
            if shown.startswith(f"openstack {command_words}"):
                self.real.remove(command_words)
                return command([self.programs / "openstack", *arguments], env=env, check=check)
        with self.lock:
            self.process.stdin.write(json.dumps({"arguments": arguments, "env": env}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"{shown}: the process that forks ended with {self.process.wait()}")
        status, out, err = json.loads(line)
        if status is None:
            raise AssertionError(f"{shown}\ntook more than {CALL_SECS} s\n{out}\n{err}")
        if check and status != 0:
            raise AssertionError(f"{shown}\nended with {status}\n{out}\n{err}")
        return status, out, err

    def stop(self):
        """Ends the process; the suite's last call has been made."""
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=60)


def warm_up():
    """Imports what the calls would import."""
    import contextlib
    import importlib
    import importlib.metadata

    import openstackclient.shell

    for module in ("keystoneauth1.identity", "openstack.connection", "openstack.block_storage.v3._proxy",
                   "openstack.identity.v3._proxy", "cinderclient.v3.client"):
        # Not every environment has all of them.
        with contextlib.suppress(ImportError):
            importlib.import_module(module)
    for distribution in importlib.metadata.distributions():
        for point in distribution.entry_points:
            if point.group in GROUPS or point.group.startswith(("cliff.formatter", "keystoneauth1", "openstack.cli")):
                # What does not import here does not in a call either, and is the call's to report.
                with contextlib.suppress(Exception):
                    point.load()
    return openstackclient.shell.main


def in_child(main, request, out, err):
    """What the child does instead of `bin/openstack`."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv += request["arguments"]
    try:
        sys.exit(main())
    except SystemExit as end:
        status = end.code
        if status is not None and not isinstance(status, int):
            print(status, file=sys.stderr)
            status = 1
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit((status or 0) & 0xFF)


def wait(child):
    """Waits for the child, and ends it when it takes too long; returns its status, or None."""
    ended = threading.Event()
    late = []

    def watch():
        if not ended.wait(CALL_SECS):
            late.append(True)
            os.kill(child, 9)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    _, status = os.waitpid(child, 0)
    ended.set()
    watcher.join()
    return None if late else os.waitstatus_to_exitcode(status)


def serve():
    answers = os.fdopen(os.dup(1), "w")
    requests = os.fdopen(os.dup(0), "r")
    # Some modules keep the program's name when they are imported.
    sys.argv = [os.path.join(os.path.dirname(sys.executable), "openstack")]
    main = warm_up()
    for line in requests:
        request = json.loads(line)
        with tempfile.TemporaryFile("w+b") as out, tempfile.TemporaryFile("w+b") as err:
            child = os.fork()
            if child == 0:
                in_child(main, request, out, err)
            status = wait(child)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        answers.write(json.dumps([status, *texts]) + "\n")
        answers.flush()


if __name__ == "__main__":
    serve()
