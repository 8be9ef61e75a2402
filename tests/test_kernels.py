"""The player in real kernels, newest and Colab's, spoken to as a page does: by messages."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient, KernelManager

from dip_lessons.course.environment import SETUP_CELL

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

PACKAGES = {
    "colab": ("ipykernel==6.17.1", "ipython==7.34.0", "ipywidgets==7.7.1"),  # frozen there
    "7.3": ("ipykernel==7.3.0",),  # the last whose comms answer to the subshell that asked
}
COLAB = """
import sys, types
sys.modules["google"] = sys.modules["google.colab"] = types.ModuleType("google.colab")
"""

SETUP = """
import time, torch
import dip_lessons as dip
from dip_lessons import play

torch.set_num_threads(1)
network = dip.Network(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3)))

def slow(activations):
    time.sleep(0.02)
    return activations["0"][:, 1].mean(dim=(1, 2))

def make(steps):
    return dip.optimize(dip.Pixels(16), dip.Objective(slow, ["0"]), network, steps=steps)

run = make(10**6)
"""
# Widgets by their part, and other things that only the driver knows; in the kernel.
DRIVER = """
import sys
sys.path.append(TESTS)
from panel import Panel, open_panels, ticked, widgets_alive
"""
PARTS = "Panel(player).parts()"


class Page:
    """What a page does: execute cells, send what the reader clicks, take in what comes back."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client, self.subshell, self.parts = client, None, {}

    def open_subshell(self) -> str | None:
        """Ask for a subshell, as JupyterLab does for its widgets; None where the kernel knows none."""
        self.client.control_channel.send(self.client.session.msg("create_subshell_request"))
        try:
            return self.client.get_control_msg(timeout=10)["content"].get("subshell_id")
        except queue.Empty:  # a kernel that is older than the question does not answer
            return None

    def execute(self, text: str, seconds: float = 60, **options: Any) -> dict:
        """Execute a cell and return its reply."""
        return self.reply(self.client.execute(text, **options), seconds)

    def reply(self, request: str, seconds: float = 30) -> dict:
        """Wait for the reply to a cell that is being executed."""
        while True:
            reply = self.client.get_shell_msg(timeout=seconds)
            if reply["parent_header"].get("msg_id") == request:
                return reply["content"]

    def run(self, text: str) -> None:
        """Execute a cell that must not fail."""
        reply = self.execute(text)
        assert reply["status"] == "ok", "\n".join(reply.get("traceback", []))

    def value(self, expression: str) -> Any:
        """The value of a Python expression in the kernel, by way of JSON."""
        wrapped = {"value": f"__import__('json').dumps({expression})"}
        answer = self.execute("", user_expressions=wrapped)["user_expressions"]["value"]
        assert answer["status"] == "ok", answer
        return json.loads(eval(answer["data"]["text/plain"]))

    def show(self, call: str = "play(run, controls=['lr'], name='player')") -> None:
        """Run the cell that shows the player."""
        self.run(f"player = {call}\nplayer")
        self.parts = self.value(PARTS)

    def send(self, part: str, data: dict) -> None:
        """Send a widget's message, to the subshell if there is one."""
        content = {"comm_id": self.parts[part], "data": data}
        message = self.client.session.msg("comm_msg", content)
        if self.subshell is not None:
            message["header"]["subshell_id"] = self.subshell
        self.client.shell_channel.send(message)

    def click(self, part: str) -> None:
        """Press a button."""
        self.send(part, {"method": "custom", "content": {"event": "click"}})

    def move(self, part: str, value: float) -> None:
        """Move a slider, or let the clock tick."""
        self.send(part, {"method": "update", "state": {"value": value}, "buffer_paths": []})

    def updates(self, part: str, key: str, seconds: float = 20.0) -> Iterator[Any]:
        """What the kernel sends for one trait of a widget, as it comes."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except queue.Empty:
                continue
            content = message["content"]
            if message["msg_type"] == "comm_msg" and content["comm_id"] == self.parts[part]:
                data = content["data"]
                if data.get("method") == "update" and key in data["state"]:
                    yield data["state"][key]
                if data.get("method") == "update" and [key] in data.get("buffer_paths", []):
                    yield bytes(message["buffers"][0])
        raise AssertionError(f"{part}.{key} was not sent within {seconds:.0f} s")

    def wait(self, expression: str, seconds: float = 20.0) -> None:
        """Wait until an expression is true in the kernel."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            assert time.monotonic() < end, f"{expression} did not come true"
            time.sleep(0.05)

    def drain(self) -> None:
        """Forget all messages that have come."""
        try:
            while True:
                self.client.get_iopub_msg(timeout=0)
        except queue.Empty:
            pass


