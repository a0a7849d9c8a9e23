"""Every command of the pages: run here, run by another test, or the reason why it is not."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [p for p in (ROOT / 'docs').rglob('*.md') if '_build' not in p.parts]
    + [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md']
)
TRAIN = 'python tools/train.py configs/mango'
TRUST_MOVIES = 'mango-trust-l2_lite0-minilm_1xb32-1000it_movies-192x128.py'
MINI_ROOMS = 'small_1xb8-600it_mini-rooms-72x96'

# Run by test_commands.py as they stand, a page in one folder, in the page's order. A word in
# capitals is what the reader puts there; trainings are cut to two iterations.
RUN_HERE: dict[str, dict[str, str]] = {
    'docs/ten_minutes.md': {},
    'docs/sequences.md': {},
    'docs/your_data.md': {},
    'README.md': {},
    'docs/encoders.md': {},
    'docs/trust.md': {
        'CONFIG': f'configs/mango/mango-trust-l1_{MINI_ROOMS}.py',
        'WORK_DIR': f'work_dirs/mango-trust-l1_{MINI_ROOMS}',
        'OUT': 'work_dirs/failures',
    },
    'docs/translation.md': {
        'CONFIG': 'configs/autoencoder/latent-flow_small_1xb8-600it_mini-rooms-96x128.py',
        'WORK_DIR': 'work_dirs/latent-flow_small_1xb8-600it_mini-rooms-96x128',
        'FOLDER': 'work_dirs/generated',
    },
}  # fmt: skip

# Too long for every change: marked soak.
LONG = ('docs/encoders.md', 'docs/trust.md')

# A test runs the same tool on smaller or other data: beginning of the command -> the test.
RUN_ELSEWHERE = {
    'python tools/benchmark/ica.py': 'tools/test_benchmarks.py::test_ica',
    'python tools/benchmark/flow.py': 'tools/test_benchmarks.py::test_flow',
    'python tools/benchmark/fusion.py': 'tools/test_benchmarks.py::test_fusion',
    'python tools/benchmark/train_step.py': 'tools/test_benchmarks.py::test_train_step',
    'python tools/benchmark/zoo.py': (
        'tools/test_benchmarks.py::'
        'test_zoo_measures_every_config_once_and_goes_on_after_one_that_fails'
    ),
    'python tools/prepare/encoders.py': 'models/test_encoders.py::'
    'test_tensors_are_renamed_by_order_and_a_config_loads_them',  # of a wheel: no network
    'python tools/benchmark/compare.py': 'comparison/test_compare.py::'
    'test_a_suite_runs_teachers_first_and_a_second_time_nothing',
    'python tools/analyse/fit_density.py': 'tools/test_examples.py::'
    'test_the_example_of_the_help_runs',
    'python tools/analyse/calibrate_trust.py': 'engine/test_trust_hook.py::'
    'test_a_trained_model_is_calibrated_again_as_the_hook_did',
    'python tools/analyse/average_failures.py': 'tools/test_average_failures.py::'
    'test_the_tool_writes_tables_lines_and_a_picture',
    'python tools/analyse/robustness.py CONFIG WORK_DIR --density': 'tools/test_examples.py::'
    'test_the_example_of_the_help_runs',
    'make demo-core': 'tools/test_demo_core.py::'
    'test_it_fuses_inverts_and_draws_without_any_toolbox',
    'make demo-imdb': 'tools/test_movie_tools.py::test_the_demo_trains_tests_and_draws',
    'make demo-translation': 'tools/test_translation_tools.py::'
    'test_the_demo_trains_prints_a_table_and_draws',
    'make demo-trust': 'tools/test_demos.py::test_the_demo_of_trust',
    'make demo': 'tools/test_demos.py::test_the_demo',
    'python tools/prepare/mm_imdb.py': 'tools/test_movie_tools.py::'
    'test_a_download_is_checked_movie_by_movie',
    f'{TRAIN}/mango-l2_small_1xb32-1000it_movies-96x64.py':
    'tools/test_movie_tools.py::trained',
    'python tools/test.py CONFIG WORK_DIR/best_macro_f1_iter_N.pth': 'tools/test_movie_tools.py::'
    'test_the_checkpoint_holds_vocabulary_and_thresholds_and_tests_alone',
    'python tools/infer.py CONFIG WORK_DIR --input image=poster.jpeg': 'tools/test_movie_tools.py::'
    'test_the_inference_tool_prints_json',
    'python tools/prepare/cache_features.py '
    'configs/concat/concat_lite0-minilm_1xb32-1000it_movies-192x128.py':
    'tools/test_cache_features.py::test_the_tool_writes_what_a_config_asks_for',
    f'{TRAIN}/{TRUST_MOVIES}': 'engine/test_trust_hook.py::test_movies_know_their_sensors_too',
    f'python tools/analyse/robustness.py configs/mango/{TRUST_MOVIES}':
    'tools/test_movie_failures.py::test_the_tool_writes_the_table',
    'python tools/prepare/taskonomy_from_rgbd.py': 'datasets/test_taskonomy.py::'
    'test_domains_are_made_from_rgbd_frames_and_only_once',
    f'{TRAIN}/mango-l1-rgb-edge2depth_small_1xb8-800it_nyuv2-mini-96x128.py':
    'tools/test_translation_tools.py::trained',
    f'{TRAIN}/mango-l12-shade-texture2rgb_mit-gan_1xb1-300k_taskonomy-256x256.py':
    'test_configs.py::test_a_translation_config_builds_and_takes_a_step',
    'python tools/test.py CONFIG WORK_DIR/latest --show-dir pictures':
    'tools/test_translation_tools.py::test_show_dir_gets_a_picture_of_every_sample',
    'python tools/prepare/taskonomy.py': 'tools/test_prepare.py::'
    'test_taskonomy_is_checked_and_split_by_camera_point',
}  # fmt: skip

# No test runs these.
NOT_RUN = {
    'make test': 'it is what runs this',
    'pip install .': 'makes an environment: the job torch-only of .github/workflows does it',
    "pip install torch 'setuptools<81' ninja psutil": 'a compile of 25 minutes; the job hosts',
    'MMCV_WITH_OPS=1 pip install --no-build-isolation mmcv==2.1.0': 'the same',
    'docker build -t mango_mm .': 'needs a Docker daemon',
    'docker run --rm -v "$PWD/work_dirs:/mango_mm/work_dirs" mango_mm make demo': 'the same',
}


def commands_of(page: Path) -> list[str]:
    """The lines of a page's bash blocks, joined where a backslash says so, without comments."""
    found = []
    for block in re.findall(r'```bash\n(.*?)```', page.read_text(encoding='utf-8'), re.DOTALL):
        for line in block.replace('\\\n', ' ').splitlines():
            command = ' '.join(re.sub(r'(^|\s)#.*', '', line).split())
            if command:
                found.append(command)
    return found
