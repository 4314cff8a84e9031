import os
import textwrap

import pytest

from histossl.config import fingerprint
from histossl.config.fingerprint import Entry, fingerprint_script

FILES = {
    "script.py": '"""Doc."""\nfrom histossl.tiles.grid import place\n\n\ndef main():\n    return place(1)\n',
    "other.py": "from histossl.ssl import dino\n\nimport histossl.files\n",
    "histossl/__init__.py": '"""Doc."""\n',
    "histossl/files.py": "X = 1\n",
    "histossl/tiles/__init__.py": '"""Doc."""\n',
    "histossl/tiles/grid.py": "from histossl.deep import inner\n\n\ndef place(x):\n    return inner(x)\n",
    "histossl/deep.py": "def inner(x):\n    from histossl.late import y\n    return x + y\n",
    "histossl/late.py": "y = 2\n",
    "histossl/ssl/__init__.py": "",
    "histossl/ssl/dino.py": "Z = 3\n",
}


@pytest.fixture
def tree(tmp_path):
    for name, code in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(code)
    return tmp_path


def printed(tree, script="script.py", entry=None):
    fingerprint._parse.cache_clear()
    return fingerprint_script(tree / script, entry)


def rewrite(tree, name, old, new):
    text = (tree / name).read_text()
    assert old in text
    (tree / name).write_text(text.replace(old, new))


@pytest.mark.parametrize(
    "new",
    [
        "y = 2  # a comment\n",
        '"""A docstring."""\n\n\ny = 2\n',
        '\n\n\ny = 2\n"""What y is."""\n',
        "y = (\n    2\n)\n",
    ],
)
def test_comments_docstrings_and_layout_do_not_count(tree, new):
    before = printed(tree)
    (tree / "histossl/late.py").write_text(new)
    assert printed(tree) == before


def test_docstrings_of_functions_classes_and_fields_do_not_count(tree):
    plain = "class A:\n    x: int = 1\n\n    def f(self):\n        return 1\n\n    def g(self):\n        pass\n"
    documented = '''
        class A:
            """A."""
            x: int = 1
            """x."""

            def f(self):
                """f."""
                return 1

            def g(self):
                """g."""
        '''
    (tree / "histossl/late.py").write_text(plain)
    before = printed(tree)
    (tree / "histossl/late.py").write_text(textwrap.dedent(documented))
    assert printed(tree) == before


def test_times_and_place_do_not_count(tree, tmp_path_factory):
    before = printed(tree)
    os.utime(tree / "histossl/late.py", (1, 1))
    assert printed(tree) == before
    moved = tmp_path_factory.mktemp("elsewhere") / "scripts"
    tree.rename(moved)
    assert printed(moved) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [("'a{x}b'", "'a{x}c'"), ("'a{x}b'", "'ab{x}'"), ("'a{x}b'", "'a{y}b'"), ("None", "'None'"), ("[y]", "[[y]]")],
)
def test_each_part_of_an_expression_counts(tree, old, new):
    (tree / "histossl/late.py").write_text("y = f'a{x}b', None, [y]\n")
    before = printed(tree)
    rewrite(tree, "histossl/late.py", old, new)
    assert printed(tree) != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("script.py", "place(1)", "place(2)"),
        ("histossl/tiles/grid.py", "inner(x)", "inner(-x)"),
        ("histossl/deep.py", "x + y", "x - y"),
        ("histossl/late.py", "2", "2.0"),
    ],
)
def test_a_change_of_any_imported_code_counts(tree, name, old, new):
    before = printed(tree)
    rewrite(tree, name, old, new)
    assert printed(tree) != before


def test_a_text_that_is_a_value_counts(tree):
    (tree / "histossl/late.py").write_text("y = 'a'\n")
    before = printed(tree)
    rewrite(tree, "histossl/late.py", "'a'", "'b'")
    assert printed(tree) != before


def test_only_what_is_imported_counts(tree):
    script, other = printed(tree), printed(tree, "other.py")
    (tree / "histossl/ssl/dino.py").write_text("Z = 4\n")
    assert printed(tree) == script
    assert printed(tree, "other.py") != other
    other = printed(tree, "other.py")
    (tree / "histossl/files.py").write_text("X = 2\n")
    assert printed(tree) == script
    assert printed(tree, "other.py") != other
    (tree / "histossl/unused.py").write_text("1\n")
    assert printed(tree) == script


def test_modules_that_import_each_other_are_no_problem(tree):
    (tree / "histossl/late.py").write_text("from histossl.deep import inner\ny = 2\n")
    assert len(printed(tree)) == 16


