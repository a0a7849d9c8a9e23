"""Taskonomy's encodings, and domains computed from RGB-D, against formulas and known scenes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mango_mm.datasets.mini.rooms import render_room
from mango_mm.datasets.rgbd_domains import (
    DOMAINS_OF_FRAME,
    Camera,
    domains_of_frame,
    normals_of,
)
from mango_mm.domains import DOMAINS, get_domain


@pytest.mark.parametrize('name', DOMAINS)
def test_every_stored_value_survives_decoding_and_encoding(name):
    domain = DOMAINS[name]
    top = min(int(domain.full_scale), 65535) if domain.bits == 16 else 255
    top = 65534 if domain.logarithmic else top
    values = np.arange(top + 1, dtype=np.uint8 if domain.bits == 8 else np.uint16)[None]
    stored = values if domain.channels == 1 else np.repeat(values[..., None], 3, 2)
    decoded, measured = domain.decode(stored)
    assert decoded.dtype == np.float32
    assert decoded.shape == (1, top + 1, domain.channels)
    assert decoded.min() >= -1
    assert decoded.max() <= 1
    again = domain.encode(decoded)
    assert again.dtype == stored.dtype
    np.testing.assert_array_equal(again[measured], stored[measured])
    assert measured.sum() == top + 1 - sum(v <= top for v in domain.invalid)


def test_values_are_those_of_the_published_code_up_to_its_rounding_to_8_bits():
    stored = np.array([[1, 700, 5120, 60000]], np.uint16)
    for name, eight_bit in {
        'depth_zbuffer': np.log(1 + stored.astype(float)) * 255 / 11.1,
        'edge_texture': np.minimum(stored * 255.0 / 11355, 255),
        'edge_occlusion': np.minimum(stored * 255.0 / 11584, 255),
    }.items():
        theirs = eight_bit.astype(np.uint8) / 255 * 2 - 1
        ours = get_domain(name).decode(stored)[0][..., 0]
        assert 0 <= (ours - theirs).min()
        assert (ours - theirs).max() < 2 / 255
    rgb = np.array([[[0, 128, 255]]], np.uint8)
    wanted = (rgb / 255.0 - 0.5) / 0.5
    np.testing.assert_allclose(get_domain('rgb').decode(rgb)[0], wanted, atol=1e-6)


def test_depth_is_in_metres_and_has_a_mask():
    depth = get_domain('depth_euclidean')
    decoded, measured = depth.decode(np.array([[512, 0, 65535, 5120]], np.uint16))
    np.testing.assert_allclose(depth.to_metres(decoded)[0, [0, 3], 0], [1.0, 10.0], rtol=1e-5)
    assert measured.tolist() == [[True, False, False, True]]
    assert decoded[0, 1:3].tolist() == [[-1.0], [-1.0]]
    with pytest.raises(ValueError, match='rgb is no depth'):
        get_domain('rgb').to_metres(decoded)


@pytest.mark.parametrize(
    ('name', 'stored', 'message'),
    [
        ('rgb', np.zeros((2, 2, 3), np.uint16), r'rgb must be stored with 8.*uint16 from f\.png'),
        ('rgb', np.zeros((2, 2), np.uint8), r'rgb must have 3 channels; got 1 from f\.png'),
        ('depth_zbuffer', np.zeros((2, 2), np.uint8), 'must be stored with 16 bits.*uint8'),
        ('depth_zbuffer', np.full((2, 2), 70000, np.int32), 'must fit 16 bits'),
        ('reshading', np.eye(3, dtype=np.uint8)[None], 'reshading must be grey'),
        ('edge_texture', np.zeros((2, 2, 2), np.uint16), 'must have 1 channels; got 2'),
    ],
)  # fmt: skip
def test_wrong_files_are_named(name, stored, message):
    with pytest.raises(ValueError, match=message):
        get_domain(name).decode(stored, 'f.png')


def test_an_unknown_domain_lists_the_known_ones():
    with pytest.raises(KeyError, match=r"edge_texture.*got 'texture'"):
        get_domain('texture')


# ---- from RGB-D ----

CAMERA = Camera(fx=80.0, fy=90.0, cx=31.5, cy=23.5)
RGB = np.zeros((48, 64, 3), np.uint8)


@given(slope=st.tuples(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6)), at=st.floats(1.0, 5.0))
def test_the_normal_of_a_plane_is_its_own(slope, at):
    # n . P = d with n = (a, b, -1): z = d / (n . ray)
    normal = np.array([*slope, -1.0])
    rays = CAMERA.points(np.ones((48, 64)))
    depth = -at / (rays @ normal)
    if depth.min() < 0.05:  # the plane passes through the camera's view from behind
        return
    got = normals_of(CAMERA.points(depth))
    wanted = normal / np.linalg.norm(normal)
    np.testing.assert_allclose(got, np.broadcast_to(wanted, got.shape), atol=1e-6)


def test_a_wall_in_front_of_the_camera():
    images = domains_of_frame(RGB, np.full((48, 64), 2.0), CAMERA)
    assert tuple(images) == DOMAINS_OF_FRAME
    x, y = (31 - CAMERA.cx) / CAMERA.fx, (23 - CAMERA.cy) / CAMERA.fy
    ray = np.sqrt(1 + x * x + y * y)
    assert images['depth_zbuffer'].tolist() == np.full((48, 64), 1024).tolist()
    assert images['depth_euclidean'][23, 31] == round(1024 * ray)
    assert images['normal'][23, 31].tolist() == [128, 128, 255]  # towards the camera
    assert images['reshading'][23, 31].tolist() == [round(255 / ray)] * 3
    corner = np.sqrt(1 + (CAMERA.cx / CAMERA.fx) ** 2 + (CAMERA.cy / CAMERA.fy) ** 2)
    assert abs(int(images['reshading'][0, 0, 0]) - 255 / corner) <= 1
    assert not images['edge_occlusion'].any()
    assert not images['edge_texture'].any()


def test_a_floor_is_green_and_a_right_hand_wall_looks_left():
    rays = CAMERA.points(np.ones((48, 64)))
    floor = np.where(rays[..., 1] > 0.05, 1.2 / np.maximum(rays[..., 1], 0.05), 0)
    normal = domains_of_frame(RGB, floor, CAMERA, sigma=0.5)['normal']
    assert (normal[40, 32].astype(int) - [128, 255, 128]).tolist() == pytest.approx([0] * 3, abs=3)
    wall = np.where(rays[..., 0] > 0.05, 1.2 / np.maximum(rays[..., 0], 0.05), 0)
    normal = domains_of_frame(RGB, wall, CAMERA, sigma=0.5)['normal']
    assert (normal[24, 55].astype(int) - [0, 128, 128]).tolist() == pytest.approx([0] * 3, abs=3)


def test_edges_are_where_depth_jumps_and_where_brightness_does():
    depth, rgb = np.full((48, 64), 1.0), RGB.copy()
    depth[:, 32:] = 3.0
    depth[0, 0] = 0.0
    rgb[20:] = 255
    images = domains_of_frame(rgb, depth, CAMERA)
    assert np.flatnonzero(images['edge_occlusion'].any(0)).tolist() == [31]
    assert images['edge_occlusion'].max() == 11584  # ln 3 is more than the full scale
    assert np.flatnonzero(images['edge_texture'].any(1)).tolist() == [19, 20]
    assert images['depth_zbuffer'][0, 0] == 65535  # not measured


def test_normals_and_distances_of_rendered_rooms_come_out():
    for seed in range(3):
        frame = render_room(seed, 96, 128)
        depth = frame.true_depth_m.astype(float)
        v, u = np.mgrid[:96, :128] - np.array([47.5, 63.5])[:, None, None]
        far = (frame.distance_m / depth) ** 2 - 1
        focal = float(np.sqrt((u**2 + v**2)[0, 0] / far[0, 0]))
        camera = Camera(focal, focal, 63.5, 47.5)
        images = domains_of_frame(frame.rgb, depth, camera, sigma=0.7)
        truth = frame.distance_m.astype(float) * 512
        assert np.abs(images['depth_euclidean'] - truth).max() < 1.0
        decoded, _ = get_domain('normal').decode(images['normal'])
        decoded /= np.linalg.norm(decoded, axis=-1, keepdims=True)  # eight bits shorten it
        cosine = (decoded * frame.normal).sum(-1)[3:-3, 3:-3]  # smoothing ends at the border
        # Away from the edges between surfaces, where a normal has no value.
        assert np.median(np.degrees(np.arccos(np.clip(cosine, -1, 1)))) < 0.5
        assert (cosine > 0.95).mean() > 0.8


def test_frames_that_cannot_be_used_are_named():
    with pytest.raises(ValueError, match='must have one size'):
        domains_of_frame(RGB, np.ones((2, 2)), CAMERA)
    with pytest.raises(ValueError, match='no pixel of the frame has depth'):
        domains_of_frame(RGB, np.full((48, 64), np.nan), CAMERA)
