# SPDX-FileCopyrightText: 2026 The kpconv_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The link between two namespaces keeps its rate, loses and is cut; and a short drive over it. Needs root."""

import json
import os
import subprocess
import sys
import time

import pytest

from kpconv_ros import cli
from kpconv_ros.evaluation import thin_link
from kpconv_ros.evaluation.link_run import link_environment
from kpconv_ros.evaluation.thin_link import BURST_BYTES, LinkError, ThinLink, check_can_link, most_in_a_second
from kpconv_ros.pipelines.map_encoder import MapEncoderConfig

pytestmark = pytest.mark.alone
RECEIVE = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("10.99.7.2", 5000))
s.settimeout(2.0)
print("ready", flush=True)
n = 0
try:
    while True:
        s.recv(2000)
        n += 1
except TimeoutError:
    print(n)
"""
SEND = """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range({count}):
    try:
        s.sendto(b"x" * {size}, ("10.99.7.2", 5000))
    except OSError:
        pass
    time.sleep({pause})
"""


HEAR = """
import rclpy
from kpconv_ros.msg import LatentTile
from kpconv_ros.nodes.link import Link
rclpy.init(domain_id=69)
node = rclpy.create_node("hear")
link = Link(node, 70)
input = link.subscribe(LatentTile, "/latents", lambda message: None)
rclpy.spin(node)
"""
TELL = """
import time
import rclpy
from kpconv_ros.msg import LatentTile
from kpconv_ros.nodes.link import Link
rclpy.init(domain_id=69)
node = rclpy.create_node("tell")
link = Link(node, 70)
publisher = link.publisher(LatentTile, "/latents")
while not publisher.get_subscription_count():
    time.sleep(0.1)
time.sleep(3.0)
def sent():
    time.sleep(0.2)
    return int(open("/sys/class/net/link0/statistics/tx_bytes").read())
for size in (100, 1200):
    before = sent()
    for _ in range(100):
        publisher.publish(LatentTile(session=1, data=bytes(size)))
        time.sleep(0.002)
    print(size, (sent() - before) / 100 - size, flush=True)
link.destroy()
"""


@pytest.fixture
def needs_namespaces():
    try:
        check_can_link()
    except LinkError as error:
        pytest.skip(str(error))


def pass_through(link, count, size, pause):
    """How many datagrams of so many arrive."""
    command = [*link.within(1), sys.executable, "-c", RECEIVE]
    receiver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert receiver.stdout.readline() == "ready\n"
    code = SEND.format(count=count, size=size, pause=pause)
    subprocess.run([*link.within(0), sys.executable, "-c", code], check=True)
    return int(receiver.communicate(timeout=30)[0])


def test_more_than_the_rate_does_not_pass(needs_namespaces):
    with ThinLink(64000) as link:
        arrived = pass_through(link, count=60, size=1000, pause=0.02)
        assert 10 < arrived < 40 and link.dropped()[0] == 60 - arrived
    assert most_in_a_second(link.samples, 0) < 1.05 * (8000 + BURST_BYTES)
    assert link.samples[-1].messages == (0, 0)  # to an even port


def test_datagrams_to_odd_ports_are_counted_apart_with_their_headers(needs_namespaces):
    with ThinLink(1_000_000) as link:
        for port in (5000, 5001):
            code = SEND.format(count=20, size=100, pause=0.001).replace("5000", str(port))
            subprocess.run([*link.within(0), sys.executable, "-c", code], check=True)
        time.sleep(0.5)
    assert link.samples[-1].messages == (20 * 142, 0)  # Ethernet 14, IP 20, UDP 8
    assert link.samples[-1].sent[0] >= 40 * 142


def test_the_link_is_gone_afterwards(needs_namespaces):
    with ThinLink(64000) as link:
        pass
    assert not set(link.names) & set(subprocess.run(["ip", "netns"], capture_output=True, text=True).stdout.split())


def test_the_share_that_is_lost_is_that_asked_for(needs_namespaces):
    with ThinLink(1_000_000, loss=0.3) as link:
        arrived = pass_through(link, count=600, size=100, pause=0.002)
        assert 350 < arrived < 490  # 420 expected, standard deviation 11
        assert link.dropped() == (0, 0)


def test_nothing_passes_a_cut(needs_namespaces):
    with ThinLink(1_000_000) as link:
        link.cut()
        assert pass_through(link, count=10, size=100, pause=0.01) == 0
        link.restore()
        assert pass_through(link, count=10, size=100, pause=0.01) == 10


def test_shared_memory_does_not_lead_round_the_link(needs_namespaces):
    with ThinLink(64000) as link:
        subprocess.run([*link.within(0), "touch", "/dev/shm/kp_here"], check=True)
        listed = [
            subprocess.run([*link.within(end), "ls", "/dev/shm"], capture_output=True, text=True).stdout.split()
            for end in (0, 1)
        ]
    assert "kp_here" in listed[0] and "kp_here" not in listed[1]


def test_without_root_it_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(thin_link.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(thin_link.shutil, "which", lambda name: name)
    with pytest.raises(LinkError, match="run as root"):
        check_can_link()
    monkeypatch.setattr(thin_link.shutil, "which", lambda name: None)
    with pytest.raises(LinkError, match="iproute2"):
        check_can_link()


@pytest.mark.slow
@pytest.mark.ros
def test_a_message_costs_what_the_encoder_reckons(needs_namespaces):
    reckoned = MapEncoderConfig().message_overhead
    environment = {**os.environ, **link_environment()}
    with ThinLink(8_000_000) as link:
        commands = [[*link.within(end), sys.executable, "-c", code] for end, code in ((1, HEAR), (0, TELL))]
        hears = subprocess.Popen(commands[0], env=environment)
        try:
            told = subprocess.run(commands[1], env=environment, capture_output=True, text=True, timeout=90)
        finally:
            hears.kill()
            hears.wait()
    for line in told.stdout.splitlines():
        cost = float(line.split()[1])
        assert 100 < cost < reckoned + 15, line  # 15: announcements that fall between the messages
    assert len(told.stdout.splitlines()) == 2, told.stderr


@pytest.mark.slow
@pytest.mark.ros
def test_a_short_drive_over_the_link(needs_namespaces, tmp_path, capsys):
    status = cli.main(["test", "link", "--length", "80", "--only", "loss", "--out", str(tmp_path)])
    (run,) = json.loads((tmp_path / "link.json").read_text())["runs"]
    assert status == 0 and run["within_cap"], capsys.readouterr().out
    assert run["complete_in_time"] > 0.6 and run["points_shown"] > 0.85
    assert run["label_agreement"] > 0.6  # first codes have no labels, and which ones are lost is chance
    assert run["label_agreement_at_the_end"] > 0.9
