"""Start Snakemake in a fork of a process that has imported it: many starts cost the imports of one.

Reads requests from standard input, a line of JSON each: arguments, working directory, environment, and the files for
standard output and standard error. Answers with a line: the exit code.
"""

import json
import os
import sys

import polars  # noqa: F401  the rules' code imports it
import pydantic  # noqa: F401
import snakemake.cli

for line in sys.stdin:
    arguments, folder, environment, *outputs = json.loads(line)
    process = os.fork()
    if not process:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, path in enumerate(outputs, 1):
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
        sys.argv = ["snakemake", *arguments]
        sys.exit(snakemake.cli.main())
    print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)
