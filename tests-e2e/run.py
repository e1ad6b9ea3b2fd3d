"""Runs end-to-end suites: `python3 run.py SUITE…`, one line per test, closing with a count.

A suite is the module `suite_NAME.py`. Tests run in the order they are written:
each suite is one session with one service, and a later step builds on an earlier.
"""

import faulthandler
import importlib
import os
import sys
import time
import traceback
import unittest


LIMIT_SECS = int(os.environ.get("EMBERKEEP_SUITE_LIMIT_SECS", "1800"))


class Report(unittest.TestResult):
    """Prints each test as it ends."""

    def __init__(self):
        super().__init__()
        self.passed = 0
        self.begun = 0.0

    def startTest(self, test):
        super().startTest(test)
        self.begun = time.monotonic()

    def line(self, word, test, why=""):
        # A class that could not be set up is reported in place of a test.
        method = getattr(test, "_testMethodName", None)
        name = f"{type(test).__name__}.{method}" if method else str(test)
        print(f"  {word:<5} {name} ({time.monotonic() - self.begun:.1f} s){why}", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        self.line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line("skip", test, f": {reason}")

    def bad(self, test, error):
        self.line("FAIL", test)
        print("".join(traceback.format_exception(*error)), flush=True)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.bad(test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self.bad(test, err)


def main():
    names = sys.argv[1:]
    if not names:
        sys.exit("usage: run.py SUITE…")
    passed = failed = 0
    for name in names:
        print(f"suite {name}", flush=True)
        # One that hangs says where, and ends, rather than holding up the run.
        faulthandler.dump_traceback_later(LIMIT_SECS, exit=True)
        module = importlib.import_module(f"suite_{name}")
        report = Report()
        unittest.defaultTestLoader.loadTestsFromModule(module).run(report)
        bad = len(report.failures) + len(report.errors)
        if report.testsRun == 0 and not bad:
            print("  FAIL  no test was found", flush=True)
            bad = 1
        passed += report.passed
        failed += bad
        skipped = f", {len(report.skipped)} skipped" if report.skipped else ""
        print(f"suite {name}: {report.passed} passed, {bad} failed{skipped}", flush=True)
    print(f"e2e: {passed} passed, {failed} failed", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
