"""The tests of crates/cosim as programs."""

import json
import os
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
# without a test that takes minutes and shows no module anything new
ARGUMENTS = ("--skip", "the_shipped_model")


def build(folder, **environment):
    """Builds all test programs with these variables and copies them into `folder`, by name."""
    command = ["cargo", "test", "-p", "diffuser-cosim", "--features", "verilator", "--no-run", "--message-format=json", "--locked", "--tests"]
    made = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, stdout=subprocess.PIPE, check=True, text=True)
    folder.mkdir(parents=True, exist_ok=True)
    for line in made.stdout.splitlines():
        message = json.loads(line)
        if message.get("executable") and "test" in message["target"]["kind"]:
            shutil.copy2(message["executable"], folder / message["target"]["name"])


def command(program):
    """How a program is run, one test after the other, in the crate's folder."""
    return [program, "--test-threads=1", *ARGUMENTS]
