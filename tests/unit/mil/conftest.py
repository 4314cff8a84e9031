import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Products this small only lose time by being shared among threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
