import io

import matplotlib
import numpy as np
import pytest
from PIL import Image

from jaxrl.app import plots


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_a_figure_becomes_a_png_and_nothing_global_changes():
    before = dict(matplotlib.rcParams)
    figure, axes = plots.new_figure(4, 3, rows=2, columns=3)
    assert axes.shape == (2, 3)
    assert pixels(plots.to_png(figure, dpi=50)).shape == (150, 200, 3)
    assert dict(matplotlib.rcParams) == before
    assert plots.empty_figure(1, 1).axes == []


def test_lines_take_the_palette_in_order_and_bands_their_color():
    _, ((axes,),) = plots.new_figure(4, 3)
    x = np.arange(3)
    first = plots.line_with_band(axes, x, x, x - 1, x + 1, label="a")
    second = plots.line_with_band(axes, x, 2 * x)
    assert (first.get_color(), second.get_color()) == plots.COLORS[:2]
    (band,) = axes.collections
    np.testing.assert_allclose(
        band.get_facecolor()[0][:3], matplotlib.colors.to_rgb(plots.COLORS[0])
    )
    assert band.get_datalim(axes.transData).y0 == -1


def test_heatmaps_write_numbers_and_leave_missing_cells_empty():
    _, ((axes,),) = plots.new_figure(4, 3)
    values = np.array([[0.0, 1.0], [np.nan, 0.5]])
    image = plots.heatmap(axes, values, ["a", "b"], ["x", "y"], write=".1f")
    texts = {(t.get_position(), t.get_text()): t.get_color() for t in axes.texts}
    dark = [color for (_, text), color in texts.items() if text == "1.0"]
    assert sorted(text for _, text in texts) == ["0.0", "0.5", "1.0"]
    assert texts[(0, 0), "0.0"] == "white" and dark == ["black"]
    assert image.get_array().mask.sum() == 1
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "b"]


def test_colors_can_be_told_apart_without_color_vision():
    """Matrices for full protanopia and deuteranopia in linear light (Machado et al. 2009)."""
    protan = np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    )
    deutan = np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    )
    rgb = np.array([matplotlib.colors.to_rgb(color) for color in plots.COLORS])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    for matrix in (np.eye(3), protan, deutan):
        seen = np.clip(linear @ matrix.T, 0, 1) ** (1 / 2.2)
        apart = np.abs(seen[:, None] - seen[None]).max(-1)
        assert apart[~np.eye(len(seen), dtype=bool)].min() > 0.15


def test_images_and_films():
    frames = np.random.default_rng(0).integers(0, 255, (3, 8, 9, 3), np.uint8)
    np.testing.assert_array_equal(pixels(plots.array_to_png(frames[0])), frames[0])
    film = Image.open(io.BytesIO(plots.frames_to_gif(frames, 50)))
    assert film.n_frames == 3 and film.size == (9, 8) and film.info["duration"] == 50
    with pytest.raises(ValueError, match="no frames"):
        plots.frames_to_gif([])
