"""What bench.engine concludes from its measurements, and that its peers run."""

import json
import os
import sys
from pathlib import Path
from threading import Event

import pytest

from bench import engine, tools
from bench.engine import Row
from bench.plain import Setting, Took
from g4convert.convert import Options, convert
from g4local.core.progress import silent
from tests.conftest import ROOT

ONE, TWO = Setting(1, 1, repack=True), Setting(2, 2, repack=True)
PLAIN, FLASH = Setting(2, 2, repack=False), Setting(1, 1, repack=True, flash=True)


def test_the_fastest_setting_has_the_shortest_medians_and_no_flash_attention() -> None:
    found = {
        PLAIN: [Took(1.0, 3.0), Took(1.0, 2.9), Took(0.1, 0.1)],
        ONE: [Took(2.0, 1.0), Took(2.0, 0.8), Took(9.0, 9.0)],
        TWO: [Took(1.5, 1.4), Took(1.6, 1.5), Took(1.4, 0.2)],
        FLASH: [Took(0.1, 0.1)] * 3,
    }
    assert engine.fastest(found) == Setting(1, 2, repack=True)
    del found[ONE]
    assert engine.fastest(found) == TWO


def test_a_table_has_medians_and_the_ratio_to_the_best_of_the_others() -> None:
    table = engine.table(
        [
            Row("answer", {"g4local": [9.0, 9.9, 1.0], "llama-cpp-python": [10.0], "llama-bench": [8.0]}, is_rate=True),
            Row("start", {"g4local": [1.5], "llama-completion": [1.0, 3.0, 2.0]}, is_rate=False),
            Row("memory", {"g4local": [1900.0], "llama-cpp-python": [3800.0]}, is_rate=False),
        ]
    )
    assert table.splitlines() == [
        "| | g4local | llama-cpp-python | llama-bench | llama-completion | ratio |",
        "|---|---:|---:|---:|---:|---:|",
        "| answer | 9.00 | 10.0 | 8.00 |  | 0.90 |",
        "| start | 1.50 |  |  | 2.00 | 0.75 |",
        "| memory | 1,900.0 | 3,800.0 |  |  | 0.50 |",
    ]


def say(output: str, code: int = 0) -> list[str]:
    return [sys.executable, "-c", f"print({output!r}); raise SystemExit({code})"]


def test_the_rate_is_that_of_llama_bench_s_only_test() -> None:
    tests = [{"n_prompt": 512, "n_gen": 0, "avg_ts": 73.25, "samples_ts": [73.25]}]
    assert tools.rate(say(json.dumps(tests))) == 73.25
    for broken in ("", "[]", "{}", "[{}]", json.dumps(tests * 2)):
        with pytest.raises(RuntimeError, match="ended with 3 and without a result"):
            tools.rate(say(broken, 3))


def test_the_first_byte_is_waited_for() -> None:
    later = "import time; time.sleep(0.3); print('x', flush=True); time.sleep(0.3)"
    assert 0.3 < tools.first_byte([sys.executable, "-c", later], {}) < 30
    with pytest.raises(RuntimeError, match="said nothing; it ended with 3"):
        tools.first_byte([sys.executable, "-c", "raise SystemExit(3)"], {})


def test_the_plain_loop_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    model = tmp_path / "demo.gguf"
    convert(ROOT / "g4local" / "demo", model, "Q4_K_M", silent, Event(), Options(threads=1))
    with engine._plain(model, Setting(1, 1, repack=False, context=1024)) as plain:
        for _ in range(2):
            took = plain.run([2, *range(20, 620)], 4)
            assert 0 < took.decode < took.prefill
    with pytest.raises(RuntimeError, match="ended with 1"), engine._plain(tmp_path / "none.gguf", ONE):
        pass


SERVER = """#!{python}
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({{}})

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = [message["content"] for message in asked["messages"]] + [str(asked["max_tokens"])]
        self.answer({{"choices": [{{"message": {{"content": " ".join(said)}}}}]}})

    def answer(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Answers).serve_forever()
"""


def test_a_server_is_waited_for_asked_and_ended(tmp_path: Path) -> None:
    program = tmp_path / "llama-server"
    program.write_text(SERVER.format(python=sys.executable), encoding="utf-8")
    program.chmod(0o755)
    with tools.server(program, tmp_path / "model.gguf", PLAIN) as server:
        assert server.answer([{"role": "user", "content": "Hello"}], 7) == "Hello 7"
        pid = server.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    program.write_text(f"#!{sys.executable}\nraise SystemExit(3)\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match="did not start"), tools.server(program, tmp_path / "model.gguf", PLAIN):
        pass


def test_llama_cpp_s_programs_are_given_the_setting() -> None:
    command = tools.completion(Path("llama-completion"), Path("m.gguf"), Setting(1, 2, repack=False), "Hello")
    text = " ".join(command)
    assert "-t 1 -tb 2 -c 4096 -fa off --no-repack" in text and "-p Hello -n 8 --temp 0" in text
