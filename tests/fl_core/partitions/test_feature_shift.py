import numpy as np
import pytest

from fl_core.data import fingerprint, open_data
from fl_core.deal_page import render_deal
from fl_core.errors import InputError
from fl_core.partitions._pictures import blur, rotate
from fl_core.partitions.feature_shift import Shift, changed, feature_shift
from fl_core.types import CentralData, Deal, Examples
from tests.jobs import tiny_job

CORNER = np.array([[[1.0, 2.0], [3.0, 4.0]]])
TABLE = CentralData(Examples(np.arange(30.0, dtype=np.float32).reshape(10, 3), np.arange(10) % 2))


def deal(data: CentralData = TABLE, clients: int = 2, seed: int = 1, **amounts: float) -> Deal:
    return feature_shift(data, np.random.default_rng(seed), clients=clients, **amounts)


def test_a_quarter_turn_goes_against_the_clock_and_half_a_turn_both_ways() -> None:
    assert rotate(CORNER, 90)[0] == pytest.approx(np.array([[2, 4], [1, 3]]))
    assert rotate(CORNER, 180)[0] == pytest.approx(np.array([[4, 3], [2, 1]]))
    assert (rotate(CORNER, 0) == CORNER).all()


def test_an_eighth_of_a_turn_mixes_the_nearest_pixels_and_takes_nothing_from_outside() -> None:
    # The middle of three by three stays; the pixel right of it now lies between right and lower right: (0.707, 0.707) from the middle.
    cross = np.zeros((1, 3, 3))
    cross[0, 1, 1], cross[0, 2, 2] = 5.0, 1.0
    turned = rotate(cross, 45)
    half = 0.5**0.5
    assert turned[0, 1, 1] == pytest.approx(5)
    assert turned[0, 1, 2] == pytest.approx(half * half * 1 + (1 - half) ** 2 * 5)
    assert turned[0, 0, 0] == pytest.approx(0), "its source lies above the picture"


def test_a_blur_spreads_a_point_as_its_bell_and_leaves_a_plain_picture() -> None:
    point = np.zeros((1, 9, 9))
    point[0, 4, 4] = 1.0
    bell = np.exp(-0.5 * np.arange(-3, 4) ** 2)
    bell /= bell.sum()
    assert blur(point, 1.0)[0, 4, 1:8] == pytest.approx(bell * bell[3])
    assert blur(point, 1.0)[0, 1:8, 3] == pytest.approx(bell * bell[2])
    assert blur(np.full((1, 2, 3), 7.0), 2.0)[0] == pytest.approx(np.full((2, 3), 7.0))


def test_contrast_moves_features_about_the_mean_of_their_example() -> None:
    x = np.array([[1, 3], [10, 10]], np.float32)
    assert changed(x, Shift(contrast=2.0)).tolist() == [[0, 4], [10, 10]]


def test_a_table_is_scaled_and_shifted_feature_by_feature_alike_in_every_row() -> None:
    x = np.array([[0, 0], [1, 1], [3, 3]], np.float32)
    shifted = changed(x, Shift(feature_scale=0.5, feature_shift=2.0, seed=4))
    slope, offset = shifted[1] - shifted[0], shifted[0]
    assert shifted[2] == pytest.approx(offset + 3 * slope, rel=1e-6)
    assert ((slope >= 0.5) & (slope <= 1.5)).all()
    assert slope[0] != slope[1]
    assert offset[0] != offset[1]


def test_noise_grows_with_the_clients_number_as_in_the_paper() -> None:
    zeros = CentralData(Examples(np.zeros((40_000, 1), np.float32), np.arange(40_000) % 2))
    dealt = deal(zeros, clients=4, noise=4.0)
    variances = [float(dealt.view(name, zeros.train.take(rows)).x.var()) for name, rows in dealt.rows.items()]
    assert variances == pytest.approx([1, 2, 3, 4], rel=0.05)


def test_a_client_sees_the_same_at_every_opening_another_client_or_seed_something_else() -> None:
    amounts = {"noise": 1.0, "scale": 0.5, "shift": 1.0, "contrast": 0.5}
    first, again, other = deal(**amounts), deal(**amounts), deal(seed=2, **amounts)
    same = TABLE.train
    assert (first.view("client-0", same).x == again.view("client-0", same).x).all()
    assert (first.view("client-0", same).x == first.view("client-0", same).x).all()
    assert (first.view("client-0", same).x != first.view("client-1", same).x).any()
    assert (first.view("client-0", same).x != other.view("client-0", same).x).any()
    assert first.view("client-0", same).x.dtype == np.float32
    assert (first.view("client-0", same).y == same.y).all()


def test_flat_pictures_and_pictures_with_channels_turn_alike() -> None:
    x = np.random.default_rng(0).random((2, 3, 4, 4)).astype(np.float32)
    turned = changed(x, Shift(degrees=30.0, blur_pixels=0.5))
    flat = changed(x[:, 1].reshape(2, 16), Shift(degrees=30.0, blur_pixels=0.5))
    assert (turned[:, 1].reshape(2, 16) == flat).all()


@pytest.mark.parametrize(
    ("x", "amounts", "sentence"),
    [
        (TABLE.train.x, {}, "shifts nothing; set one of rotation_degrees, blur_pixels, contrast, noise, scale, shift, or take 'iid'"),
        (TABLE.train.x, {"blur_pixels": 1.0}, r"partition.blur_pixels is for pictures, but an example has the shape \(3,\); take noise, scale or shift"),
        (np.ones((10, 4), np.int64), {"noise": 1.0}, "changes measured features, but x is int64"),
        (TABLE.train.x, {"noise": 1.0, "clients": 11}, "partition.clients is 11, but there are 10 training examples"),
    ],
)
def test_what_cannot_be_shifted_is_refused(x: np.ndarray, amounts: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        deal(CentralData(Examples(x, np.arange(10) % 2)), **amounts)


def test_a_job_opens_shifted_clients_and_an_unshifted_test_set_and_its_page_says_how() -> None:
    shifted = tiny_job("data.partition={name: feature_shift, clients: 3, rotation_degrees: 45, noise: 0.01}")
    plain = tiny_job("data.partition={name: iid, clients: 3}")
    ours, theirs = open_data(shifted, shifted.data), open_data(plain, plain.data)
    for name in ours.clients:
        assert (ours.open(name).y == theirs.open(name).y).all()
        assert (ours.open(name).x != theirs.open(name).x).any()
    assert (ours.test().x == theirs.test().x).all()  # type: ignore[union-attr]
    assert fingerprint(ours) == fingerprint(open_data(shifted, shifted.data)) != fingerprint(theirs)
    text, _ = render_deal(shifted)
    assert "noise of deviation 0.1" in text
    assert "turned by" in text
    assert "How each client" not in render_deal(plain)[0]


def test_a_view_that_loses_rows_is_refused_when_the_client_is_opened() -> None:
    job = tiny_job("data.partition={name: 'my.py:half'}")
    code = """
from fl_core.types import Deal
import numpy as np
def half(data, random):
    return Deal({"a": np.arange(10)}, lambda client, examples: examples.take(slice(0, 5)))
"""
    job = job.model_copy(update={"code": {"my.py": code}})
    with pytest.raises(InputError, match=r"shows client 'a' 5 of its 10 examples; a view keeps every row"):
        open_data(job, job.data).open("a")