def test_two_files_that_swap_their_code_count(tree):
    (tree / "script.py").write_text("from histossl import files, late\n")
    before = printed(tree, "script.py")
    (tree / "histossl/files.py").write_text("y = 2\n")
    (tree / "histossl/late.py").write_text("X = 1\n")
    assert printed(tree, "script.py") != before


REGISTRY = {
    "script.py": "from histossl.methods import METHODS, first\nprint(METHODS['one'], first)\n",
    "histossl/methods.py": "from histossl.four import FIRST, Four\nfrom histossl.one import One\n"
    "from histossl.three import Three\nfrom histossl.two import Two as Second\n\n"
    "METHODS: dict[str, type] = {'one': One, 'two': Second, 'three': Three, 'four': Four}\nfirst = FIRST\n",
    "histossl/one.py": "class One:\n    pass\n",
    "histossl/two.py": "from histossl import deep\nfrom histossl.one import One\n\n\nclass Two(One):\n    pass\n",
    "histossl/three.py": "class Three:\n    pass\n",
    "histossl/four.py": "FIRST = 1\n\n\nclass Four:\n    pass\n",
    "histossl/deep.py": "def inner():\n    return 1\n",
}


@pytest.fixture
def registry(tmp_path):
    (tmp_path / "histossl").mkdir()
    for name, code in REGISTRY.items():
        (tmp_path / name).write_text(code)
    return tmp_path


def entry(name):
    return Entry("histossl.methods", "METHODS", name)


@pytest.mark.parametrize(
    ("edited", "counts_for"),
    [
        ("one", {"one", "two"}),  # two imports it
        ("two", {"two"}),
        ("deep", {"two"}),
        ("three", {"three"}),
        ("four", {"one", "two", "three", "four", "none"}),  # the registry's module takes more than the entry from it
        ("methods", {"one", "two", "three", "four", "none"}),
    ],
)
def test_of_a_registry_one_entry_counts_and_what_is_imported_by_another_way(registry, edited, counts_for):
    names = ("one", "two", "three", "four", "none")
    before = {name: printed(registry, entry=entry(name)) for name in names}
    whole = printed(registry)
    with (registry / f"histossl/{edited}.py").open("a") as file:
        file.write("EDITED = 1\n")
    assert {name for name in names if printed(registry, entry=entry(name)) != before[name]} == counts_for
    assert printed(registry) != whole


def test_what_the_script_imports_itself_counts_whatever_the_entry(registry):
    rewrite(registry, "script.py", "print", "from histossl import two\nprint")
    before = printed(registry, entry=entry("three"))
    rewrite(registry, "histossl/two.py", "pass", "x = 1")
    assert printed(registry, entry=entry("three")) != before


def test_another_entry_added_to_a_registry_does_not_count_and_another_class_of_the_entry_does(registry):
    before = printed(registry, entry=entry("three"))
    rewrite(registry, "histossl/methods.py", "'one': One", "'five': Five, 'one': One")
    rewrite(registry, "histossl/methods.py", "from histossl.one", "from histossl.five import Five\nfrom histossl.one")
    (registry / "histossl/five.py").write_text("class Five:\n    pass\n")
    assert printed(registry, entry=entry("three")) == before
    rewrite(registry, "histossl/methods.py", "'three': Three", "'three': One")
    assert printed(registry, entry=entry("three")) != before


def test_a_registry_that_is_not_there_is_named(registry):
    with pytest.raises(ValueError, match=r"histossl\.methods has no annotated dictionary HEADS"):
        printed(registry, entry=Entry("histossl.methods", "HEADS", "one"))


SYNTAX = '''
class A(B, key=None):
    x: dict[str, tuple[int, ...]] = {**y, "it's": 'a "b"'}

    @property
    async def f(self, a, /, b=1.0, *c, d=None, **e) -> list[int] | None:
        """Doc."""
        text = f"{a!r:>{b}} {c['key']} {d=} " "it's" f'{{{e}}}'
        match a[1, *c]:
            case {"x": [1, *_], **rest} if (z := -1e300j):
                return lambda: (yield rest)
        try:
            del a[::2], b.c
        except* OSError as error:
            raise Error(u"ü", b"\\0", 1_000, ...) from error
'''


def test_each_python_finds_the_same_fingerprint(tmp_path):
    """Python 3.12 writes and cuts f-strings otherwise than 3.11; CI runs both."""
    (tmp_path / "script.py").write_text(SYNTAX, encoding="utf-8")
    assert fingerprint_script(tmp_path / "script.py") == "45a7dae62dfe791f"
