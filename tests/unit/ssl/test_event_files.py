from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from histossl.ssl.event_files import EventFiles


def steps(folder, tag):
    found = EventAccumulator(str(folder))
    found.Reload()
    return [(event.step, round(event.value, 6)) for event in found.Scalars(tag)]


def test_a_line_is_on_the_disk_when_it_has_been_added(tmp_path):
    events = EventFiles(tmp_path / "tensorboard", [])
    events.add({"step": 0, "loss": 2.5, "verdict": "healthy"})
    events.add({"step": 10, "loss": 1.5, "rankme": 3})
    assert steps(tmp_path / "tensorboard", "loss") == [(0, 2.5), (10, 1.5)]
    assert steps(tmp_path / "tensorboard", "rankme") == [(10, 3.0)]


def test_a_run_that_goes_on_has_each_step_once(tmp_path):
    broken_off = EventFiles(tmp_path, [])
    for step in (0, 10, 20, 30):
        broken_off.add({"step": step, "loss": float(step)})
    events = EventFiles(tmp_path, [{"step": 0, "loss": 0.0}, {"step": 10, "loss": 10.0}])
    events.add({"step": 20, "loss": 21.0})
    assert steps(tmp_path, "loss") == [(0, 0.0), (10, 10.0), (20, 21.0)]
    assert len(list(tmp_path.iterdir())) == 1


def test_other_files_in_the_folder_stay(tmp_path):
    (tmp_path / "notes.txt").touch()
    EventFiles(tmp_path, [])
    assert (tmp_path / "notes.txt").exists()