@contextlib.contextmanager
def kernel(
    name: str, root: Path, folder: Path, config: pytest.Config, pip_install: Callable
) -> Iterator[Page]:
    """A kernel whose packages are those of that name, kept from one test run to the next; "newest" is what is here."""
    packages, paths = PACKAGES.get(name, ()), [str(root)]
    if packages:
        place = config.cache.mkdir(f"kernel_{name}_{sys.version_info.major}.{sys.version_info.minor}")
        if not (place / "installed").exists():
            # Of "7.3", the rest is what is installed here.
            only = ["--no-deps"] if name != "colab" else []
            result = pip_install(place, "--upgrade", *only, *packages)
            if result.returncode != 0:
                words = f"{', '.join(packages)} cannot be installed: {result.stderr.strip()[-300:]}"
                assert not os.environ.get("CI"), words  # there they must run
                pytest.skip(words)
            (place / "installed").touch()
        paths.insert(0, str(place))
    (folder / "work").mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    environment |= {"IPYTHONDIR": str(folder / "ipython"), "DIP_BUDGET": "quick"}
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env=environment, cwd=str(folder / "work"))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=120)
        page = Page(client)
        page.manager, page.colab, page.expected = manager, name == "colab", packages
        yield page
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module", params=["newest", "newest subshell", "7.3", "7.3 subshell", "colab"])
def page(
    request: pytest.FixtureRequest,
    root: Path,
    tmp_path_factory: pytest.TempPathFactory,
    pip_install: Callable,
) -> Iterator[Page]:
    """A kernel in which a run stands ready; in `colab` the versions and the module of that name."""
    name, *subshell = request.param.split()
    with kernel(name, root, tmp_path_factory.mktemp(name), request.config, pip_install) as page:
        if subshell:
            page.subshell = page.open_subshell()
            if page.subshell is None:
                pytest.skip("this ipykernel has no subshells")
        page.run(COLAB if page.colab else "")
        page.run(SETUP)
        page.run(DRIVER.replace("TESTS", repr(str(Path(__file__).parent))))
        yield page


with_subshell = pytest.mark.parametrize("page", ["newest subshell", "7.3 subshell"], indirect=True)
without_subshell = pytest.mark.parametrize("page", ["newest", "7.3", "colab"], indirect=True)


def test_versions(page: Page) -> None:
    page.run("import ipykernel, ipywidgets, IPython")
    versions = page.value("[ipykernel.__version__, IPython.__version__, ipywidgets.__version__]")
    found = dict(zip(("ipykernel", "ipython", "ipywidgets"), versions, strict=True))
    assert {package: found[package.partition("==")[0]] for package in page.expected} == {
        package: package.partition("==")[2] for package in page.expected
    }
    page.show()
    assert page.value("ticked(player)") is page.colab


def test_the_picture_has_a_name_for_who_cannot_see_it(page: Page) -> None:
    """Its own with ipywidgets 8; with 7, words before it that are read out and not shown."""
    page.show()
    head, name = page.value("Panel(player).names")
    assert name == (None if page.colab else "The picture of player")
    assert head.endswith('<p class="dip-unseen">The picture of player:</p>') == page.colab


def test_the_setup_cell_runs_and_installs_nothing(page: Page) -> None:
    page.run("from importlib.metadata import distributions")
    page.run("installed = lambda: sorted((d.name, d.version) for d in distributions())")
    page.run("before = installed()")
    page.run(SETUP_CELL)
    assert page.value("installed() == before") is True


def test_play_knob_pause_scrub_step(page: Page) -> None:
    """Everything the reader does, with the kernel usable in between."""
    page.show()
    page.drain()
    page.click("play")
    pictures = set()
    ticks = iter(range(1, 10**6))
    if page.colab:  # the page's clock starts when it is told to, and each tick is a message
        assert True in page.updates("tick", "_playing")
        for _ in range(5):
            page.move("tick", next(ticks))
    for jpeg in page.updates("picture", "value"):
        pictures.add(jpeg)
        if page.colab:
            page.move("tick", next(ticks))
        if len(pictures) == 4:
            break
    assert all(jpeg.startswith(b"\xff\xd8") for jpeg in pictures)
    page.move("lr", 0.2)
    page.wait("run.settings['lr'] == 0.2")
    step = page.value("max(run.log)")
    assert 0 < step <= page.value("run.step")
    assert page.value("sum(range(10))") == 45  # a cell runs while it plays

    page.drain()
    page.click("play")
    assert "Play" in page.updates("play", "description")
    assert page.value("player.state") == "paused"
    step = page.value("run.step")
    time.sleep(0.2)
    assert page.value("run.step") == step

    page.move("time", 3)
    page.wait("run.step == 3")
    assert page.value("Panel(player).knob(0)") == pytest.approx(0.05)
    page.click("step")
    page.move("tick", next(ticks))
    page.wait("run.step == 4 and player.state == 'paused'")


