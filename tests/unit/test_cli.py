import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "workflow/scripts"


def run_body(body, **environment):
    script = (
        f"from histossl.cli import run\nfrom histossl.errors import UserError\ndef main():\n    {body}\nrun(main)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(SCRIPTS), **environment},
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_a_user_error_is_one_line_and_exit_code_one():
    ended = run_body("raise UserError('a.csv: has no slide; add one')")
    assert ended.returncode == 1
    assert ended.stderr == b"error: a.csv: has no slide; add one\n"


def test_any_other_exception_keeps_its_traceback():
    ended = run_body("{}['key']")
    assert ended.returncode == 1
    assert b"Traceback" in ended.stderr
    assert b"KeyError: 'key'" in ended.stderr


def test_success_is_silent_with_exit_code_zero():
    ended = run_body("pass")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")


def test_lines_reach_a_pipe_at_once_even_if_the_process_is_killed():
    ended = run_body("print('early'); import os; os._exit(3)")
    assert ended.returncode == 3
    assert ended.stdout == b"early\n"


def test_a_name_beyond_the_locale_does_not_end_the_script():
    ended = run_body("print('slide M\\u00fcller \\U0001f600')", PYTHONIOENCODING="ascii")
    assert ended.returncode == 0
    assert ended.stdout == b"slide M\\xfcller \\U0001f600\n"


def test_ctrl_c_ends_without_a_word():
    # The handler is set here because a background job of a shell starts with Ctrl-C ignored.
    handled = "signal.signal(signal.SIGINT, signal.default_int_handler)"
    ended = run_body(f"import os, signal, time; {handled}; os.kill(os.getpid(), signal.SIGINT); time.sleep(9)")
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


def test_a_full_disk_ends_in_one_sentence_whatever_a_library_makes_of_it():
    body = "raise RuntimeError('enforce fail') from OSError(28, 'No space left on device', 'a/encoder.pt')"
    done = run_body(body)
    assert done.returncode == 1
    assert done.stderr == (
        b"error: a/encoder.pt: No space left on device; free space and rerun: what is finished stays\n"
    )
