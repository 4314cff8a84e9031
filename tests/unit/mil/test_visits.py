from collections import Counter

import numpy as np
import torch

from histossl.mil.visits import draw_epoch, plan_visits, stable_seed

TARGETS = {"a": 0, "b": 0, "c": 0, "d": 1}


def order_of(head: int, visits) -> list[str]:
    return [visit.slide for visit in visits if head in visit.heads]


def test_a_balanced_draw_takes_each_class_equally_often_and_as_many_slides_as_there_are():
    generator = torch.Generator().manual_seed(0)
    draws = [draw_epoch(TARGETS, True, generator) for _ in range(2000)]
    assert all(sum(draw.values()) == 4 and min(draw.values()) > 0 for draw in draws)
    total = sum(map(Counter, draws), Counter())
    expected = {"a": 8000 / 6, "b": 8000 / 6, "c": 8000 / 6, "d": 4000}
    for slide, mean in expected.items():
        assert abs(total[slide] - mean) < 4 * np.sqrt(mean)


def test_without_balance_each_slide_is_drawn_once():
    assert draw_epoch(TARGETS, False, torch.Generator()) == dict.fromkeys(TARGETS, 1)


def test_each_head_sees_what_it_has_drawn_and_a_slide_is_visited_once_for_all():
    drawn = {0: {"a": 2, "b": 1}, 3: {"a": 1, "c": 3}, 5: {"b": 1}}
    visits = plan_visits(drawn, "t", 0)
    for head, counts in drawn.items():
        assert Counter(order_of(head, visits)) == Counter(counts)
    assert len(visits) == 2 + 1 + 3
    assert [visit.heads for visit in visits if visit.slide == "b"] == [[0, 5]]


def test_other_heads_do_not_change_the_order_of_one():
    drawn = {0: {"a": 2, "b": 1, "c": 1}}
    alone, among = plan_visits(drawn, "t", 4), plan_visits({**drawn, 1: {"c": 4, "d": 2, "b": 2}}, "t", 4)
    assert order_of(0, alone) == order_of(0, among)


def test_every_order_is_equally_probable_and_epochs_and_tasks_differ():
    drawn = {0: {"a": 2, "b": 1}}
    orders = Counter("".join(order_of(0, plan_visits(drawn, "t", epoch))) for epoch in range(3000))
    assert set(orders) == {"aab", "aba", "baa"}
    assert all(abs(count - 1000) < 4 * np.sqrt(3000 * 2 / 9) for count in orders.values())
    slides = {0: dict.fromkeys("abcdefgh", 1)}
    assert order_of(0, plan_visits(slides, "t", 0)) != order_of(0, plan_visits(slides, "u", 0))


def test_seeds_do_not_change_between_processes():
    assert stable_seed("task", 1.0, 0, 1) == 5659047573731857644
    assert stable_seed("task", 1.0, 0, 1) != stable_seed("task", 1.0, 1, 1)
