import json
import time
from types import SimpleNamespace

import pytest
from huggingface_hub import constants, errors

from histossl.encoders import hub
from histossl.encoders.hub import fetch_weights, read_hub_model
from histossl.errors import JobError, UserError


def answer(kind, status=404):
    return kind("said by the hub\nand more", response=SimpleNamespace(status_code=status, headers={}, request=None))


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and no hub at all; gives a function that puts a file into the cache."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def add(repository, file, content=b""):
        folder = tmp_path / f"models--{repository.replace('/', '--')}"
        (folder / "refs").mkdir(parents=True, exist_ok=True)
        (folder / "refs/main").write_text("c0ffee")
        (folder / "snapshots/c0ffee").mkdir(parents=True, exist_ok=True)
        (folder / "snapshots/c0ffee" / file).write_bytes(content)
        return folder / "snapshots/c0ffee" / file

    return add


@pytest.fixture
def hub_says(monkeypatch):
    """Let the hub answer each file of a repository with an exception, or with a path."""
    asked = []

    def says(**answers):
        def download(repository, file, revision=None, local_files_only=False):
            asked.append((repository, file, revision, local_files_only))
            said = answers.get(file.replace(".", "_"), answers.get("otherwise"))
            if isinstance(said, Exception):
                raise said
            return str(said)

        monkeypatch.setattr(hub, "hf_hub_download", download)
        monkeypatch.setattr(hub, "_reachable", lambda: True)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        return asked

    return says


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_the_cache_is_read_without_network_whatever_the_file_is_called(cache, file):
    path = cache("a/b", file)
    assert fetch_weights("hf-hub:a/b") == path


def test_a_file_may_be_named(cache):
    cache("a/b", "model.safetensors")
    path = cache("a/b", "other.pth")
    assert fetch_weights("hf-hub:a/b/other.pth") == path


def test_safetensors_go_before_a_pickle_and_the_next_is_tried(hub_says):
    asked = hub_says(model_safetensors=errors.EntryNotFoundError("none"), otherwise="found.bin")
    assert fetch_weights("hf-hub:a/b@v1").name == "found.bin"
    assert asked == [("a/b", "model.safetensors", "v1", False), ("a/b", "pytorch_model.bin", "v1", False)]


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (
            answer(errors.GatedRepoError, 403),
            UserError,
            "accept it at https://huggingface.co/a/b, then run `hf auth login` .or set HF_TOKEN.*file .* `weights:`",
        ),
        (answer(errors.RepositoryNotFoundError, 401), UserError, "no such repository for you; correct the name, or"),
        (answer(errors.RevisionNotFoundError), UserError, "no revision 'v9'; see https://huggingface.co/a/b/commits"),
        (answer(errors.HfHubHTTPError, 401), UserError, "refuses your token; run `hf auth login` with a new one"),
        (answer(errors.HfHubHTTPError, 403), UserError, "refuses your token"),
        (answer(errors.HfHubHTTPError, 503), JobError, "HfHubHTTPError: said by the hub.; try again later, or give"),
        (ConnectionResetError("gone"), JobError, "ConnectionResetError: gone.; try again later"),
        (
            errors.EntryNotFoundError("none"),
            UserError,
            r"no file model.safetensors or pytorch_model.bin; name .*a/b/FILE",
        ),
    ],
)
def test_trouble_is_one_sentence_that_says_what_to_do(hub_says, error, kind, said):
    hub_says(otherwise=error)
    with pytest.raises(kind, match=f"^hf-hub:a/b@v9.*{said}") as raised:
        fetch_weights("hf-hub:a/b@v9")
    assert "\n" not in str(raised.value)


def test_a_refusal_that_the_library_takes_for_a_lack_of_network_is_told_as_what_it_is(hub_says):
    error = errors.LocalEntryNotFoundError("no connection")
    error.__cause__ = answer(errors.HfHubHTTPError, 403)
    hub_says(otherwise=error)
    with pytest.raises(UserError, match="refuses your token"):
        fetch_weights("hf-hub:a/b")


def test_offline_it_says_how_the_file_gets_there(cache):
    with pytest.raises(
        UserError, match=r"HF_HUB_OFFLINE is set: run `hf download a/b w.pth --revision v1` where there"
    ):
        fetch_weights("hf-hub:a/b@v1/w.pth")


def test_without_network_the_end_comes_within_seconds(cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(JobError, match="cannot be reached from here: run `hf download a/b` where there is network"):
        fetch_weights("hf-hub:a/b")
    assert time.monotonic() - start < 15
    path = cache("c/d", "model.safetensors")
    assert fetch_weights("hf-hub:c/d") == path


CONFIG = {"architecture": "test_vit.tag", "num_classes": 0, "model_args": {"img_size": 32, "num_classes": 7}}


def test_a_model_is_described_by_plain_names(cache):
    cache("a/b", "config.json", json.dumps({**CONFIG, "pretrained_cfg": {"crop_pct": 0.5}}).encode())
    model = read_hub_model("hf-hub:a/b")
    assert (model.architecture, model.model_args) == ("test_vit", {"img_size": 32})
    assert model.data_config == {"crop_pct": 0.5}


def test_older_configs_have_all_in_one_place(cache):
    cache("a/b", "config.json", json.dumps({"architecture": "test_vit", "crop_pct": 0.5}).encode())
    model = read_hub_model("hf-hub:a/b")
    assert (model.architecture, model.model_args, model.data_config["crop_pct"]) == ("test_vit", {}, 0.5)


@pytest.mark.parametrize("content", [b'{"model_type": "vit"}', b"[]", b"<html>", b'{"architecture": 3}'])
def test_a_model_of_another_library_is_named(cache, content):
    cache("a/b", "config.json", content)
    with pytest.raises(UserError, match=r"hf-hub:a/b is no model of timm's.*name the timm network under `model:`"):
        read_hub_model("hf-hub:a/b")
