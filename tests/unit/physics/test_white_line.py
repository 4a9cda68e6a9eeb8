import pytest
import torch

from xasnn_stream.physics.white_line import WhiteLine, white_line


def test_a_white_line_has_half_its_height_half_its_width_away():
    line = WhiteLine(at_ev=2.0, fwhm_ev=6.0, height=0.25)
    at = torch.tensor([-1.0, 2.0, 5.0], dtype=torch.float64)
    assert white_line(at, line).tolist() == pytest.approx([0.125, 0.25, 0.125])
