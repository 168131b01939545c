# SPDX-License-Identifier: MIT
"""Help, man page and completions have every command and every option."""

import os
import re
import shutil
import subprocess
import unittest

from support import OK, RVDUMP, Case, main, run

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
LOG = os.path.join(TOP, "examples", "nasa-http-august-5000.log")


def read_help(*command):
    result = run(*command, "--help")
    assert result.returncode == OK, result.stderr
    return result.stdout.decode()


COMMANDS = re.findall(r"^  (\w+) STORE", read_help(), re.M)
OPTIONS = {name: set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", read_help(name)))
           for name in COMMANDS}
VALUES = {("import", "--format"): {"jsonl", "csv", "clf"}, ("export", "--format"): {"jsonl", "csv"},
          ("map", "--format"): {"svg", "png", "html"}, ("map", "--theme"): {"light", "dark"},
          ("top", "--by"): {"visits", "bytes", "recency"}}


def read_man():
    with open(os.path.join(TOP, "tools", "rvdump.1.scd"), encoding="utf-8") as file:
        return file.read()


class Help(Case):
    def test_each_command_has_help(self):
        self.assertGreater(len(COMMANDS), 15)
        for command in COMMANDS:
            text = read_help(command)
            self.assertTrue(text.startswith("Usage: rvdump %s STORE" % command))
            told = text.split("\n\n", 1)[1]
            self.assertRegex(told, r"\A[A-Z]\w+ [^\n]*")
            for option in OPTIONS[command] - {"-o"}:  # each of them is told of, and is taken
                self.assertRegex(told, r"(?m)^  .*%s( [A-Z]+)?  +\w" % option)
                said = run(command, option).stderr
                self.assertNotIn(b"no such option", said)

    def test_options_that_are_taken_are_told(self):
        every = set().union(*OPTIONS.values())
        for command in COMMANDS:
            for option in every - OPTIONS[command]:
                self.assertIn(b"no such option here", run(command, option, "1").stderr)


class ManPage(Case):
    def sections(self):
        parts = re.split(r"(?m)^## (rvdump .*)$", read_man().split("# COMPLETION")[0])
        return {command: (heading, text) for heading, text in zip(parts[1::2], parts[2::2])
                for command in re.findall(r"rvdump (\w+)", heading)}

    def test_each_command_has_a_section_with_its_options_and_an_example(self):
        sections = self.sections()
        self.assertEqual(set(sections), set(COMMANDS))
        synopsis = read_man().split("# DESCRIPTION")[0]
        for command, (heading, text) in sections.items():
            self.assertIn("\n\t$ rvdump %s " % command, text)
            line = re.search(r"(?m)^\*rvdump\* (\w+\|)?%s\b.*" % command, synopsis)[0]
            for option in OPTIONS[command] - {"-o", "--output"}:
                self.assertIn(option, line)
                self.assertIn(option, heading + text)

    def test_the_examples_run(self):
        for name in ("access.log", "day2.log"):
            shutil.copy(LOG, self.path(name))
        for name in ("visits.rv", "monday.rv", "tuesday.rv"):
            self.run_ok("import", self.path(name), LOG, "--format", "clf")
        examples = re.findall(r"\n\t\$ (rvdump [^\n]*)", read_man().split("# COMPLETION")[0])
        self.assertGreaterEqual(len(examples), len(COMMANDS))
        os.mkdir(self.path("bin"))
        os.symlink(RVDUMP, self.path("bin/rvdump"))
        path = self.path("bin") + ":" + os.environ["PATH"]
        for example in examples:
            if example.startswith("rvdump watch"):
                example += " --count 1"
            with self.subTest(example):
                result = subprocess.run(["sh", "-c", example], cwd=self.folder, check=False,
                                        env={**os.environ, "PATH": path}, capture_output=True)
                self.assertEqual(result.returncode, OK, result.stderr)


class Completion(Case):
    def script(self, shell):
        path = self.path("completion." + shell)
        with open(path, "wb") as file:
            file.write(self.run_ok("--completion", shell))
        return path

    def check(self, complete):
        """complete(words): what may stand in place of the last one."""
        self.assertEqual(complete(["rvdump", ""]) - {"--help", "--version", "--completion"},
                         set(COMMANDS))
        self.assertEqual(complete(["rvdump", "ex"]), {"export"})
        for command in COMMANDS:
            with self.subTest(command):
                self.assertEqual(complete(["rvdump", command, "x", "--"]),
                                 (OPTIONS[command] | {"--help"}) - {"-o"})
        for (command, option), values in VALUES.items():
            self.assertEqual(complete(["rvdump", command, "x", option, ""]), values)
        told = {(command, option) for command in COMMANDS for option in OPTIONS[command]
                if re.search(option + r" [a-z]+\|", read_help(command))}
        self.assertEqual(told, set(VALUES))

    @unittest.skipUnless(shutil.which("bash"), "no bash here")
    def test_bash(self):
        code = ('source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rvdump; '
                'printf "%s\\n" "${COMPREPLY[@]}"')
        script = self.script("bash")
        self.check(lambda words: set(subprocess.run(
            ["bash", "-c", code, script, *words], capture_output=True, check=True,
            encoding="utf-8").stdout.split()))

    @unittest.skipUnless(shutil.which("fish"), "no fish here")
    def test_fish(self):
        script = self.script("fish")

        def complete(words):
            line = " ".join(words)
            code = "source '%s'; complete -C '%s'" % (script, line)
            said = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, check=True,
                                  encoding="utf-8", env={**os.environ, "HOME": self.folder}).stdout
            return {line.split("\t")[0] for line in said.splitlines()}

        self.check(complete)

    @unittest.skipUnless(shutil.which("zsh"), "no zsh here")
    def test_zsh(self):
        """Its widgets need a terminal; so what _arguments and _describe are given is looked at."""
        code = """
            compdef() { : }
            compadd() { shift; print -l -- "$@" }
            _describe() { print -l -- ${commands%%:*} }
            _arguments() {
                for spec; do
                    name=${${spec%%\\[*}%%=*}
                    [[ $spec == '*'* ]] || print -r -- "$name"
                    if [[ $last == $name && $spec == *:value:\\(* ]]; then
                        print -r -- "values ${${spec##*\\(}%\\)}"
                    fi
                done
            }
            source $1; shift
            words=("$@") CURRENT=$# last=$words[-2]
            _rvdump
        """
        script = self.script("zsh")

        def complete(words):
            said = subprocess.run(["zsh", "-f", "-c", code, "zsh", script, *words],
                                  capture_output=True, check=True, encoding="utf-8").stdout
            values = re.search(r"(?m)^values (.*)", said)
            found = set(values[1].split() if values else said.splitlines())
            return {word for word in found if word.startswith(words[-1])} - {"-o+", "-o"}

        self.check(complete)


if __name__ == "__main__":
    main()