def test_result_in_a_later_cell(page: Page) -> None:
    page.show()
    page.click("play")
    page.wait(
        "player.state == 'playing'"
    )  # or, in a subshell, the click would come while the cell takes steps
    page.run("finished = player.result(run.step + 10)")
    assert page.value("finished is run and player.state == 'paused'")
    request = page.client.execute("player.result(run.step + 1)")
    displayed = []
    while True:
        message = page.client.get_iopub_msg(timeout=30)
        if message["parent_header"].get("msg_id") != request:
            continue
        if message["msg_type"] == "display_data":
            displayed.append(message["content"]["data"])
        if message["content"].get("execution_state") == "idle":
            break
    assert [sorted(data) for data in displayed] == [["image/jpeg", "text/plain"]]


def test_interrupt_of_a_running_cell(page: Page) -> None:
    page.show()
    step = page.value("run.step")
    request = page.client.execute("player.result(10**6)", stop_on_error=False)
    time.sleep(1.0)
    page.manager.interrupt_kernel()
    assert page.reply(request)["ename"] == "KeyboardInterrupt"
    assert page.value("player.state") == "paused"
    assert page.value("run.step") > step
    page.run("player.result(run.step + 2)")


@with_subshell
def test_pause_of_a_running_cell(page: Page) -> None:
    """A subshell takes the click in while the main shell is busy."""
    page.show()
    request = page.client.execute("player.result(10**6)", stop_on_error=False)
    time.sleep(1.0)
    page.click("play")
    assert "paused at step" in page.reply(request, seconds=10)["evalue"]
    assert page.value("player.state") == "paused"


@without_subshell
def test_a_click_on_pause_that_waits_for_its_cell(page: Page) -> None:
    """The main shell takes it in when the cell is done; it must not set the player going again."""
    page.show("play(make(40), name='player')")
    request = page.client.execute("player.result();")
    time.sleep(0.3)
    page.click("play")
    assert page.reply(request)["status"] == "ok"
    time.sleep(0.5)
    page.move("tick", 10**6)
    assert page.value("[player.run.step, player.state]") == [40, "done"]


def test_interrupt_of_an_idle_kernel(page: Page) -> None:
    page.show()
    page.click("play")
    page.wait("player.state == 'playing'")
    time.sleep(0.3)
    page.manager.interrupt_kernel()
    time.sleep(0.3)
    page.move("tick", 10**6)
    page.wait("player.state == 'paused'")


def test_a_click_after_a_reload_arrives(page: Page) -> None:
    """A page that goes takes its subshell along; the next page has another."""
    page.show()
    page.click("play")
    page.move("tick", 10**6 + 1)
    page.wait("player.state == 'playing' and run.step > 2")
    if page.subshell is not None:
        gone = page.subshell
        page.subshell = page.open_subshell()
        request = page.client.session.msg("delete_subshell_request", {"subshell_id": gone})
        page.client.control_channel.send(request)
        assert page.client.get_control_msg(timeout=10)["content"]["status"] == "ok"
    page.click("play")
    page.wait("player.state == 'paused'")


def test_rerun_while_it_plays(page: Page) -> None:
    counts = set()
    for _ in range(3):
        page.run("old = globals().get('player')")
        page.show("play(run, name='same')")
        counts.add(page.value("widgets_alive()"))
        page.click("play")
        page.wait("player.state == 'playing'")
    assert page.value("old.state") == "closed"
    assert len(counts) == 1
    page.run("player.close()")


def test_run_all_pressed_twice(page: Page) -> None:
    """All cells wait in the kernel's queue twice; the reader has pressed Play before."""
    page.show()
    page.click("play")
    page.wait("player.state == 'playing'")
    page.run("before = run.step")
    cells = [
        "player = play(run, name='player')\nplayer",
        "player.result(before + 60).step",
        "player.play(3);",
    ]
    requests = [page.client.execute(text) for _ in range(2) for text in cells]
    for request in requests:
        reply = page.client.get_shell_msg(timeout=60)
        assert (reply["parent_header"]["msg_id"], reply["content"]["status"]) == (request, "ok"), reply
    page.parts = page.value(PARTS)
    page.move("tick", 10**6 + 2)
    page.wait("player.state == 'paused' and run.step == max(before + 60, run.recorded)")
    assert page.value("len(open_panels())") == 1


def test_a_slider_dragged_wildly(page: Page) -> None:
    """Ten seconds of moves of both kinds of sliders, sixty a second, all at once; and nobody who looks."""
    page.show(
        "play(dip.optimize(dip.Pixels(16), dip.channel('0', 1), network, steps=10**6), controls=['lr'])"
    )
    page.click("play")
    page.move("tick", 10**6 + 3)
    page.wait("player.run.step > 5")
    for i in range(300):
        page.move("lr", 0.001 * (i % 90 + 1))
        page.move("time", i * 7 % 23)
    page.move("lr", 0.5)
    page.wait("player.run.settings['lr'] == 0.5", seconds=60)
    assert page.value("player.state") == "paused"
    assert page.value("player.run.step == Panel(player).step == player.run.recorded")
    step = page.value("player.run.step")
    page.click("step")
    page.move("tick", 10**6 + 4)
    page.wait(f"player.run.step == {step + 1}")
