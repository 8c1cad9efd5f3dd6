"""The images do their work in a pod that may do nothing else."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from textwrap import dedent

import pytest

from penstock import __version__
from support.pods import Run

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


def _python(source: str) -> list[str]:
    return ["python", "-c", dedent(source)]


def _bash(source: str) -> list[str]:
    """KubeRay starts Ray with this shell too."""
    return ["/bin/bash", "-c", "--", f"set -euo pipefail; {dedent(source)}"]


def test_both_have_the_same_python_and_the_ray_of_the_package(
    image_output: Run, gateway_image: str, engine_image: str
) -> None:
    ask = _python("""
        import json, platform, penstock, ray
        print(json.dumps([platform.python_version_tuple()[:2], ray.__version__, penstock.__version__]))
    """)
    gateway, engine = (json.loads(image_output(image, ask)) for image in (gateway_image, engine_image))
    assert gateway == engine
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (wanted,) = (line for line in pyproject["project"]["dependencies"] if line.startswith("ray["))
    assert gateway[1:] == [wanted.partition("==")[2], __version__]


def test_it_runs_as_user_1000_in_its_own_home(image_output: Run, image: str) -> None:
    assert image_output(image, _bash("id -u; id -g; pwd; echo $HOME; whoami")).split() == [
        *("1000", "1000", "/home/penstock", "/home/penstock", "penstock")
    ]


def test_it_holds_no_compiler_no_installer_and_no_package_cache(image_output: Run, image: str) -> None:
    found = image_output(
        image,
        _bash("""
            for tool in cc c++ gcc g++ clang ld as make uv; do command -v $tool || true; done
            ls -A /opt/penstock/bin | grep -x 'pip.*' || true
            ls -A /var/lib/apt/lists /opt/tools /tmp/wheel 2>/dev/null | grep -v : || true
            find / -xdev '(' -name '*.deb' -o -path '/root/.cache' ')' 2>/dev/null || true
        """),
    )
    assert found.split() == []


def test_all_python_that_it_loads_is_compiled(image_output: Run, image: str) -> None:
    """On a read-only root every process would compile it anew."""
    found = image_output(
        image,
        _python("""
            import os, sys
            import penstock.cli.main, penstock.gateway.deployment, penstock.engine.deployment, ray.serve
            files = {module.__cached__ for module in list(sys.modules.values()) if getattr(module, "__cached__", None)}
            assert len(files) > 500
            print(sorted(path for path in files if not os.path.exists(path)))
        """),
    )
    assert found.strip() == "[]"


def test_the_health_check_sees_whether_ray_is_alive(image_output: Run, image: str) -> None:
    found = image_output(
        image,
        _bash("""
            well() { healthcheck >/tmp/health; }
            sick() { if well; then return 1; fi; }
            wait_until() {
                tries=0
                until "$@"; do
                    tries=$((tries + 1)); [ $tries -lt 240 ] || { cat /tmp/health /tmp/ray.log; exit 1; }
                    sleep 0.5
                done
            }
            sick && echo "sick without Ray"
            ray start --head --block --num-cpus=1 --object-store-memory=100000000 >/tmp/ray.log 2>&1 &
            wait_until well; cat /tmp/health
            python -c 'import psutil; [one.kill() for one in psutil.process_iter() if one.name() == "raylet"]'
            wait_until sick; echo "sick without its raylet"
        """),
    )
    assert found.splitlines() == ["sick without Ray", "raylet: success", "gcs: success", "sick without its raylet"]


def test_a_gateway_carries_no_engine(image_output: Run, gateway_image: str) -> None:
    found = image_output(
        gateway_image,
        _python("""
            from importlib.util import find_spec
            print([name for name in ("torch", "vllm", "transformers", "triton", "boto3") if find_spec(name)])
        """),
    )
    assert found.strip() == "[]"


def test_the_simulator_answers_in_a_gateways_image(image_output: Run, gateway_image: str) -> None:
    """Documents with `engine: simulator` need no engine's image."""
    assert "usage: " in image_output(gateway_image, ["python", "-m", "penstock.simulator", "--help"])


def test_rays_autoscaler_starts_from_a_gateways_image(image_output: Run, gateway_image: str) -> None:
    """KubeRay runs it beside the head, from the head's image."""
    assert "--cluster-name" in image_output(gateway_image, ["ray", "kuberay-autoscaler", "--help"])


def test_vllm_starts_in_an_engines_image(image_output: Run, engine_image: str) -> None:
    found = image_output(engine_image, ["python", "-m", "vllm.entrypoints.openai.api_server", "--help"])
    assert re.search(r"^usage: ", found, re.MULTILINE)


def test_the_demos_models_can_be_read(image_output: Run, engine_image: str) -> None:
    found = image_output(
        engine_image,
        _python("""
            import json
            from pathlib import Path
            from safetensors import safe_open
            from transformers import AutoConfig
            for path in sorted(Path("/opt/models").glob("*/*.safetensors")):
                with safe_open(path, "np") as tensors:
                    kind = AutoConfig.from_pretrained(path.parent).model_type
                    print(json.dumps([path.parent.name, kind, len(tensors.keys()) > 0]))
        """),
    )
    assert [json.loads(line) for line in found.splitlines() if line.startswith("[")] == [
        ["all-minilm-l6-v2", "bert", True],
        ["demo", "llama", True],
    ]
