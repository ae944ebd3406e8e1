"""Where the minutes of the tests go: `make test-times` prints this table."""

import argparse
import collections
import pathlib
from xml.etree import ElementTree


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=pathlib.Path, help="pytest's --junitxml")
    for file in parser.parse_args().files:
        print(f"\n{file.stem}")
        print(table(file))


def table(file) -> str:
    """Returns the seconds and the number of tests of each file, the longest first."""
    seconds, tests = collections.Counter(), collections.Counter()
    for case in ElementTree.parse(file).iter("testcase"):
        # A test of a class has the class' name, too.
        parts = [part for part in case.get("classname").split(".") if not part.startswith("Test")]
        name = "/".join(parts)
        seconds[name] += float(case.get("time"))
        tests[name] += 1
    lines = ["| file | tests | seconds |", "|:--|--:|--:|"]
    lines += [f"| {name} | {tests[name]} | {spent:.1f} |" for name, spent in seconds.most_common()]
    lines.append(f"| all, on one core | {tests.total()} | {sum(seconds.values()):.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
